// Package contracts_test holds what is true of every contract: however a
// subscriber hears of an event, it hears the same facts.
package contracts_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Any valid event carries the same facts through the native contract, in every
// format, whole and thin.
func TestNative_AnyEventCarriesTheSameFacts(t *testing.T) {
	t.Parallel()
	c := newContracts(t)
	formats := map[fattorino.Format]func(*rapid.T, *fattorino.Request, *told){
		fattorino.Binary: cloudEvent, fattorino.Structured: cloudEvent, fattorino.Standard: standard,
		chat.Slack: slack, chat.Teams: teams, chat.Discord: discord,
	}
	for format, check := range formats {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				e := c.event().Draw(t, "event")
				s, said := c.nativeSubscription(t, format, e)
				r := attempts(t, s, e, func(s *fattorino.Subscription, at time.Time) (*fattorino.Request, error) {
					return c.native.Notification(s, e, at)
				})
				check(t, r, said[0])
			})
		})
	}
	t.Run(string(fattorino.Batched), func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			events := rapid.SliceOfN(c.event(), 1, 5).Draw(t, "events")
			s, said := c.nativeSubscription(t, fattorino.Batched, events...)
			r := attempts(t, s, events[0], func(s *fattorino.Subscription, at time.Time) (*fattorino.Request, error) {
				return c.native.BatchNotification(s, events, at)
			})
			got, batch, err := cloudevents.Decode(field(r, "Content-Type"), nil, r.Body)
			if err != nil || !batch || len(got) != len(events) {
				t.Fatalf("%d events of %d, batch %v: %v", len(got), len(events), batch, err)
			}
			for i := range got {
				sameEvent(t, got[i], said[i])
			}
		})
	})
}

// told is an event and how a native subscription is to hear of it.
type told struct {
	*fattorino.Event
	as   string // its name
	thin bool
}

// nativeSubscription draws a subscription to the events, by their own names or
// to all that there is, and with it what each is to be called.
func (c *contracts) nativeSubscription(t *rapid.T, format fattorino.Format, events ...*fattorino.Event) (*fattorino.Subscription, []*told) {
	s := &fattorino.Subscription{ID: 42, Company: company, App: 7, Contract: native.Name, Sink: sink, Format: format, Types: []string{"*"}}
	s.Options.Thin = rapid.Bool().Draw(t, "thin")
	if s.Options.Signature = c.native.DefaultSignature(format); s.Options.Signature == sign.SchemeV1 {
		s.Secrets = c.secrets
	}
	byOwnName := rapid.Bool().Draw(t, "by their own names")
	var said []*told
	for _, e := range events {
		name, _ := c.native.Catalog().TypeOf(e)
		if byOwnName {
			name = e.Type
			s.Types = append(s.Types, e.Type)
		}
		said = append(said, &told{Event: e, as: name, thin: s.Options.Thin})
	}
	return s, said
}

// cloudEvent reads a notification in binary or structured mode.
func cloudEvent(t *rapid.T, r *fattorino.Request, want *told) {
	header := http.Header{}
	for _, f := range r.Header {
		header.Add(f.Name, f.Value)
	}
	got, batch, err := cloudevents.Decode(header.Get("Content-Type"), header, r.Body)
	if err != nil || batch || len(got) != 1 {
		t.Fatalf("%d events, batch %v: %v", len(got), batch, err)
	}
	sameEvent(t, got[0], want)
}

// sameEvent holds a CloudEvent to what was published.
func sameEvent(t *rapid.T, got *fattorino.Event, want *told) {
	equal(t, "id, source, type, subject",
		[]string{got.ID, got.Source, got.Type, got.Subject}, []string{want.ID, want.Source, want.as, want.Subject})
	if !got.Time.Equal(want.Time) {
		t.Errorf("time %v, want %v", got.Time, want.Time)
	}
	// Extensions are compared in their canonical form: headers know no types.
	extensions := map[string]string{"companyid": strconv.Itoa(company), "partitionkey": want.Entity.String()}
	for name, value := range want.Extensions {
		extensions[name] = fmt.Sprint(value)
	}
	if want.Seq > 0 {
		extensions["sequence"] = fmt.Sprintf("%019d", want.Seq)
	}
	heard := map[string]string{}
	for name, value := range got.Extensions {
		heard[name] = fmt.Sprint(value)
	}
	equal(t, "extensions", heard, extensions)
	if want.thin {
		thin(t, got.Data, want)
		return
	}
	equal(t, "data", string(got.Data), string(want.Data))
}

// thin holds the data of a thin notification to the event.
func thin(t *rapid.T, data []byte, want *told) {
	type facts struct {
		IDs    []string `json:"ids"`
		Entity string   `json:"entity"`
		URL    string   `json:"url"`
	}
	w := facts{IDs: want.Entity.IDs, Entity: want.Entity.String()}
	if want.Seq > 0 {
		w.URL = fmt.Sprintf("%s/v1/companies/%d/events?after=%d&limit=1", baseURL, company, want.Seq-1)
	}
	equal(t, "thin data", read[facts](t, data), w)
}

// standard reads a notification in the form of Standard Webhooks.
func standard(t *rapid.T, r *fattorino.Request, want *told) {
	got := read[struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}](t, r.Body)
	equal(t, "type", got.Type, want.as)
	if !got.Timestamp.Equal(want.Happened()) {
		t.Errorf("timestamp %v, want %v", got.Timestamp, want.Happened())
	}
	if want.thin {
		thin(t, got.Data, want)
		return
	}
	sameData(t, got.Data, want.Event)
}

// sameData holds data that is one JSON value to the event's: JSON verbatim,
// text as a string, bytes as one in base64, null where there is none.
func sameData(t *rapid.T, got json.RawMessage, e *fattorino.Event) {
	switch e.Form {
	case fattorino.JSONData:
		equal(t, "JSON data", string(got), string(e.Data))
	case fattorino.TextData:
		equal(t, "text", read[string](t, got), string(e.Data))
	case fattorino.BinaryData:
		equal(t, "bytes", string(read[[]byte](t, got)), string(e.Data)) // encoding/json reads base64
	case fattorino.NoData:
		equal(t, "no data", string(got), "null")
	}
}

// An event is told under facturascripts where its catalog has a name for it.
func TestFacturaScripts_AnyEventCarriesTheSameFacts(t *testing.T) {
	t.Parallel()
	c := newContracts(t)
	rapid.Check(t, func(t *rapid.T) {
		e := c.event().Draw(t, "event")
		s := &fattorino.Subscription{ID: 42, Company: company, App: 7, Contract: facturascripts.Name, Sink: sink, Secrets: c.secrets}
		name, ok := c.facturascripts.Catalog().TypeOf(e)
		if !ok {
			refused(t, c.facturascripts, s, e)
			return
		}
		r := attempts(t, s, e, func(s *fattorino.Subscription, at time.Time) (*fattorino.Request, error) {
			return c.facturascripts.Notification(s, e, at)
		})
		type body struct {
			ID        string          `json:"id"`
			Event     string          `json:"event"`
			Timestamp int64           `json:"timestamp"`
			Data      json.RawMessage `json:"data"`
		}
		got := read[body](t, r.Body)
		equal(t, "id, event", []string{got.ID, got.Event}, []string{field(r, "webhook-id"), name})
		equal(t, "timestamp", got.Timestamp, e.Happened().Unix())
		sameData(t, got.Data, e)
	})
}

// Under defacto every event has a name; data that is no JSON is no resource.
func TestDefacto_AnyEventCarriesTheSameFacts(t *testing.T) {
	t.Parallel()
	c := newContracts(t)
	rapid.Check(t, func(t *rapid.T) {
		e := c.event().Draw(t, "event")
		s := &fattorino.Subscription{ID: 42, Company: company, App: 7, Contract: c.defacto.Name(), Sink: sink}
		r := attempts(t, s, e, func(s *fattorino.Subscription, at time.Time) (*fattorino.Request, error) {
			return c.defacto.Notification(s, e, at)
		})
		got := read[struct {
			ID        string          `json:"id"`
			EventType string          `json:"event_type"`
			Timestamp time.Time       `json:"timestamp"`
			State     json.RawMessage `json:"entity_state"`
		}](t, r.Body)
		name, _ := c.defacto.Catalog().TypeOf(e)
		equal(t, "id, event_type", []string{got.ID, got.EventType}, []string{strings.Join(e.Entity.IDs, ","), name})
		if !got.Timestamp.Equal(e.Happened().Truncate(time.Microsecond)) {
			t.Errorf("timestamp %v, want %v", got.Timestamp, e.Happened())
		}
		if id := field(r, "Webhook-Id"); !e.Private() {
			equal(t, "Webhook-Id", id, fmt.Sprintf("%d-%d", s.ID, e.Seq))
		} else if !strings.HasPrefix(id, "42-") || len(id) != len("42-")+36 { // a test has no seq, and a UUID in its place
			t.Errorf("Webhook-Id %q", id)
		}
		state := "null"
		if e.Form == fattorino.JSONData {
			state = string(e.Data)
		}
		equal(t, "entity_state", string(got.State), state)
	})
}

// An event is told under fic where its catalog has a name for it and its ids
// are integers: type, company, time to the second, and ids.
func TestFIC_AnyEventCarriesTheSameFacts(t *testing.T) {
	t.Parallel()
	c := newContracts(t)
	for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				e := c.event().Draw(t, "event")
				s := &fattorino.Subscription{ID: 42, Company: company, App: 7, Contract: c.fic.Name(), Sink: sink, Format: format}
				name, ok := c.fic.Catalog().TypeOf(e)
				if !ok || slices.ContainsFunc(e.Entity.IDs, func(id string) bool { return !integer.MatchString(id) }) {
					refused(t, c.fic, s, e)
					return
				}
				r := attempts(t, s, e, func(s *fattorino.Subscription, at time.Time) (*fattorino.Request, error) {
					return c.fic.Notification(s, e, at)
				})
				sameFIC(t, r, name, e)
				next := *e
				next.ID += "x"
				other, err := c.fic.Notification(s, &next, first)
				if err != nil {
					t.Fatal(err)
				}
				if deliveryID(other) == deliveryID(r) {
					t.Errorf("the events %q and %q have the id %s", e.ID, next.ID, deliveryID(r))
				}
			})
		})
	}
}

var (
	integer = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,18})$`)
	uuid    = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// sameFIC holds a notification of Fatture in Cloud to the event.
func sameFIC(t *rapid.T, r *fattorino.Request, name string, e *fattorino.Event) {
	header := http.Header{}
	for _, f := range r.Header {
		header.Add(f.Name, f.Value)
	}
	events, _, err := cloudevents.Decode(header.Get("Content-Type"), header, r.Body)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events: %v", len(events), err)
	}
	got := events[0]
	equal(t, "type, subject", []string{got.Type, got.Subject}, []string{name, fmt.Sprintf("company:%d", company)})
	if !got.Time.Equal(e.Happened().Truncate(time.Second)) {
		t.Errorf("time %v, want %v", got.Time, e.Happened())
	}
	id, ours := strings.CutPrefix(got.ID, "42:")
	if !ours || !uuid.MatchString(id) || (uuid.MatchString(e.ID) && id != strings.ToLower(e.ID)) {
		t.Errorf("id %q of the event %q", got.ID, e.ID)
	}
	data := `{"ids":[` + strings.Join(e.Entity.IDs, ",") + `]}`
	if !strings.HasPrefix(header.Get("Content-Type"), "application/cloudevents") {
		data = `{"data":` + data + `}`
	}
	equal(t, "data", string(got.Data), data)
}

// attempts builds the notification twice, as for two attempts, and gives the
// first: a POST to the sink, with a legal header and JSON or the event's own
// data for a body. Body and id are the same both times, and the id is another
// for another subscription.
func attempts(t *rapid.T, s *fattorino.Subscription, e *fattorino.Event, notify func(*fattorino.Subscription, time.Time) (*fattorino.Request, error)) *fattorino.Request {
	r, err := notify(s, first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := notify(s, later)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "method and URL", r.Method+" "+r.URL, "POST "+sink)
	equal(t, "the body of the second attempt", string(again.Body), string(r.Body))
	equal(t, "the content type of the second attempt", field(again, "Content-Type"), field(r, "Content-Type"))
	equal(t, "the id of the second attempt", deliveryID(again), deliveryID(r))
	another := s.Clone()
	another.ID++
	other, err := notify(another, first)
	if err != nil {
		t.Fatal(err)
	}
	if deliveryID(other) == deliveryID(r) {
		t.Errorf("two subscriptions have the id %s", deliveryID(r))
	}
	for _, f := range r.Header {
		if !legalName.MatchString(f.Name) || !legalValue.MatchString(f.Value) {
			t.Errorf("the header field %q: %q", f.Name, f.Value)
		}
	}
	isJSON := strings.HasPrefix(field(r, "Content-Type"), "application/") && strings.Contains(field(r, "Content-Type"), "json")
	if isJSON && !json.Valid(r.Body) {
		t.Errorf("the body is no JSON: %s", r.Body)
	}
	if !isJSON && field(r, "Content-Type") != e.DataContentType {
		t.Errorf("the content type %q is none of the event's", field(r, "Content-Type"))
	}
	return r
}

// deliveryID gives the id by which a receiver knows a repeat: the header field,
// or, in structured mode of Fatture in Cloud, which has none, the event's.
func deliveryID(r *fattorino.Request) string {
	for _, name := range []string{"webhook-id", "ce-id"} {
		if id := field(r, name); id != "" {
			return id
		}
	}
	var body struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(r.Body, &body) // a body that is no JSON has no id
	return body.ID
}

// What a header field may be (RFC 9110, sections 5.1 and 5.5), in ASCII.
var (
	legalName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	legalValue = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
)

// refused makes sure that a contract that cannot tell of the event says so.
func refused(t *rapid.T, c fattorino.Contract, s *fattorino.Subscription, e *fattorino.Event) {
	if r, err := c.Notification(s, e, first); err == nil {
		t.Errorf("told of what it has no words for: %s", r.Body)
	}
}

// field gives a header field's value.
func field(r *fattorino.Request, name string) string {
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

func read[T any](t *rapid.T, data []byte) (v T) {
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

func equal[T any](t *rapid.T, what string, got, want T) {
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
