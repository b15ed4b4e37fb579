package inspect

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// The contracts that requests are recognised of, by their names.
const (
	FattureInCloud = "fic"
	Native         = "native"
	FacturaScripts = "facturascripts"
	Defacto        = "defacto"
)

// A Kind is what a request is, as far as it can be recognised.
type Kind string

// The kinds.
const (
	Challenge    Kind = "challenge"    // asks whether the sink wants to be notified
	Welcome      Kind = "welcome"      // says that the subscription is verified
	Notification Kind = "notification" // tells of an event, or of several
	Other        Kind = "other"        // none of these
)

// The ways that a challenge comes by.
const (
	ByHeader  = "header"
	ByQuery   = "query"
	ByOptions = "options" // CloudEvents HTTP Web Hooks 1.0.2, section 4
)

// A Reading is what is recognised in a request.
type Reading struct {
	Kind      Kind
	Contract  string // empty = it speaks no contract that is known
	Way       string // of a challenge
	Challenge string // its text; of [ByOptions] the origin that asks
	Format    string // binary, structured, batch, standard; empty = it has none
	Type      string // of the event
	ID        string // of the notification: the same on every attempt
	Source    string
	Subject   string
	Count     int // events in it
}

// The fields that tell one contract from another.
const (
	ficChallenge    = "x-fic-verification-challenge"
	nativeChallenge = "webhook-challenge"
	ficTypes        = "it.fattureincloud.webhooks."
	ficWelcome      = ficTypes + "subscriptions.welcome"
)

// maxChallenge is longer than any challenge, in bytes.
const maxChallenge = 1024

// Read recognises a request.
func Read(r *Request) *Reading {
	if reading := readChallenge(r); reading != nil {
		return reading
	}
	reading := readEvent(r)
	switch {
	case reading == nil:
		return &Reading{Kind: Other}
	case reading.Type == ficWelcome:
		reading.Kind = Welcome
	default:
		reading.Kind = Notification
	}
	return reading
}

// readChallenge recognises a question to the sink; nil where there is none. A
// challenge is a GET; one that is sent otherwise is answered just as well.
func readChallenge(r *Request) *Reading {
	query, _ := url.ParseQuery(r.Query) // what of it can be read
	for _, c := range []struct{ contract, field string }{{FattureInCloud, ficChallenge}, {Native, nativeChallenge}} {
		if text := r.field(c.field); isChallenge(text) {
			return &Reading{Kind: Challenge, Contract: c.contract, Way: ByHeader, Challenge: text}
		}
		if text := query.Get(c.field); isChallenge(text) {
			return &Reading{Kind: Challenge, Contract: c.contract, Way: ByQuery, Challenge: text}
		}
	}
	if origin := r.field("webhook-request-origin"); r.Method == http.MethodOptions && origin != "" {
		return &Reading{Kind: Challenge, Contract: Native, Way: ByOptions, Challenge: origin}
	}
	return nil
}

func isChallenge(text string) bool { return text != "" && len(text) <= maxChallenge }

// A message is what bodies of all contracts may hold.
type message struct {
	ID          text `json:"id"`
	Type        text `json:"type"`
	Source      text `json:"source"`
	Subject     text `json:"subject"`
	SpecVersion text `json:"specversion"`
	Event       text `json:"event"` // FacturaScripts
	EventType   text `json:"event_type"`
	EntityType  text `json:"entity_type"`

	Timestamp   json.RawMessage `json:"timestamp"`
	Data        json.RawMessage `json:"data"`
	EntityState json.RawMessage `json:"entity_state"`
}

// text is a JSON string; anything else counts as none.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

// readEvent recognises a notification; nil where it is none.
func readEvent(r *Request) *Reading {
	media, _, _ := mime.ParseMediaType(r.field("content-type")) // empty where it is none
	reading := &Reading{Format: "binary", Type: r.field("ce-type"), ID: r.field("ce-id"), Source: r.field("ce-source"), Subject: r.field("ce-subject"), Count: 1}
	if r.field("ce-specversion") != "" && reading.Type != "" {
		return r.named(reading)
	}
	var m message
	if media == "application/cloudevents-batch+json" {
		var all []message
		if json.Unmarshal(r.Body, &all) != nil || len(all) == 0 {
			return nil
		}
		return r.named(all[0].cloudEvent("batch", len(all)))
	}
	if json.Unmarshal(r.Body, &m) != nil {
		return nil
	}
	id := r.field("webhook-id")
	switch {
	case m.SpecVersion != "" && m.Type != "":
		return r.named(m.cloudEvent("structured", 1))
	case m.Event != "" && m.Data != nil && m.Timestamp != nil:
		return &Reading{Contract: FacturaScripts, Type: string(m.Event), ID: string(m.ID), Count: 1}
	case m.EventType != "" && m.EntityState != nil:
		return &Reading{Contract: Defacto, Type: string(m.EventType), ID: id, Subject: strings.Trim(string(m.EntityType)+"/"+string(m.ID), "/"), Count: 1}
	case m.Type != "" && m.Data != nil && id != "":
		return &Reading{Contract: Native, Format: "standard", Type: string(m.Type), ID: id, Count: 1}
	case id != "":
		return &Reading{Contract: Native, ID: id, Count: 1} // a message for a chat
	}
	return nil
}

// cloudEvent gives the reading of an event in a body.
func (m *message) cloudEvent(format string, count int) *Reading {
	return &Reading{
		Format: format, Type: string(m.Type), ID: string(m.ID), Source: string(m.Source), Subject: string(m.Subject), Count: count,
	}
}

// named says which contract a CloudEvent is of. Under the native one the
// notification has an id of its own; without it, and without a type of Fatture
// in Cloud, it can be anyone's.
func (r *Request) named(reading *Reading) *Reading {
	id := r.field("webhook-id")
	switch {
	case strings.HasPrefix(reading.Type, ficTypes) && id == "":
		reading.Contract = FattureInCloud
	case id != "":
		reading.Contract, reading.ID = Native, id
	}
	return reading
}

// field gives the value of a header field, whose name is in lower case; those
// of several with a comma between them.
func (r *Request) field(name string) string {
	var all []string
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			all = append(all, h.Value)
		}
	}
	return strings.Join(all, ", ")
}

// Sink is the URL of the request as it was registered: without what a challenge
// by query has added.
func (r *Request) Sink(reading *Reading) string {
	if reading.Kind != Challenge || reading.Way != ByQuery {
		return r.URL
	}
	for _, field := range []string{ficChallenge, nativeChallenge} {
		if at := strings.LastIndex(r.URL, field+"="); at > 0 {
			return strings.TrimRight(r.URL[:at], "?&")
		}
	}
	return r.URL
}
