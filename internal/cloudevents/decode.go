package cloudevents

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The media types of the JSON format (CloudEvents JSON format 1.0.2, sections
// 3 and 4).
const (
	StructuredType = "application/cloudevents+json"
	BatchType      = "application/cloudevents-batch+json"
)

// The codes of Malformed errors that a door answers differently from other
// unreadable requests.
const (
	// CodeUnsupportedMediaType: the request holds CloudEvents in a format that
	// is not spoken here, as Avro. HTTP doors answer 415.
	CodeUnsupportedMediaType = "unsupported_media_type"
	// CodeNotCloudEvent: neither the content type nor the headers tell of a
	// CloudEvent.
	CodeNotCloudEvent = "not_a_cloudevent"
)

// Decode reads the event or events of a request, which mode they are in being
// told by contentType (HTTP binding 1.0.2, section 3). batch tells whether
// they came as a batch, which may be empty; otherwise there is exactly one.
//
// It fills what the producer said: the CloudEvents attributes, Data and Form.
// The events share no memory with header and body.
//
// Form follows from the mode. In JSON, from the member and datacontenttype:
// JSONData for JSON content, TextData for a string of another content type,
// BinaryData for data_base64. In binary mode from the content type: JSONData
// where it is JSON, TextData where it is text/* or XML and the body is UTF-8,
// BinaryData otherwise, NoData for an empty body. An absent datacontenttype
// stays absent, though it means JSON where data is present.
//
// The error is a [*fattorino.Error]: Malformed where the request cannot be
// read, Invalid where an event breaks a rule. Each fault names its attribute,
// in a batch as "events.3.source". No event is given with an error.
func Decode(contentType string, header http.Header, body []byte) (events []*fattorino.Event, batch bool, err error) {
	switch {
	case hasPrefixFold(contentType, "application/cloudevents-batch"):
		// First, as it shares the prefix of the structured mode.
		if err := supported(contentType, BatchType); err != nil {
			return nil, true, err
		}
		events, err := decodeBatch(body)
		return events, true, err
	case hasPrefixFold(contentType, "application/cloudevents"):
		if err := supported(contentType, StructuredType); err != nil {
			return nil, false, err
		}
		e, err := decodeStructured(body)
		return one(e, err)
	}
	e, err := decodeBinary(contentType, header, body)
	return one(e, err)
}

// one gives e as the only event of a request.
func one(e *fattorino.Event, err error) ([]*fattorino.Event, bool, error) {
	if err != nil {
		return nil, false, err
	}
	return []*fattorino.Event{e}, false, nil
}

// supported tells whether a content type that starts like want is want, in
// UTF-8, the only encoding of JSON between systems (RFC 8259, section 8.1).
func supported(contentType, want string) error {
	if contentType == want {
		return nil
	}
	m, ok := parseMedia(contentType)
	if ok && strings.EqualFold(m.name, want) && m.utf8() {
		return nil
	}
	return &fattorino.Error{
		Kind: fattorino.Malformed, Code: CodeUnsupportedMediaType,
		Msg: "this format of CloudEvents is not supported",
		Fix: "Send the event as JSON with Content-Type " + StructuredType +
			", several as " + BatchType + ", or one in binary mode with ce- headers.",
	}
}

// decodeBatch reads a JSON array of events (JSON format 1.0.2, section 4).
func decodeBatch(body []byte) ([]*fattorino.Event, error) {
	s := scanner{text: body}
	if err := s.start('[', "a batch is a JSON array of events",
		"Send a JSON array, or a single event with Content-Type "+StructuredType+"."); err != nil {
		return nil, err
	}
	var found faults
	events := []*fattorino.Event{}
	err := s.list(']', func() error {
		found.at = "events." + strconv.Itoa(len(events))
		e, err := readEvent(&s, &found)
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := conclude(&s, &found); err != nil {
		return nil, err
	}
	return events, nil
}

// decodeStructured reads one event written as a JSON object.
func decodeStructured(body []byte) (*fattorino.Event, error) {
	s := scanner{text: body}
	if err := s.start('{', "an event in structured mode is a JSON object",
		"Send one JSON object, or a JSON array of them with Content-Type "+BatchType+"."); err != nil {
		return nil, err
	}
	var found faults
	e, err := readEvent(&s, &found)
	if err != nil {
		return nil, err
	}
	if err := conclude(&s, &found); err != nil {
		return nil, err
	}
	return e, nil
}

// start goes to the document's first byte, which has to be open.
func (s *scanner) start(open byte, msg, fix string) error {
	if !utf8.Valid(s.text) {
		return notUTF8()
	}
	s.space()
	if c := s.peek(); c != open && (c == '{' || c == '[' || c == '"') {
		return &fattorino.Error{Kind: fattorino.Malformed, Msg: msg, Fix: fix}
	}
	if s.peek() != open {
		return s.fail("expected " + string(open))
	}
	return nil
}

// conclude makes sure that the document ends here and that nothing was found
// wrong in it.
func conclude(s *scanner, found *faults) error {
	if err := s.end(); err != nil {
		return err
	}
	return found.err()
}

// maxFaults bounds the faults that one answer tells of.
const maxFaults = 32

// faults gathers what is wrong with the events of a request.
type faults struct {
	at   string // path of the event being read; empty where there is just one
	list []fault
}

// A fault is a broken rule and its remedy.
type fault struct {
	fattorino.Fault
	fix string
}

// add notes that the named attribute of the event being read breaks a rule.
func (f *faults) add(name, msg, fix string) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, fault{fattorino.Fault{Field: f.path(name), Msg: msg}, fix})
	}
}

// path names an attribute of the event being read; the empty name is the
// event itself.
func (f *faults) path(name string) string {
	if f.at == "" || name == "" {
		return f.at + name
	}
	return f.at + "." + name
}

// err gives the faults as one error; nil when there are none.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	e := &fattorino.Error{Kind: fattorino.Invalid, Msg: "not a valid CloudEvent 1.0"}
	var fixes []string
	for _, x := range f.list {
		e.Faults = append(e.Faults, x.Fault)
		if !slices.Contains(fixes, x.fix) {
			fixes = append(fixes, x.fix)
		}
	}
	if len(e.Faults) == 1 {
		e.Msg = e.Faults[0].Field + " " + e.Faults[0].Msg
	}
	e.Fix = strings.Join(fixes, " ")
	return e
}
