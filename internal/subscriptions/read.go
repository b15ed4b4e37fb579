package subscriptions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxBody bounds the body of a request: filters may have 64 KiB.
const maxBody = 128 << 10

// A body is a subscription as it is sent in. The decoder compares names without
// regard to case, by which the camelCase of older documents is taken too. What
// answers add is taken, so that one can be sent back, and ignored.
type body struct {
	ID         json.RawMessage            `json:"id"`
	Source     *string                    `json:"source"`
	Types      []string                   `json:"types"`
	Config     map[string]json.RawMessage `json:"config"`
	Filters    json.RawMessage            `json:"filters"`
	Sink       string                     `json:"sink"`
	Credential *credential                `json:"sinkcredential"`
	Protocol   string                     `json:"protocol"`
	Settings   *settings                  `json:"protocolsettings"`

	State          json.RawMessage `json:"state"`
	HandshakeError json.RawMessage `json:"handshakeerror"`
}

// A wish is a body that has been read and keeps the rules of this API.
type wish struct {
	id        string // that of the body; empty = it has none
	company   int64  // 0 = it does not say
	sink      string
	types     []string
	filters   []byte
	format    fattorino.Format
	handshake string // empty = not said
	signature string // empty = not said
	secret    bool   // it brings a secret
	thin      bool
	rate      int

	credential *credential
	expires    time.Time // of the access token; zero = not said
	headers    map[string]string
}

// faults collects broken rules.
type faults []fattorino.Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the subscription breaks a rule", Faults: *f}
}

// read reads the body of create and update.
func (d *Door) read(w http.ResponseWriter, r *http.Request) (*wish, error) {
	text, err := httpjson.ReadBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	return parse(text, d.rules.Catalog())
}

// parse reads a subscription, whose types must be possible under the catalog.
// It fails with Malformed for what is no JSON, else with Invalid.
func parse(text []byte, catalog *fattorino.Catalog) (*wish, error) {
	var b body
	if err := httpjson.Unmarshal(text, &b); err != nil {
		e := *fattorino.AsError(err)
		if e.Fix != "" {
			e.Fix = "compare the member with /subscriptions/openapi.yaml, its name and the form of its value, or leave it out"
		}
		return nil, &e
	}
	if first := bytes.TrimSpace(text)[0]; first != '{' {
		return nil, fattorino.Errorf(fattorino.Invalid, "the body is not a JSON object")
	}
	var f faults
	w := &wish{id: idText(b.ID), sink: b.Sink, types: f.types(b.Types, catalog), credential: b.Credential, expires: f.expiry(b.Credential)}
	f.config(w, b.Config)
	f.sink(b.Sink)
	f.protocol(b.Protocol)
	if b.Settings != nil {
		w.headers = b.Settings.Headers
		if !isPost(b.Settings.Method) {
			f.add("protocolsettings.method", "notifications are sent by POST")
		}
	}
	f.source(b.Source)
	var filters []json.RawMessage
	if len(b.Filters) > 0 && json.Unmarshal(b.Filters, &filters) != nil {
		f.add("filters", "are not an array")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	var err error
	w.filters, err = joinSource(filters, b.Source)
	return w, err
}

func (f *faults) sink(sink string) {
	switch {
	case sink == "":
		f.add("sink", "is required")
	case strings.Contains(sink, hidden):
		f.add("sink", "is as lists show it, without its query")
	}
}

func (f *faults) protocol(name string) {
	switch name {
	case protocolHTTP:
	case "":
		f.add("protocol", "is required: HTTP")
	default:
		f.add("protocol", "%q is not spoken here: use HTTP, in upper case", name)
	}
}

func (f *faults) source(source *string) {
	if source == nil {
		return
	}
	if _, err := url.Parse(*source); err != nil || *source == "" || strings.ContainsFunc(*source, isBlank) {
		f.add("source", "is not a URI reference")
	}
}

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

// idText gives the id of a body, which the published example writes as a
// number.
func idText(raw json.RawMessage) string {
	text, _ := scalar(raw)
	return text
}

// types checks the types; none at all are all there are.
func (f *faults) types(names []string, catalog *fattorino.Catalog) []string {
	if names == nil {
		return allTypes()
	}
	if len(names) == 0 {
		f.add("types", "are none at all: leave the member out to hear all types")
	}
	for i, name := range names {
		if len(catalog.Explode(name)) == 0 {
			f.add(fmt.Sprintf("types.%d", i), "%q cannot be an event type", name)
		}
	}
	return names
}

// config reads the configuration.
func (f *faults) config(w *wish, members map[string]json.RawMessage) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		place := "config." + name
		text, ok := scalar(members[name])
		if !ok {
			f.add(place, "is not a string, number or Boolean")
			continue
		}
		if string(members[name]) == "null" {
			continue
		}
		var err error
		switch name {
		case keyCompany:
			if w.company, err = strconv.ParseInt(text, 10, 64); err != nil || w.company <= 0 {
				f.add(place, "is not a positive integer")
			}
		case keyFormat:
			w.format = fattorino.Format(text)
		case keyHandshake:
			w.handshake = text
		case keySignature:
			w.signature = text
		case keyThin:
			if w.thin, err = strconv.ParseBool(text); err != nil {
				f.add(place, "is neither true nor false")
			}
		case keyRate:
			if w.rate, err = strconv.Atoi(text); err != nil || w.rate < 1 {
				f.add(place, "is not a positive number of requests in a minute")
			}
		case keySecret:
			w.secret = true
		case keyPublicKey:
		default:
			f.add(place, "is not known: there are company, format, handshake, signature, thin, rate")
		}
	}
}

// scalar gives the text of a string, number or Boolean; empty for null and
// where there is nothing.
func scalar(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", true
	}
	switch raw[0] {
	case '"':
		return text, json.Unmarshal(raw, &text) == nil
	case '{', '[':
		return "", false
	}
	return string(raw), true
}

// forCreate makes the use case's wish and holds it to the rules of the
// contract.
func (d *Door) forCreate(w *wish, company int64) (*fattorino.NewSubscription, error) {
	if w.secret {
		return nil, fattorino.InvalidField("config.secret", "secrets are made here: choose a signature, and the answer has one")
	}
	before := fattorino.Options{Handshake: d.handshake, Signature: signatureNone}
	if w.signature != "" {
		before.Signature = w.signature
	}
	return d.accept(w, company, before, nil, nil)
}

// forReplace makes the change that leads from a subscription to the wish.
func (d *Door) forReplace(w *wish, sub *fattorino.Subscription) (fattorino.SubscriptionChange, error) {
	none := fattorino.SubscriptionChange{}
	if id := strconv.FormatInt(sub.ID, 10); w.id != "" && w.id != id {
		return none, fattorino.InvalidField("id", "is %q, and the path says %s", w.id, id)
	}
	if w.signature != "" && w.signature != signatureOf(sub) {
		return none, fattorino.InvalidField("config.signature", "cannot be changed: create another subscription, and delete this one")
	}
	var kept []fattorino.Header
	if sameOrigin(w.sink, sub.Sink) {
		var err error
		if kept, err = d.rules.OpenHeaders(sub.Options.Headers); err != nil {
			return none, err
		}
	}
	n, err := d.accept(w, sub.Company, sub.Options, sub.Secrets, kept)
	if err != nil {
		return none, err
	}
	return fattorino.SubscriptionChange{
		Sink: &n.Sink, Types: n.Types, Format: &n.Format, Method: n.Method, Filters: &n.Filters, Options: &n.Options,
	}, nil
}

// accept makes of a wish what a subscription shall be, and holds it to the
// rules of the contract.
func (d *Door) accept(w *wish, company int64, before fattorino.Options, secrets []fattorino.Secret, kept []fattorino.Header) (*fattorino.NewSubscription, error) {
	fields, err := w.fields(kept)
	if err != nil {
		return nil, err
	}
	sealed, err := d.rules.SealHeaders(fields)
	if err != nil {
		return nil, err
	}
	n := &fattorino.NewSubscription{
		Company: company, Contract: d.rules.Name(), Sink: w.sink, Types: w.types, Format: w.format,
		Method: fattorino.ByHeader, Filters: w.filters, Options: w.options(before, sealed), Secrets: secrets,
	}
	if err := d.rules.CheckOptions(n); err != nil {
		return nil, blame(err)
	}
	return n, nil
}
