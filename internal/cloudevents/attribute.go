package cloudevents

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Limits of what an event may carry in attributes. They keep every event fit
// for headers.
const (
	maxExtensions = 64
	maxName       = 64      // bytes; the specification advises 20
	maxAttribute  = 8 << 10 // bytes of UTF-8
)

// An attribute is one that CloudEvents 1.0.2 defines, or any extension.
type attribute uint8

const (
	extension attribute = iota
	id
	source
	specversion
	typ
	datacontenttype
	dataschema
	subject
	timestamp
	data       // no attribute, but a member of the JSON format
	dataBase64 // the same
)

// attributeOf finds the attribute of that name.
func attributeOf(name []byte) attribute {
	switch string(name) {
	case "id":
		return id
	case "source":
		return source
	case "specversion":
		return specversion
	case "type":
		return typ
	case "datacontenttype":
		return datacontenttype
	case "dataschema":
		return dataschema
	case "subject":
		return subject
	case "time":
		return timestamp
	case "data":
		return data
	case "data_base64":
		return dataBase64
	}
	return extension
}

// A draft is an event whose attributes are coming in, in any order.
type draft struct {
	event  *fattorino.Event
	faults *faults
	seen   uint16 // bit set of attributes that came, valid or not
	null   uint16 // bit set of attributes that came as null; for extension, that one did
	media  media  // of datacontenttype; empty name = absent or invalid
}

func newDraft(found *faults) draft {
	return draft{event: &fattorino.Event{}, faults: found}
}

// claim makes sure that an attribute of that name may come, and comes for the
// first time.
func (d *draft) claim(a attribute, name []byte) bool {
	if a != extension {
		if d.seen&(1<<a) != 0 {
			d.twice(name)
			return false
		}
		d.seen |= 1 << a
		return true
	}
	if _, ok := d.event.Extensions[string(name)]; ok {
		d.twice(name)
		return false
	}
	return d.claimName(name)
}

// claimName checks the name and number of extensions.
func (d *draft) claimName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || 'z' < c) && !isDigit(c) {
			d.faults.add(shown(name), "is no attribute name: names consist of a-z and 0-9 only",
				"Name extension attributes in lower-case letters and digits.")
			return false
		}
	}
	switch {
	case len(name) == 0 || len(name) > maxName:
		d.faults.add(shown(name), "is no attribute name: names have 1 to "+strconv.Itoa(maxName)+" characters",
			"Give the extension attribute a short name.")
		return false
	case len(d.event.Extensions) == maxExtensions:
		d.faults.add(shown(name), "is one extension too many: "+strconv.Itoa(maxExtensions)+" are allowed",
			"Move what is not needed for routing into data.")
		return false
	}
	return true
}

// shown is a name as a fault tells of it.
func shown(name []byte) string {
	return strings.ToValidUTF8(string(name[:min(len(name), maxName)]), "")
}

func (d *draft) twice(name []byte) {
	d.faults.add(string(name), "is given more than once", "Give every attribute once.")
}

// extend sets an extension attribute; nil only takes its name.
func (d *draft) extend(name []byte, value any) {
	if d.event.Extensions == nil {
		d.event.Extensions = map[string]any{}
	}
	d.event.Extensions[string(name)] = value
}

// skip notes an attribute that came as null, which is as good as absent, but
// is not to come again.
func (d *draft) skip(a attribute, name []byte) {
	d.null |= 1 << a
	if a == extension {
		d.extend(name, nil)
	}
}

// set gives the event an attribute in its canonical string form (CloudEvents
// 1.0.2, sections "Type System" and "Context Attributes").
func (d *draft) set(a attribute, name []byte, value string) {
	if msg, fix := checkString(value); msg != "" {
		d.faults.add(string(name), msg, fix)
		return
	}
	if a == extension {
		d.extend(name, value)
		return
	}
	if value == "" {
		d.faults.add(string(name), "must not be empty", "Give "+string(name)+" a value, or leave it out where it is optional.")
		return
	}
	switch a {
	case id:
		d.event.ID = value
	case typ:
		d.event.Type = value
	case subject:
		d.event.Subject = value
	case specversion:
		if value != "1.0" {
			d.faults.add("specversion", "is not supported", `Send specversion "1.0".`)
		}
	case source:
		if _, ok := parseURI(value); !ok {
			d.faults.add("source", "is no URI reference (RFC 3986)",
				"Write source as a URI, as https://erp.example/invoicing, with any other character percent-encoded.")
		}
		d.event.Source = value
	case dataschema:
		if u, ok := parseURI(value); !ok || !u.IsAbs() {
			d.faults.add("dataschema", "is no absolute URI (RFC 3986)",
				"Write dataschema as a URI with a scheme, as https://erp.example/schema/invoice.json.")
		}
		d.event.DataSchema = value
	case timestamp:
		d.setTime(value)
	case datacontenttype:
		m, ok := parseMedia(value)
		if !ok {
			d.faults.add("datacontenttype", "is no media type (RFC 2046)", "Give the content type as type/subtype, as application/json.")
		}
		d.media, d.event.DataContentType = m, value
	}
}

// setTime reads the time. The zero time is refused, as it would read as an
// absent one.
func (d *draft) setTime(value string) {
	t, ok := parseTime(value)
	switch {
	case !ok:
		d.faults.add("time", "is no RFC 3339 timestamp", "Write time as 2026-01-31T12:00:00Z or 2026-01-31T13:00:00.123+01:00.")
	case t.IsZero():
		d.faults.add("time", "is the first instant of year 1, which is no time of an event", "Set time, or leave it out.")
	}
	d.event.Time = t
}

// finish makes sure that what is required came, and gives the event.
func (d *draft) finish() *fattorino.Event {
	for _, a := range []struct {
		attribute
		name string
	}{{id, "id"}, {source, "source"}, {specversion, "specversion"}, {typ, "type"}} {
		if d.seen&^d.null&(1<<a.attribute) == 0 {
			d.faults.add(a.name, "is required", "Give every event id, source, specversion and type.")
		}
	}
	if d.null&(1<<extension) != 0 {
		for name, value := range d.event.Extensions {
			if value == nil {
				delete(d.event.Extensions, name)
			}
		}
		if len(d.event.Extensions) == 0 {
			d.event.Extensions = nil
		}
	}
	return d.event
}

// checkString checks what holds for every attribute (CloudEvents 1.0.2, "Type
// System", String) and its length. msg is empty where all is well.
func checkString(s string) (msg, fix string) {
	if len(s) > maxAttribute {
		return "is longer than " + strconv.Itoa(maxAttribute) + " bytes", "Move long values into data."
	}
	for i := 0; i < len(s); {
		if c := s[i]; ' ' <= c && c <= '~' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return "is not valid UTF-8", "Send attributes in UTF-8; in headers, percent-encode its bytes."
		case r < ' ' || 0x7f <= r && r <= 0x9f:
			return "holds a control character", "Leave control characters out of attributes."
		case 0xfdd0 <= r && r <= 0xfdef || r&0xfffe == 0xfffe:
			return "holds a Unicode noncharacter", "Leave noncharacters out of attributes."
		}
		i += size
	}
	return "", ""
}

// parseURI reads a URI reference (RFC 3986, section 4.1). A fragment is let
// pass in either kind of URI, as schemas are often named by one.
func parseURI(s string) (*url.URL, bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return nil, false
			}
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', isDigit(c):
		case strings.IndexByte("-._~:/?#[]@!$&'()*+,;=", c) < 0:
			return nil, false
		}
	}
	u, err := url.Parse(s)
	return u, err == nil
}

// parseTime reads a timestamp of RFC 3339, section 5.6, whose letters may be
// of either case. Digits beyond the nanosecond are dropped; a leap second,
// which Go cannot hold, is refused. The form is checked here, as package time
// is laxer than the RFC (golang.org/issue/54580).
func parseTime(s string) (time.Time, bool) {
	const form = "0000-00-00T00:00:00"
	s = strings.ToUpper(s)
	if len(s) <= len(form) || !matches(s[:len(form)], form) {
		return time.Time{}, false
	}
	zone := s[len(form):]
	if zone[0] == '.' {
		zone = strings.TrimLeft(zone[1:], "0123456789")
	}
	switch {
	case zone == "Z":
	case matches(zone, "+00:00") || matches(zone, "-00:00"):
		if zone[1:3] > "23" || zone[4:] > "59" {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// matches tells whether s has the form: a digit for each 0, else the very
// character.
func matches(s, form string) bool {
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && form[i] != s[i] {
			return false
		}
	}
	return true
}
