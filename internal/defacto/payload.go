package defacto

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// idField is the header field with the delivery's id. It is ours, under the
// name that Standard Webhooks gives it: the id in the body is the resource's.
const idField = "Webhook-Id"

// The CloudEvents attributes by which a platform says what a type does not.
const (
	transitionAttribute = "transitionname"
	statusAttribute     = "status"
)

// Notification builds the POST that tells the subscription of the event: the
// sink byte for byte as registered, and the seven members of the guide. It
// carries no signature, as at Defacto.
func (c *Contract) Notification(s *fattorino.Subscription, e *fattorino.Event, _ time.Time) (*fattorino.Request, error) {
	typ, _ := c.catalog.TypeOf(e) // an open catalog has a name for everything
	return &fattorino.Request{
		Method: http.MethodPost,
		URL:    s.Sink,
		Header: []fattorino.Header{
			{Name: "User-Agent", Value: c.userAgent},
			{Name: "Content-Type", Value: "application/json"},
			// The same on every attempt, and no other delivery's.
			{Name: idField, Value: deliveryID(s.ID, e)},
		},
		Body: body(typ, e),
	}, nil
}

// deliveryID names an event's delivery to a subscription: the event by its place
// in the company's history, which stays whatever the store. A test has none in
// it, and is known by source and id.
func deliveryID(subscription int64, e *fattorino.Event) string {
	event := strconv.FormatInt(e.Seq, 10)
	if e.Private() {
		event = uuidFrom(e.Source + "\n" + e.ID)
	}
	return strconv.FormatInt(subscription, 10) + "-" + event
}

// body writes the notification of an event that is told as typ.
//
// The event's data is the resource, or has it in a member entity_state: then
// the data is a notification in this very form, and its other members count,
// save event_type. Either way the resource goes into the body byte for byte.
// Data that is no JSON is no resource: its entity_state is null.
//
// The transition and the status are what the event's extensions say, else its
// data, in either form.
func body(typ string, e *fattorino.Event) []byte {
	data := membersOf(e)
	state := []byte("null")
	if e.Form == fattorino.JSONData {
		state = bytes.TrimSpace(e.Data)
	}
	flat, isFlat := data["entity_state"]
	if isFlat {
		state = flat
	}
	entity, action, _ := strings.Cut(typ, ".")
	entityType := snake(entity)
	at := e.Happened().UTC().Format("2006-01-02T15:04:05.000000") + "+00:00"
	if isFlat {
		entityType = orElse(text(data["entity_type"]), entityType)
		at = orElse(dateTimeOf(data["timestamp"]), at)
	}
	transition := orElse(attribute(e, transitionAttribute), text(data["transition_name"]))
	// No other name of a transition is published.
	if transition == "" && action == "SUBMITTED" {
		transition = "SUBMIT"
	}
	status := orElse(attribute(e, statusAttribute), text(data["status"]))
	if status == "" && !namesAction(typ) {
		status = action
	}
	b := make([]byte, 0, 256+len(state))
	b = appendMember(b, '{', "entity_type", entityType)
	b = appendMember(b, ',', "transition_name", transition)
	b = appendMember(b, ',', "status", status)
	b = appendMember(b, ',', "timestamp", at)
	b = appendMember(b, ',', "id", orElse(text(data["id"]), strings.Join(e.Entity.IDs, ",")))
	b = appendMember(b, ',', "event_type", typ)
	b = append(append(b, `,"entity_state":`...), state...)
	return append(b, '}')
}

// membersOf gives the members of the event's data; nil where it is no JSON
// object.
func membersOf(e *fattorino.Event) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if e.Form != fattorino.JSONData || json.Unmarshal(e.Data, &members) != nil {
		return nil
	}
	return members
}

// text gives a JSON string, or a number as it is written; empty for anything
// else.
func text(raw json.RawMessage) string {
	if len(raw) > 0 && (raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9')) {
		return string(raw)
	}
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// dateTimeOf gives a string that is a date-time (RFC 3339), as it is written;
// empty for anything else.
func dateTimeOf(raw json.RawMessage) string {
	s := text(raw)
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return ""
	}
	return s
}

// attribute gives a CloudEvents extension that is a string.
func attribute(e *fattorino.Event, name string) string {
	s, _ := e.Extensions[name].(string)
	return s
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// appendMember appends a member, with null for a value that is not known.
func appendMember(b []byte, before byte, name, value string) []byte {
	b = append(append(append(b, before, '"'), name...), `":`...)
	if value == "" {
		return append(b, "null"...)
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings always encode
	}
	return append(b, quoted...)
}
