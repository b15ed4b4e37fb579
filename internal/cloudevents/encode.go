package cloudevents

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// WriteBinary writes the event in binary mode (HTTP binding 1.0.2, section
// 3.1): headers for the attributes, with extensions sorted by name, and the
// data as the body. The body is e.Data itself, not to be changed.
//
// JSON data without a content type gets application/json. Other data without
// one gets no Content-Type, as nothing is known of it, and an event without
// data has no body; a receiver that asks for both is served in structured
// mode.
func WriteBinary(e *fattorino.Event) (header []fattorino.Header, body []byte) {
	header = make([]fattorino.Header, 0, 8+len(e.Extensions))
	add := func(name, value string) {
		if value != "" {
			header = append(header, fattorino.Header{Name: name, Value: encodeHeader(value)})
		}
	}
	add("ce-specversion", "1.0")
	add("ce-id", e.ID)
	add("ce-source", e.Source)
	add("ce-type", e.Type)
	add("ce-subject", e.Subject)
	if !e.Time.IsZero() {
		add("ce-time", e.Time.Format(time.RFC3339Nano))
	}
	add("ce-dataschema", e.DataSchema)
	for _, name := range extensionNames(nil, e) {
		header = append(header, fattorino.Header{Name: "ce-" + name, Value: encodeHeader(canonical(e.Extensions[name]))})
	}
	contentType := e.DataContentType
	if contentType == "" && e.Form == fattorino.JSONData {
		contentType = "application/json"
	}
	if contentType != "" {
		header = append(header, fattorino.Header{Name: "Content-Type", Value: contentType})
	}
	if e.Form == fattorino.NoData {
		return header, nil
	}
	return header, e.Data
}

// canonical gives the string form of an extension's value (CloudEvents 1.0.2,
// "Type System").
func canonical(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	return fmt.Sprint(value) // bool and int32 in Go's form are canonical
}

// extensionNames appends the names of the event's extensions to dst, sorted.
func extensionNames(dst []string, e *fattorino.Event) []string {
	for name := range e.Extensions {
		dst = append(dst, name)
	}
	slices.Sort(dst)
	return dst
}

// AppendStructured appends the event as a JSON object of type
// [StructuredType] (JSON format 1.0.2, section 3): JSON data verbatim, text as
// a JSON string, bytes as data_base64; extensions sorted by name.
func AppendStructured(dst []byte, e *fattorino.Event) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	dst = appendMember(dst, "id", e.ID)
	dst = appendMember(dst, "source", e.Source)
	dst = appendMember(dst, "type", e.Type)
	dst = appendMember(dst, "subject", e.Subject)
	if !e.Time.IsZero() {
		dst = append(dst, `,"time":"`...)
		dst = e.Time.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	dst = appendMember(dst, "datacontenttype", e.DataContentType)
	dst = appendMember(dst, "dataschema", e.DataSchema)
	if len(e.Extensions) > 0 {
		dst = appendExtensions(dst, e)
	}
	switch e.Form {
	case fattorino.JSONData:
		dst = append(append(dst, `,"data":`...), e.Data...)
	case fattorino.TextData:
		dst = AppendJSONString(append(dst, `,"data":`...), e.Data)
	case fattorino.BinaryData:
		dst = append(dst, `,"data_base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, e.Data), '"')
	case fattorino.NoData:
	}
	return append(dst, '}')
}

// appendExtensions appends the event's extensions as members.
func appendExtensions(dst []byte, e *fattorino.Event) []byte {
	var buffer [8]string
	for _, name := range extensionNames(buffer[:0], e) {
		dst = append(append(append(dst, `,"`...), name...), `":`...)
		switch v := e.Extensions[name].(type) {
		case bool:
			dst = strconv.AppendBool(dst, v)
		case int32:
			dst = strconv.AppendInt(dst, int64(v), 10)
		default:
			dst = AppendJSONString(dst, canonical(v))
		}
	}
	return dst
}

// appendMember appends a member that is not the first, unless it is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return AppendJSONString(dst, value)
}

// AppendBatch appends the events as a JSON array of type [BatchType] (JSON
// format 1.0.2, section 4).
func AppendBatch(dst []byte, events []*fattorino.Event) []byte {
	dst = append(dst, '[')
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendStructured(dst, e)
	}
	return append(dst, ']')
}

// AppendJSONString appends s as a JSON string (RFC 8259, section 7), escaping
// no more than it must. Invalid UTF-8 becomes U+FFFD, so that the outcome is
// always valid JSON.
func AppendJSONString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0 // of what is not yet appended
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// AppendData appends the event's data as one JSON value, for bodies that are no
// CloudEvents: JSON as it was published, digit for digit; text as a string,
// bytes as a string in base64, and null where there is none.
func AppendData(dst []byte, e *fattorino.Event) []byte {
	switch e.Form {
	case fattorino.JSONData:
		return append(dst, e.Data...)
	case fattorino.TextData:
		return AppendJSONString(dst, e.Data)
	case fattorino.BinaryData:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), e.Data), '"')
	case fattorino.NoData:
	}
	return append(dst, "null"...)
}
