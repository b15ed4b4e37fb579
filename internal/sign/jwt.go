package sign

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Claims is what a token says (RFC 7519, section 4.1, and the private claim
// aid of Fatture in Cloud). Every claim is written, an empty one as well, but
// for BodySHA256.
type Claims struct {
	ID        string    // jti
	Issuer    string    // iss
	Subject   string    // sub
	Audience  []string  // aud; always a list, also with one member
	IssuedAt  time.Time // iat; cut to seconds
	ExpiresAt time.Time // exp; cut to seconds
	AppID     int64     // aid

	// BodySHA256 is body_sha256, base64url without padding: it binds the token
	// to what it came with. Nil = not written.
	BodySHA256 []byte
}

// AppendJWT appends a token with these claims to dst: a JWS in compact form
// (RFC 7515, section 7.1) with the header typ, alg and kid. The same claims
// give the same token. Bytes of a string that are not UTF-8 go out as U+FFFD.
// On an error dst is given back as it came.
func (k *ES256Key) AppendJWT(dst []byte, c Claims) ([]byte, error) {
	var scratch [768]byte
	claims := appendClaims(scratch[:0], &c)

	encoding := base64.RawURLEncoding
	start := len(dst)
	token := slices.Grow(dst, len(k.header)+encoding.EncodedLen(len(claims))+1+encoding.EncodedLen(64))
	token = append(token, k.header...)
	token = encoding.AppendEncode(token, claims)
	signature, err := k.sign(token[start:])
	if err != nil {
		return dst, err
	}
	token = append(token, '.')
	return encoding.AppendEncode(token, signature[:]), nil
}

// appendClaims appends the claims as a JSON object.
func appendClaims(dst []byte, c *Claims) []byte {
	dst = appendString(append(dst, `{"jti":`...), c.ID)
	dst = appendString(append(dst, `,"iss":`...), c.Issuer)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), c.ExpiresAt.Unix(), 10)
	dst = appendString(append(dst, `,"sub":`...), c.Subject)
	dst = append(dst, `,"aud":[`...)
	for i, audience := range c.Audience {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, audience)
	}
	dst = strconv.AppendInt(append(dst, `],"iat":`...), c.IssuedAt.Unix(), 10)
	dst = strconv.AppendInt(append(dst, `,"aid":`...), c.AppID, 10)
	if c.BodySHA256 != nil {
		dst = append(dst, `,"body_sha256":"`...)
		dst = base64.RawURLEncoding.AppendEncode(dst, c.BodySHA256)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string (RFC 8259, section 7).
func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // each bad byte becomes U+FFFD
	}
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
