package native

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Bounds of what a subscriber may choose.
const (
	maxFields     = 20
	maxFieldName  = 100  // bytes
	maxFieldValue = 4096 // bytes
	maxTimeout    = time.Minute
)

// faults collects broken rules.
type faults []fattorino.Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// CheckOptions holds what a subscriber chose to the rules of the contract: its
// format, its options, and its secrets where it brings any. It fails with
// Invalid and a fault for each broken rule, whose field is the option as the
// API names it; no fault quotes a secret.
func (c *Contract) CheckOptions(n *fattorino.NewSubscription) error {
	var f faults
	switch n.Format {
	case "", fattorino.Binary, fattorino.Structured, fattorino.Standard, fattorino.Batched, chat.Slack, chat.Teams, chat.Discord:
	default:
		f.add("format", "the format %q is not one of binary, structured, standard, batch, slack, teams, discord", n.Format)
	}
	if !slices.Contains([]fattorino.Method{"", fattorino.ByHeader, fattorino.ByQuery}, n.Method) {
		f.add("verification_method", "the method %q is not one of header, query", n.Method)
	}
	o := &n.Options
	if isChat(n.Format) {
		c.checkChatSink(&f, n)
	} else {
		c.checkHandshake(&f, o.Handshake)
	}
	c.checkSignature(&f, n)
	f = append(f, o.Check(maxTimeout, time.Now())...)
	f.checkBatch(n)
	f.checkTemplate(n)
	fields, err := c.options.Keychain.OpenHeaders(o.Headers)
	if err != nil {
		return err
	}
	f.checkFields(fields, o.Signature)
	if len(f) > 0 {
		return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the subscription cannot be as it was asked for", Faults: f}
	}
	return nil
}

func (c *Contract) checkHandshake(f *faults, chosen string) {
	switch chosen {
	case "", HandshakeChallenge:
	case HandshakeOptions:
		if c.options.Origin == "" {
			f.add("handshake", "the handshake options is not offered here: the service does not know its own name")
		}
	case HandshakeNone:
		if !c.options.AllowNoHandshake {
			f.add("handshake", "the handshake none is not allowed here")
		}
	default:
		f.add("handshake", "the handshake %q is not one of challenge, options, none", chosen)
	}
}

// checkSignature makes sure that the signature is offered and can be made: with
// the newest of the secrets where there are any, and over the sink.
func (c *Contract) checkSignature(f *faults, n *fattorino.NewSubscription) {
	now, chosen := time.Now(), n.Options.Signature
	keys, err := c.options.Keychain.AppendSigners(nil, n.Secrets, now)
	if err != nil {
		f.add("secret", "the secret cannot be used")
		return
	}
	switch chosen {
	case "", SignatureNone:
	case SignatureJWT:
		if c.options.Signer == nil {
			f.add("signature", "the signature jwt is not offered here")
		}
	case sign.SchemeV1, sign.SchemeV1a, sign.SchemeHTTPSig:
		if len(keys) > 0 && !fits(keys[0], chosen) {
			f.add("secret", "the secret is of another kind than the signature %s needs", chosen)
		}
		if chosen == sign.SchemeHTTPSig && !signable(n.Sink, now) {
			f.add("sink", "the signature httpsig cannot cover this URL: write it in ASCII")
		}
	default:
		f.add("signature", "the signature %q is not one of v1, v1a, httpsig, jwt, none", chosen)
	}
}

// signable tries whether HTTP Message Signatures can cover the sink.
func signable(sink string, now time.Time) bool {
	trial := &fattorino.Request{Method: http.MethodPost, URL: sink, Header: []fattorino.Header{
		{Name: "Content-Type", Value: jsonType}, {Name: fieldID, Value: "msg_0"}, {Name: fieldTimestamp, Value: "0"},
	}}
	return signHTTP(trial, sign.WebhookKeys{sign.NewEd25519Key()}, now) == nil
}

// fits tells whether the key signs with the scheme.
func fits(key sign.WebhookKey, scheme string) bool {
	_, hmac := key.(*sign.HMACSecret)
	return hmac == (scheme == sign.SchemeV1)
}

// checkFields checks the header fields that a subscriber wants to be sent.
func (f *faults) checkFields(fields []fattorino.Header, signature string) {
	if len(fields) > maxFields {
		f.add("headers", "there are %d fields: %d are allowed", len(fields), maxFields)
	}
	seen := map[string]bool{}
	for _, field := range fields {
		name := strings.ToLower(field.Name)
		switch {
		case !isToken(field.Name): // and not quoted: it may be a value in the wrong place
			f.add("headers", "a name cannot be that of a header field")
		case seen[name]:
			f.add("headers", "the field %s is there twice", field.Name)
		case reserved(name) || (name == "authorization" && signature == SignatureJWT):
			f.add("headers", "the field %s is not for subscribers to set", field.Name)
		case !isFieldValue(field.Value):
			f.add("headers", "the value of the field %s is longer than %d bytes, or holds what cannot stand in a header", field.Name, maxFieldValue)
		}
		seen[name] = true
	}
}

// isToken tells whether s can be the name of a header field (RFC 9110, section
// 5.6.2).
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alphanumeric && !strings.Contains(marks, string(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxFieldName
}

// isFieldValue tells whether s is ASCII that can be the value of a header field
// (RFC 9110, section 5.5), and would come out of it as it went in.
func isFieldValue(s string) bool {
	if len(s) > maxFieldValue || strings.Trim(s, " \t") != s {
		return false
	}
	return printable(strings.ReplaceAll(s, "\t", " "))
}

// reserved tells whether a field, its name in lower case, is set by Fattorino
// or belongs to the connection.
func reserved(name string) bool {
	switch name {
	case "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect",
		"user-agent", "accept-encoding", "traceparent", "tracestate",
		"idempotency-key": // net/http sends a POST with it again by itself
		return true
	}
	for _, prefix := range []string{"content-", "webhook-", "ce-", "signature", "proxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
