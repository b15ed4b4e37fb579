package cloudevents

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// decodeBinary reads an event whose attributes are headers and whose data is
// the body (HTTP binding 1.0.2, section 3.1).
func decodeBinary(contentType string, header http.Header, body []byte) (*fattorino.Event, error) {
	var found faults
	d := newDraft(&found)
	if err := d.headers(header); err != nil {
		return nil, err
	}
	if d.seen&(1<<id|1<<source|1<<specversion|1<<typ) == 0 {
		return nil, &fattorino.Error{
			Kind: fattorino.Malformed, Code: CodeNotCloudEvent,
			Msg: "the request holds no CloudEvent",
			Fix: "Send an event as JSON with Content-Type " + StructuredType +
				", or its data as the body with the headers ce-id, ce-source, ce-specversion and ce-type.",
		}
	}
	if contentType != "" {
		d.set(datacontenttype, []byte("datacontenttype"), contentType)
	}
	e := d.finish()
	if len(body) > 0 {
		if err := d.body(body); err != nil {
			return nil, err
		}
	}
	// The order of headers is lost: let at least the answer not depend on it.
	slices.SortStableFunc(found.list, func(a, b fault) int { return strings.Compare(a.Field, b.Field) })
	if err := found.err(); err != nil {
		return nil, err
	}
	return e, nil
}

// headers sets the attributes that come as headers: all but datacontenttype. A
// value that does not decode to UTF-8 cannot be read at all (HTTP binding
// 1.0.2, section 3.1.3.2).
func (d *draft) headers(header http.Header) error {
	var buffer [maxName + 1]byte // one more than a name may have
	for key, values := range header {
		if !hasPrefixFold(key, "ce-") || len(values) == 0 {
			continue
		}
		name := lower(buffer[:0], key[len("ce-"):])
		a := attributeOf(name)
		switch {
		case a == datacontenttype:
			d.faults.add("datacontenttype", "must not be a ce- header", "Send datacontenttype as Content-Type.")
		case a == data || a == dataBase64:
			d.faults.add(string(name), "must not be a ce- header", "Send the data as the body.")
		case !d.claim(a, name):
		case len(values) > 1:
			d.twice(name)
		default:
			value := decodeHeader(values[0])
			if !utf8.ValidString(value) {
				return &fattorino.Error{
					Kind: fattorino.Malformed, Msg: "the header ce-" + string(name) + " does not decode to valid UTF-8",
					Fix: "Percent-encode the UTF-8 bytes of the value.",
				}
			}
			d.set(a, name, value)
		}
	}
	return nil
}

// lower appends s to dst in lower case, as far as dst has room.
func lower(dst []byte, s string) []byte {
	for i := 0; i < len(s) && len(dst) < cap(dst); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// body sets the data from a body that is not empty.
func (d *draft) body(body []byte) error {
	form := fattorino.BinaryData
	switch {
	case d.media.json():
		value, err := scanJSON(body)
		if err != nil {
			return err
		}
		form, body = fattorino.JSONData, value
	case d.media.text() && d.media.utf8() && utf8.Valid(body):
		form = fattorino.TextData
	}
	d.event.Data, d.event.Form = bytes.Clone(body), form
	return nil
}
