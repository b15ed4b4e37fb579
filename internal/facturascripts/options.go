package facturascripts

import (
	"fmt"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// maxTimeout is the longest that an attempt may take, and what it takes where
// the subscriber does not say.
const maxTimeout = 10 * time.Second

// faults collects broken rules.
type faults []fattorino.Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// CheckOptions holds what a subscriber chose to the rules of the contract. The
// form of notifications is one for all; to be chosen are the scheme of the
// signature (v1, v1a), pace, schedule, timeout, end, and what is for people:
// name, description, metadata. It fails with Invalid and a fault for each
// broken rule, whose field is the option as the API names it; no fault quotes a
// secret.
func (c *Contract) CheckOptions(n *fattorino.NewSubscription) error {
	var f faults
	if n.Format != "" {
		f.add("format", "the contract has one form: leave the format out")
	}
	o := &n.Options
	if o.Handshake != "" && o.Handshake != "none" {
		f.add("handshake", "the contract has no handshake: %q is not to be had", o.Handshake)
	}
	if o.Thin {
		f.add("thin", "the contract has no thin notifications")
	}
	if o.BatchSize != 0 || o.BatchLinger != 0 {
		f.add("batch_size", "the contract tells of each event by itself")
	}
	if o.Template != "" {
		f.add("template", "the contract has no templates")
	}
	if len(o.Headers) > 0 {
		f.add("headers", "the contract has no header fields to choose")
	}
	c.checkSignature(&f, n)
	f = append(f, o.Check(maxTimeout, time.Now())...)
	if len(f) > 0 {
		return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the subscription cannot be as it was asked for", Faults: f}
	}
	return nil
}

// checkSignature also makes sure that the newest of the secrets, where there
// are some already, makes the signature.
func (c *Contract) checkSignature(f *faults, n *fattorino.NewSubscription) {
	chosen := n.Options.Signature
	if chosen != "" && chosen != sign.SchemeV1 && chosen != sign.SchemeV1a {
		f.add("signature", "the signature %q is not one of v1, v1a", chosen)
		return
	}
	keys, err := c.keychain.AppendSigners(nil, n.Secrets, time.Now())
	if err != nil {
		f.add("secret", "the secret cannot be used")
		return
	}
	if len(keys) == 0 || chosen == "" {
		return
	}
	if _, hmac := keys[0].(*sign.HMACSecret); hmac != (chosen == sign.SchemeV1) {
		f.add("secret", "the signature %s needs a newest secret of its own kind", chosen)
	}
}

// NewSecret makes a signing secret for the scheme; [sign.SchemeV1] where empty.
// Shown is what its subscriber is told this once, "whsec_…"; public the half
// that anybody may know, "whpk_…". Of the two a scheme has one.
func (c *Contract) NewSecret(signature string) (s fattorino.Secret, shown, public string, err error) {
	switch signature {
	case "", sign.SchemeV1:
		s, shown, err = c.keychain.NewSecret(sign.SchemeV1)
	case sign.SchemeV1a:
		s, public, err = c.keychain.NewSecret(sign.SchemeV1a)
	default:
		err = fattorino.InvalidField("signature", "the signature %q is not one of v1, v1a", signature)
	}
	return s, shown, public, err
}

// PublicKey gives the public half of a secret that NewSecret made, "whpk_…";
// empty where its scheme has none.
func (c *Contract) PublicKey(s fattorino.Secret) (string, error) {
	shown, err := c.keychain.Show(s)
	if err != nil || !strings.HasPrefix(shown, "whpk_") {
		return "", err
	}
	return shown, nil
}

// SealHeaders encrypts header fields for [fattorino.Options], so that they can
// be asked for, and refused by CheckOptions; none give nil.
func (c *Contract) SealHeaders(fields []fattorino.Header) ([]byte, error) {
	return c.keychain.SealHeaders(fields)
}

// OpenHeaders gives the header fields that SealHeaders sealed.
func (c *Contract) OpenHeaders(sealed []byte) ([]fattorino.Header, error) {
	return c.keychain.OpenHeaders(sealed)
}
