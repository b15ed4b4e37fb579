package native

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The header fields of Standard Webhooks 1.0.0, and the one by which a sink
// under abuse protection knows who calls (AP-2, WH-4).
const (
	fieldID            = "webhook-id"
	fieldTimestamp     = "webhook-timestamp"
	fieldSignature     = "webhook-signature"
	fieldRequestOrigin = "WebHook-Request-Origin"
)

const jsonType = "application/json"

// Notification builds the POST that tells the subscription of the event: in its
// format, whole or thin, with its header fields and signatures.
//
// The attributes of CloudEvents are the producer's own, but for the type, which
// is the event's name under this contract. Added are the extensions sequence
// (the event's seq in 19 digits, so that text sorts like numbers; absent where
// it has none), partitionkey (its entity, as invoice/42) and companyid. A
// producer's own partitionkey or companyid stays as it is; its sequence gives
// way, for it is by ours that a subscriber finds what it missed.
//
// In the chat formats the body is the tool's own message instead.
//
// The webhook-id is the same on every attempt, and another for each
// subscription and event (SW-2).
func (c *Contract) Notification(s *fattorino.Subscription, e *fattorino.Event, now time.Time) (*fattorino.Request, error) {
	if s.Format == fattorino.Batched {
		return c.BatchNotification(s, []*fattorino.Event{e}, now)
	}
	if isChat(s.Format) {
		body, err := c.chatBody(s, e)
		if err != nil {
			return nil, err
		}
		return c.request(s, messageID(s.ID, eventID(e)), body, now, contentType(jsonType))
	}
	t := c.telling(s, e)
	return c.request(s, messageID(s.ID, t.id), t.body, now, t.header...)
}

// request builds the POST around a body and the header fields that belong to
// its format, told.
func (c *Contract) request(s *fattorino.Subscription, id string, body []byte, now time.Time, told ...fattorino.Header) (*fattorino.Request, error) {
	custom, err := c.options.Keychain.OpenHeaders(s.Options.Headers)
	if err != nil {
		return nil, err
	}
	const others = 5 // those below and that of a signature of Standard Webhooks
	header := append(
		make([]fattorino.Header, 0, others+len(told)+len(custom)),
		fattorino.Header{Name: "User-Agent", Value: c.options.UserAgent},
		fattorino.Header{Name: fieldID, Value: id},
		fattorino.Header{Name: fieldTimestamp, Value: strconv.FormatInt(now.Unix(), 10)},
	)
	if chosenHandshake(s) == HandshakeOptions && c.options.Origin != "" {
		header = append(header, fattorino.Header{Name: fieldRequestOrigin, Value: c.options.Origin})
	}
	header = append(append(header, told...), custom...)
	r := &fattorino.Request{Method: http.MethodPost, URL: s.Sink, Header: header, Body: body}
	if err := c.sign(r, s, id, now); err != nil {
		return nil, err
	}
	return r, nil
}

// shown gives the event as it is told of in a way. The event itself is shared
// with other deliveries and stays as it is.
func (c *Contract) shown(in way) *fattorino.Event {
	e := in.event
	if in.asNamed && in.format == fattorino.Standard && !in.thin {
		return e
	}
	shown := *e
	if !in.asNamed {
		shown.Type, _ = c.catalog.TypeOf(e)
	}
	if in.thin {
		shown.Data, shown.Form = c.thin(e), fattorino.JSONData
		shown.DataContentType, shown.DataSchema = jsonType, "" // the schema is that of the state
	}
	if in.format == fattorino.Standard || isChat(in.format) {
		return &shown // extensions are not told
	}
	extensions := make(map[string]any, len(e.Extensions)+3)
	extensions["companyid"] = strconv.FormatInt(e.Company, 10)
	if key := e.Entity.String(); key != "" {
		extensions["partitionkey"] = key
	}
	maps.Copy(extensions, e.Extensions)
	if !e.Private() {
		extensions["sequence"] = sequence(e.Seq)
	}
	shown.Extensions = extensions
	return &shown
}

// named tells whether a subscription asks for a type by its own name, or by a
// wildcard of names like it. It is then told of it under that name, and not
// under the common name that it is linked to.
func named(types []string, typ string) bool {
	return slices.ContainsFunc(types, func(name string) bool {
		prefix, wild := strings.CutSuffix(name, "*")
		return name == typ || (wild && prefix != "" && strings.HasPrefix(typ, prefix))
	})
}

// sequence gives the seq in as many digits as the largest has.
func sequence(seq int64) string {
	const zeros = "0000000000000000000"
	digits := strconv.FormatInt(seq, 10)
	return zeros[:len(zeros)-len(digits)] + digits
}

// thin gives the data of a thin notification: ids and entity of the event, and
// the URL that gives the whole of it. A private event is in no list, and has no
// URL.
func (c *Contract) thin(e *fattorino.Event) []byte {
	data := append(make([]byte, 0, 192), `{"ids":[`...)
	for i, id := range e.Entity.IDs {
		if i > 0 {
			data = append(data, ',')
		}
		data = cloudevents.AppendJSONString(data, id)
	}
	data = append(data, ']')
	if entity := e.Entity.String(); entity != "" {
		data = cloudevents.AppendJSONString(append(data, `,"entity":`...), entity)
	}
	if !e.Private() {
		url := append(make([]byte, 0, 128), c.options.BaseURL...)
		url = strconv.AppendInt(append(url, "/v1/companies/"...), e.Company, 10)
		url = strconv.AppendInt(append(url, "/events?after="...), e.Seq-1, 10)
		data = cloudevents.AppendJSONString(append(data, `,"url":`...), append(url, "&limit=1"...))
	}
	return append(data, '}')
}

// message gives the body and the header fields of an event of CloudEvents. A
// notification always has a body and says what it is (WH-3): an event that has
// none, or does not say, is told in structured mode.
func message(f fattorino.Format, e *fattorino.Event) (header []fattorino.Header, body []byte) {
	if f != fattorino.Structured && len(e.Data) > 0 && (e.DataContentType != "" || e.Form == fattorino.JSONData) {
		return cloudevents.WriteBinary(e)
	}
	body = cloudevents.AppendStructured(make([]byte, 0, 512+len(e.Data)), e)
	return []fattorino.Header{contentType(cloudevents.StructuredType)}, body
}

func contentType(t string) fattorino.Header {
	return fattorino.Header{Name: "Content-Type", Value: t}
}

// standardBody gives the body that Standard Webhooks 1.0.0 recommends: type,
// timestamp and data. The timestamp is when it happened, or, where the producer
// did not say, when it was accepted. JSON data stands as it was published, text
// as a string, bytes as a string in base64, and null where there is none.
func standardBody(e *fattorino.Event) []byte {
	body := append(make([]byte, 0, 128+len(e.Data)), `{"type":`...)
	body = cloudevents.AppendJSONString(body, e.Type)
	body = e.Happened().AppendFormat(append(body, `,"timestamp":"`...), time.RFC3339Nano)
	body = append(body, `","data":`...)
	return append(cloudevents.AppendData(body, e), '}')
}
