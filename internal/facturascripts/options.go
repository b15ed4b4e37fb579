package facturascripts

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Bounds of what a subscriber may choose.
const (
	maxName        = 100  // characters
	maxDescription = 1000 // characters
	maxMetadata    = 32   // entries
	maxMetaKey     = 64   // characters
	maxMetaValue   = 512  // characters
	maxRate        = 1_000_000
	maxConcurrency = 64
	maxSchedule    = 20
	minRetryWait   = time.Second
	maxRetryWait   = 7 * 24 * time.Hour
	minTimeout     = time.Second
	maxTimeout     = 10 * time.Second // the page's; less can be chosen
)

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
	f.checkText(o)
	f.checkPace(o)
	if !o.EndsAt.IsZero() && !o.EndsAt.After(time.Now()) {
		f.add("ends_at", "the subscription would have ended already")
	}
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
	keys, err := c.keychain.Signers(n.Secrets, time.Now())
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

func (f *faults) checkText(o *fattorino.Options) {
	f.checkLength("name", o.Name, maxName)
	f.checkLength("description", o.Description, maxDescription)
	if len(o.Metadata) > maxMetadata {
		f.add("metadata", "there are %d entries: %d are allowed", len(o.Metadata), maxMetadata)
	}
	for key, value := range o.Metadata {
		if key == "" {
			f.add("metadata", "an entry has an empty name")
		}
		f.checkLength("metadata", key, maxMetaKey)
		f.checkLength("metadata", value, maxMetaValue)
	}
}

func (f *faults) checkLength(field, text string, most int) {
	if n := utf8.RuneCountInString(text); n > most {
		f.add(field, "a text has %d characters: %d are allowed", n, most)
	}
	if !utf8.ValidString(text) {
		f.add(field, "a text is not UTF-8")
	}
}

func (f *faults) checkPace(o *fattorino.Options) {
	if o.Rate < 0 || o.Rate > maxRate {
		f.add("rate", "%d attempts in a minute are not within 1 to %d", o.Rate, maxRate)
	}
	if o.Concurrency < 0 || o.Concurrency > maxConcurrency {
		f.add("concurrency", "%d attempts at a time are not within 1 to %d", o.Concurrency, maxConcurrency)
	}
	if o.Timeout != 0 && (o.Timeout < minTimeout || o.Timeout > maxTimeout) {
		f.add("timeout", "%v is not within %v to %v", o.Timeout, minTimeout, maxTimeout)
	}
	if len(o.Schedule) > maxSchedule {
		f.add("schedule", "there are %d waits: %d are allowed", len(o.Schedule), maxSchedule)
	}
	for i, wait := range o.Schedule {
		if wait < minRetryWait || wait > maxRetryWait {
			f.add(fmt.Sprintf("schedule.%d", i), "%v is not within %v to %v", wait, minRetryWait, maxRetryWait)
		}
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
