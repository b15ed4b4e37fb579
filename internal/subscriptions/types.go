package subscriptions

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// protocolHTTP is the one protocol of section 3.2.3 that is spoken here.
const protocolHTTP = "HTTP"

// The handshakes of the native contract that this door names by itself.
const (
	handshakeChallenge = "challenge"
	handshakeOptions   = "options"
)

// signatureNone is the default here: this API has no member for a secret.
const signatureNone = "none"

// The members of config. The published description has strings for values, so
// strings are what is answered; numbers and Booleans are taken as well.
const (
	keyCompany   = "company"
	keyFormat    = "format"
	keyHandshake = "handshake"
	keySignature = "signature"
	keyThin      = "thin"
	keyRate      = "rate"
	keySecret    = "secret"    // in the answer to create alone
	keyPublicKey = "publickey" // in answers alone
)

// A subscription is one as it is answered: no secret, and of the fields that
// are sent along the names alone.
type subscription struct {
	ID             string            `json:"id"`
	Source         string            `json:"source,omitempty"`
	Types          []string          `json:"types,omitempty"` // none = all
	Config         map[string]string `json:"config"`
	Filters        json.RawMessage   `json:"filters,omitempty"`
	Sink           string            `json:"sink"`
	Credential     *credential       `json:"sinkcredential,omitempty"`
	Protocol       string            `json:"protocol"`
	Settings       settings          `json:"protocolsettings"`
	State          fattorino.State   `json:"state"`                    // ours: whether the sink has proved itself
	HandshakeError string            `json:"handshakeerror,omitempty"` // ours: why it has not
}

// settings are the protocolsettings of HTTP. In answers the values of headers
// are empty; on update an empty value stands for the one that is kept.
type settings struct {
	Headers map[string]string `json:"headers,omitempty"`
	Method  string            `json:"method,omitempty"`
}

// show gives a subscription as its owner sees it.
func (d *Door) show(sub *fattorino.Subscription) (subscription, error) {
	o := sub.Options
	shown := subscription{
		ID: strconv.FormatInt(sub.ID, 10), Types: sub.Types, Sink: sub.Sink, Protocol: protocolHTTP,
		Settings: settings{Method: http.MethodPost}, State: sub.State, HandshakeError: sub.Handshake.Error,
		Config: map[string]string{
			keyCompany: strconv.FormatInt(sub.Company, 10), keyFormat: string(sub.Format), keyHandshake: o.Handshake,
		},
	}
	if slices.Equal(sub.Types, allTypes()) {
		shown.Types = nil
	}
	if sub.Format == "" {
		shown.Config[keyFormat] = string(fattorino.Binary)
	}
	if o.Handshake == "" {
		shown.Config[keyHandshake] = handshakeChallenge
	}
	if signature := signatureOf(sub); signature != signatureNone {
		shown.Config[keySignature] = signature
	}
	if o.Thin {
		shown.Config[keyThin] = "true"
	}
	if o.Rate > 0 {
		shown.Config[keyRate] = strconv.Itoa(o.Rate)
	}
	if len(sub.Secrets) > 0 {
		public, err := d.rules.PublicKey(sub.Secrets[0])
		if err != nil {
			return shown, err
		}
		if public != "" {
			shown.Config[keyPublicKey] = public
		}
	}
	fields, err := d.rules.OpenHeaders(o.Headers)
	if err != nil {
		return shown, err
	}
	shown.Credential, shown.Settings.Headers = showFields(fields, o.Metadata[expiryKey])
	shown.Source, shown.Filters, err = splitSource(sub.Filters)
	return shown, err
}

// signatureOf names the signature of a subscription; where the native API was
// left to choose, its secrets sign by the scheme "v1".
func signatureOf(sub *fattorino.Subscription) string {
	switch {
	case sub.Options.Signature != "":
		return sub.Options.Signature
	case len(sub.Secrets) > 0:
		return "v1"
	}
	return signatureNone
}

// allTypes stands for a subscription without types.
func allTypes() []string { return []string{"*"} }

// withoutQuery gives a sink without the parts that can hold secrets: user and
// password, query, fragment. It is no sink itself: forCreate and forReplace
// refuse it.
func withoutQuery(sink string) string {
	if end := strings.IndexAny(sink, "?#"); end >= 0 {
		sink = sink[:end+1] + hidden
	}
	scheme, rest, _ := strings.Cut(sink, "://")
	authority, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = hidden + authority[at:]
	}
	if hasPath {
		path = "/" + path
	}
	return scheme + "://" + authority + path
}

// hidden stands for a part of a sink that is not shown.
const hidden = "…"

// A sourceFilter is how the member source is kept: as the last of the filters,
// in a form that is told from a client's own.
type sourceFilter struct {
	All []exactFilter `json:"all"`
}

type exactFilter struct {
	Exact map[string]string `json:"exact"`
}

func marshalSource(source string) (json.RawMessage, error) {
	return json.Marshal(sourceFilter{[]exactFilter{{map[string]string{"source": source}}}})
}

// joinSource gives the filters that are kept: the client's own, so that faults
// in them keep their places, and the source's.
func joinSource(filters []json.RawMessage, source *string) ([]byte, error) {
	if source != nil {
		own, err := marshalSource(*source)
		if err != nil {
			return nil, err
		}
		filters = append(slices.Clone(filters), own)
	}
	if len(filters) == 0 {
		return nil, nil
	}
	return json.Marshal(filters)
}

// splitSource takes apart what joinSource put together.
func splitSource(kept []byte) (source string, filters json.RawMessage, err error) {
	if len(kept) == 0 {
		return "", nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(kept, &list); err != nil {
		return "", nil, fmt.Errorf("kept filters: %w", err)
	}
	if n := len(list) - 1; n >= 0 {
		if source = sourceIn(list[n]); source != "" {
			list = list[:n]
		}
	}
	if len(list) == 0 {
		return source, nil, nil
	}
	filters, err = json.Marshal(list)
	return source, filters, err
}

// sourceIn gives the source that a filter was made of; empty where it is
// another.
func sourceIn(filter json.RawMessage) string {
	var f sourceFilter
	if json.Unmarshal(filter, &f) != nil || len(f.All) != 1 {
		return ""
	}
	source := f.All[0].Exact["source"]
	if own, err := marshalSource(source); err != nil || string(own) != string(filter) {
		return ""
	}
	return source
}

// options gives the options of a subscription that is as the wish says, and as
// before in all that this API has no member for.
func (w *wish) options(before fattorino.Options, sealed []byte) fattorino.Options {
	o := before
	o.Thin, o.Rate, o.Headers = w.thin, w.rate, sealed
	if w.handshake != "" {
		o.Handshake = w.handshake
	}
	if _, kept := o.Metadata[expiryKey]; kept || !w.expires.IsZero() {
		o.Metadata = maps.Clone(o.Metadata)
		if o.Metadata == nil {
			o.Metadata = map[string]string{}
		}
		delete(o.Metadata, expiryKey)
		if !w.expires.IsZero() {
			o.Metadata[expiryKey] = w.expires.UTC().Format(time.RFC3339)
		}
	}
	return o
}
