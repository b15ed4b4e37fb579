package fic

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// uuidLen is the length of a UUID in text form (RFC 9562, section 4).
const uuidLen = 36

// appendUUID appends the UUID that stands for the event in a ce-id: its own id
// where that is a UUID, in lower case. Else it is drawn from the SHA-256 of
// source and id (version 8; RFC 9562, section 5.8), so that the same event
// has the same UUID for ever: receivers know a repeat by it.
func appendUUID(dst []byte, e *fattorino.Event) []byte {
	if isUUID(e.ID) {
		for i := range len(e.ID) {
			c := e.ID[i]
			if c >= 'A' && c <= 'F' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
		}
		return dst
	}
	var scratch [256]byte
	// The length parts source from id: no two pairs run together.
	text := binary.BigEndian.AppendUint64(scratch[:0], uint64(len(e.Source)))
	text = append(append(text, e.Source...), e.ID...)
	sum := sha256.Sum256(text)
	return appendUUIDText(dst, [16]byte(sum[:16]), 8)
}

// randomUUID draws a UUID (version 4; RFC 9562, section 5.4).
func randomUUID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return string(appendUUIDText(nil, raw, 4))
}

// appendUUIDText sets version and variant of raw and appends it as text.
func appendUUIDText(dst []byte, raw [16]byte, version byte) []byte {
	raw[6] = raw[6]&0x0f | version<<4
	raw[8] = raw[8]&0x3f | 0x80
	start := 0
	for _, end := range [...]int{4, 6, 8, 10, 16} {
		if start > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, raw[start:end])
		start = end
	}
	return dst
}

// isUUID tells whether s is a UUID in text form, of any version, in either
// case.
func isUUID(s string) bool {
	if len(s) != uuidLen {
		return false
	}
	for i := range uuidLen {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F'):
			return false
		}
	}
	return true
}
