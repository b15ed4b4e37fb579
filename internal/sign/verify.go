package sign

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// webhookTolerance is how far the timestamp may be from the receiver's clock,
// either way: what the reference libraries of Standard Webhooks allow.
const webhookTolerance = 5 * time.Minute

// maxSignatures bounds the work that a notification can cause. A rotation of
// keys needs two.
const maxSignatures = 32

// A WebhookVerifier knows the signatures of one key: an [*HMACSecret] those of
// the scheme v1, an [*Ed25519PublicKey] those of v1a.
type WebhookVerifier interface {
	// matches tells whether a signature of the version is this key's. The id
	// is one that can be signed.
	matches(version, signature, id string, timestamp int64, body []byte) bool
}

var (
	_ WebhookVerifier = (*HMACSecret)(nil)
	_ WebhookVerifier = (*Ed25519PublicKey)(nil)
)

// A WebhookFault is the kind of thing that is wrong with a notification.
type WebhookFault string

// The faults.
const (
	FieldMissing   WebhookFault = "field_missing"   // webhook-id, -timestamp or -signature is absent or empty
	FieldMalformed WebhookFault = "field_malformed" // it has no form that is ever sent
	TooOld         WebhookFault = "too_old"         // the timestamp is more than five minutes past
	TooNew         WebhookFault = "too_new"         // the timestamp is more than five minutes ahead
	NoMatch        WebhookFault = "no_match"        // no signature is of one of the keys
)

// A WebhookError says why a notification is refused.
type WebhookError struct {
	Fault WebhookFault
	Field string // the header field that it lies in
}

// Error says what is wrong, without quoting the notification.
func (e *WebhookError) Error() string {
	switch e.Fault {
	case FieldMissing:
		return "the header field " + e.Field + " is missing"
	case FieldMalformed:
		return "the header field " + e.Field + " is malformed"
	case TooOld:
		return "the notification is too old: its timestamp is more than five minutes past"
	case TooNew:
		return "the notification is too new: its timestamp is more than five minutes ahead"
	default:
		return "no signature matches: the body, the id or the timestamp was changed, or it was signed with another key"
	}
}

// VerifyWebhook checks a notification as a receiver does (Standard Webhooks
// 1.0.0): all three header fields there, the timestamp within five minutes of
// now, one signature at least that is of one of the keys. Signatures of unknown
// versions are skipped. It returns nil or a [*WebhookError].
func VerifyWebhook(header []fattorino.Header, body []byte, now time.Time, keys ...WebhookVerifier) error {
	var values [3]string
	for i, field := range [...]string{fieldWebhookID, fieldWebhookTimestamp, fieldWebhookSignature} {
		if values[i], _ = fieldValue(header, field); values[i] == "" {
			return &WebhookError{FieldMissing, field}
		}
	}
	id, signatures := values[0], values[2]
	if checkMessageID(id) != nil {
		return &WebhookError{FieldMalformed, fieldWebhookID}
	}
	timestamp, err := strconv.ParseInt(values[1], 10, 64)
	if err != nil || strconv.FormatInt(timestamp, 10) != values[1] { // no sign, no zeros before it
		return &WebhookError{FieldMalformed, fieldWebhookTimestamp}
	}
	if timestamp < now.Add(-webhookTolerance).Unix() {
		return &WebhookError{TooOld, fieldWebhookTimestamp}
	}
	if timestamp > now.Add(webhookTolerance).Unix() {
		return &WebhookError{TooNew, fieldWebhookTimestamp}
	}
	list := strings.Fields(signatures)
	if len(list) > maxSignatures {
		return &WebhookError{FieldMalformed, fieldWebhookSignature}
	}
	for _, versioned := range list {
		version, signature, _ := strings.Cut(versioned, ",")
		for _, k := range keys {
			if k.matches(version, signature, id, timestamp, body) {
				return nil
			}
		}
	}
	return &WebhookError{NoMatch, fieldWebhookSignature}
}

func (s *HMACSecret) matches(version, signature, id string, timestamp int64, body []byte) bool {
	if version != "v1" {
		return false
	}
	expected, err := s.AppendSignature(nil, id, timestamp, body)
	return err == nil && subtle.ConstantTimeCompare(expected[len("v1,"):], []byte(signature)) == 1
}

func (p *Ed25519PublicKey) matches(version, signature, id string, timestamp int64, body []byte) bool {
	if version != "v1a" || len(signature) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) {
		return false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil && ed25519.Verify(p.key, signedContent(id, timestamp, body), decoded)
}
