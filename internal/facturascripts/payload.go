package facturascripts

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Notification builds the POST that tells the subscription of the event:
//
//	{"id":"<webhook-id>","event":"invoice.paid","timestamp":1764936000,"data":{…}}
//
// Event, timestamp and data are as in the page's sample. The timestamp is in
// Unix seconds: when it happened, or, where the producer did not say, when it
// was accepted; so that the body is the same on every attempt. The time of the
// attempt is in the header (SW-2).
//
// The id is the page's "unique event ID in each webhook", the same on every
// attempt, and repeated in the header webhook-id. It is another for each
// subscription, since to one receiver each subscription's notification is a
// delivery of its own.
//
// It fails for an event that no type of the catalog tells of, and where the
// subscription has no secret to sign with.
func (c *Contract) Notification(s *fattorino.Subscription, e *fattorino.Event, now time.Time) (*fattorino.Request, error) {
	typ, told := c.catalog.TypeOf(e)
	if !told {
		return nil, fattorino.Errorf(fattorino.Invalid, "the type %q has no name under this contract", e.Type)
	}
	var known [2]sign.WebhookKey // more than that where secrets change often
	keys, err := c.keychain.AppendSigners(known[:0], s.Secrets, now)
	if err != nil {
		return nil, err
	}
	id, attempt := messageID(s.ID, e), now.Unix()
	body := appendBody(make([]byte, 0, 192+len(e.Data)), id, typ, e)
	var scratch [256]byte
	signature, err := keys.AppendSignature(scratch[:0], id, attempt, body)
	if err != nil {
		return nil, err
	}
	return &fattorino.Request{
		Method: http.MethodPost,
		URL:    s.Sink,
		Header: []fattorino.Header{
			{Name: "User-Agent", Value: c.userAgent},
			{Name: "Content-Type", Value: "application/json"},
			{Name: "webhook-id", Value: id},
			{Name: "webhook-timestamp", Value: strconv.FormatInt(attempt, 10)},
			{Name: "webhook-signature", Value: string(signature)},
		},
		Body: body,
	}, nil
}

// appendBody appends the body. JSON data stands as it was published, digit for
// digit; text as a string, bytes as a string in base64, and null where there is
// none.
func appendBody(body []byte, id, typ string, e *fattorino.Event) []byte {
	body = cloudevents.AppendJSONString(append(body, `{"id":`...), id)
	body = cloudevents.AppendJSONString(append(body, `,"event":`...), typ)
	body = strconv.AppendInt(append(body, `,"timestamp":`...), e.Happened().Unix(), 10)
	body = append(body, `,"data":`...)
	return append(cloudevents.AppendData(body, e), '}')
}

// messageID gives the webhook-id, which is no choice of the producer (SW-4).
func messageID(subscription int64, e *fattorino.Event) string {
	digest := e.Digest()
	id := strconv.AppendInt(append(make([]byte, 0, 64), "evt_"...), subscription, 10)
	return string(hex.AppendEncode(append(id, '_'), digest[:]))
}
