package sign

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The header fields of Standard Webhooks 1.0.0, in lower case.
const (
	fieldWebhookID        = "webhook-id"
	fieldWebhookTimestamp = "webhook-timestamp"
	fieldWebhookSignature = "webhook-signature"
)

// A WebhookKey signs notifications as Standard Webhooks 1.0.0 asks: an
// [*HMACSecret] with the scheme v1, an [*Ed25519Key] with the scheme v1a.
type WebhookKey interface {
	// AppendSignature appends one signature, "v1,…" or "v1a,…", to dst: the
	// value of the header field webhook-signature. It is made over the
	// webhook-id, the webhook-timestamp of the attempt in Unix seconds, and the
	// body as it is sent.
	//
	// An id must be 1 byte or more of visible ASCII without a dot, because dots
	// part what is signed: with one inside, two notifications could have the
	// same signature. Any other is an error, and dst is given back as it came.
	AppendSignature(dst []byte, id string, timestamp int64, body []byte) ([]byte, error)
}

var (
	_ WebhookKey = (*HMACSecret)(nil)
	_ WebhookKey = (*Ed25519Key)(nil)
	_ WebhookKey = WebhookKeys(nil)
)

// WebhookKeys are the keys of one subscription: one, or the current and the
// previous while they change places. A receiver that knows any of them accepts
// the notification.
type WebhookKeys []WebhookKey

// AppendSignature implements [WebhookKey]: the signature of each key in order,
// parted by spaces. To have no key is an error.
func (keys WebhookKeys) AppendSignature(dst []byte, id string, timestamp int64, body []byte) ([]byte, error) {
	if len(keys) == 0 {
		return dst, errors.New("sign notification: there is no key")
	}
	signatures := dst
	for i, k := range keys {
		if i > 0 {
			signatures = append(signatures, ' ')
		}
		var err error
		if signatures, err = k.AppendSignature(signatures, id, timestamp, body); err != nil {
			return dst, err
		}
	}
	return signatures, nil
}

// checkMessageID refuses the ids that cannot be signed. Its error quotes
// nothing: an id may come from outside.
func checkMessageID(id string) error {
	if id == "" {
		return errors.New("the webhook-id is empty")
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c == '.':
			return errors.New("the webhook-id holds a dot")
		case c <= ' ' || c >= 0x7f:
			return errors.New("the webhook-id holds something other than visible ASCII")
		}
	}
	return nil
}

// appendSignedPrefix appends all of the signed content but the body, which
// comes after it: "id.timestamp.".
func appendSignedPrefix(dst []byte, id string, timestamp int64) []byte {
	dst = append(append(dst, id...), '.')
	return append(strconv.AppendInt(dst, timestamp, 10), '.')
}

// signedContent gives id, timestamp and body joined by dots.
func signedContent(id string, timestamp int64, body []byte) []byte {
	const widest = len("-9223372036854775808")
	content := make([]byte, 0, len(id)+widest+len("..")+len(body))
	return append(appendSignedPrefix(content, id, timestamp), body...)
}

// appendVersioned appends a signature after its version and comma.
func appendVersioned(dst []byte, version string, signature []byte) []byte {
	dst = slices.Grow(dst, len(version)+base64.StdEncoding.EncodedLen(len(signature)))
	return base64.StdEncoding.AppendEncode(append(dst, version...), signature)
}

// decodeKey reads the text form of a key: the prefix that tells its kind, then
// standard base64 with padding. Errors quote nothing of it.
func decodeKey(text, prefix string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %s", prefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(encoded) != base64.StdEncoding.EncodedLen(len(key)) { // line breaks are skipped in decoding
		return nil, fmt.Errorf("what follows %s is not standard base64 with padding", prefix)
	}
	return key, nil
}

// encodeKey writes the form that decodeKey reads.
func encodeKey(prefix string, key []byte) string {
	text := make([]byte, 0, len(prefix)+base64.StdEncoding.EncodedLen(len(key)))
	return string(base64.StdEncoding.AppendEncode(append(text, prefix...), key))
}
