package cloudevents

import "strings"

// encodeHeader gives an attribute's canonical string as a header value:
// percent-encoded is whatever is no printable ASCII, and space, quote and
// percent (HTTP binding 1.0.2, section 3.1.3.2).
func encodeHeader(s string) string {
	const hex = "0123456789ABCDEF"
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// plain tells whether a byte stands for itself in a header value.
func plain(c byte) bool { return '!' <= c && c <= '~' && c != '"' && c != '%' }

// decodeHeader reads a header value: out of quotes first, as older senders
// put it there, then one round of percent-decoding. What is no quoted string
// or no escape is taken literally. The outcome may be invalid UTF-8.
func decodeHeader(s string) string {
	s = unquoteHeader(s)
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 3
			continue
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}

// unquoteHeader gives what a quoted-string of RFC 7230, section 3.2.6, says;
// anything else is given as it is.
func unquoteHeader(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	inner := s[1 : len(s)-1]
	if !strings.ContainsAny(inner, `\"`) {
		return inner
	}
	b := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return s // a bare quote inside
		case '\\':
			i++
			if i == len(inner) {
				return s // the closing quote is escaped
			}
		}
		b = append(b, inner[i])
	}
	return string(b)
}
