package cloudevents

import (
	"mime"
	"strings"
)

// media is a media type (RFC 2046), as far as it decides how data is read.
type media struct {
	name    string // "type/subtype", in lower case
	charset string // in lower case; empty = not said
}

// parseMedia reads a media type; false where it is none, or holds characters
// that cannot stand in a header.
func parseMedia(s string) (media, bool) {
	if s == "application/json" { // nearly always
		return media{name: s}, true
	}
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return media{}, false
	}
	name, params, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(name, "/") {
		return media{}, false
	}
	return media{name: name, charset: strings.ToLower(params["charset"])}, true
}

// json tells whether data of this type is a JSON value (JSON format 1.0.2,
// section 3.1).
func (m media) json() bool {
	return strings.HasSuffix(m.name, "/json") || strings.HasSuffix(m.name, "+json")
}

// text tells whether data of this type is known to be text.
func (m media) text() bool {
	return strings.HasPrefix(m.name, "text/") ||
		strings.HasSuffix(m.name, "/xml") || strings.HasSuffix(m.name, "+xml")
}

// utf8 tells whether nothing speaks against UTF-8 as the encoding.
func (m media) utf8() bool {
	return m.charset == "" || m.charset == "utf-8" || m.charset == "us-ascii"
}

// hasPrefixFold is strings.HasPrefix, blind to case in ASCII.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
