package cloudevents

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// readEvent goes past one event of the JSON format (JSON format 1.0.2,
// sections 2 and 3). Its error is one of the JSON text; broken rules go to
// found.
func readEvent(s *scanner, found *faults) (*fattorino.Event, error) {
	if s.peek() != '{' {
		found.add("", "is not a JSON object", "Write every event as a JSON object.")
		_, err := s.value(0)
		return nil, err
	}
	d := newDraft(found)
	var payload, payload64 []byte // the values of data and data_base64, as they stand
	err := s.list('}', func() error {
		// A value's depth is counted from the event, so that what passes in
		// one mode passes in all.
		key, value, err := s.member(0)
		if err != nil {
			return err
		}
		name, ok := unquote(key)
		if !ok {
			found.add("", "has a member whose name holds half a surrogate pair", fixSurrogate)
			return nil
		}
		a := attributeOf(name)
		if !d.claim(a, name) {
			return nil
		}
		switch a {
		case data:
			payload = value
		case dataBase64:
			payload64 = value
		default:
			d.member(a, name, value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.payload(payload, payload64)
	return d.finish(), nil
}

// member sets an attribute from its JSON value: null stands for absence; a
// string for any type; boolean and integer only for extensions, as no other
// attribute has these types (JSON format 1.0.2, section 2.2).
func (d *draft) member(a attribute, name, value []byte) {
	switch c := value[0]; {
	case c == '"':
		text, ok := unquote(value)
		if !ok {
			d.faults.add(string(name), "holds half a surrogate pair", fixSurrogate)
			return
		}
		d.set(a, name, shared(text))
	case c == 'n':
		d.skip(a, name)
	case a != extension:
		d.faults.add(string(name), "must be a JSON string", "Write "+string(name)+" as a JSON string.")
	case c == 't' || c == 'f':
		d.extend(name, c == 't')
	default:
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			d.faults.add(string(name), "must be a string, a boolean or an integer from -2147483648 to 2147483647",
				"Write other values as strings, or move them into data.")
			return
		}
		d.extend(name, int32(n))
	}
}

// shared gives the text as a string; those that nearly every event holds take
// no memory of their own.
func shared(text []byte) string {
	switch string(text) {
	case "1.0":
		return "1.0"
	case "application/json":
		return "application/json"
	}
	return string(text)
}

// payload sets the data from the members data and data_base64, which are nil
// where they did not come (JSON format 1.0.2, section 3.1).
func (d *draft) payload(value, base64Value []byte) {
	if len(base64Value) > 0 && base64Value[0] != 'n' {
		if value != nil {
			d.faults.add("data_base64", "excludes data: an event has one of them", "Send data or data_base64, not both.")
			return
		}
		d.binaryPayload(base64Value)
		return
	}
	typed := d.event.DataContentType != ""
	switch {
	case value == nil || typed && d.media.name == "":
		// Nothing came, or nobody can say how to read it.
	case !typed || d.media.json():
		// An absent content type means JSON.
		d.event.Data, d.event.Form = bytes.Clone(value), fattorino.JSONData
	default:
		d.textPayload(value)
	}
}

// textPayload sets data of a content type that is not JSON.
func (d *draft) textPayload(value []byte) {
	if value[0] != '"' {
		d.faults.add("data", "must be a JSON string, as datacontenttype is not JSON",
			"Write the data as a JSON string, or set datacontenttype to application/json.")
		return
	}
	text, ok := unquote(value)
	if !ok {
		d.faults.add("data", "holds half a surrogate pair", fixSurrogate)
		return
	}
	d.event.Data, d.event.Form = bytes.Clone(text), fattorino.TextData
}

// binaryPayload sets data from its base64 form (RFC 4648, section 4, padded
// and without line breaks).
func (d *draft) binaryPayload(value []byte) {
	const fix = "Write data_base64 as a string in padded standard base64, without line breaks."
	if value[0] != '"' {
		d.faults.add("data_base64", "must be a JSON string", fix)
		return
	}
	text, ok := unquote(value)
	if !ok || bytes.ContainsAny(text, "\r\n") { // which package base64 skips
		d.faults.add("data_base64", "is not base64", fix)
		return
	}
	raw, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, text)
	if err != nil {
		d.faults.add("data_base64", "is not base64", fix)
		return
	}
	d.event.Data, d.event.Form = raw, fattorino.BinaryData
}

const fixSurrogate = "Escape a character beyond U+FFFF as a pair, or write it as it is."
