package defacto

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
)

// At Defacto ids are UUIDs, and typed clients refuse anything else. Here
// things have numbers: a UUID of version 8 (RFC 9562, section 5.8) is made of
// one, and read back from it. Its first eight digits say what it is of:
//
//	defac700-0000-8000-8000-00000000002a is webhook 42.
const (
	webhookMark = "defac700"
	invoiceMark = "defac701"

	numbered = "-0000-8000-8" // stands between the mark and the number's 15 hexadecimal digits
)

// uuidOf makes the UUID of a number below 2⁶⁰.
func uuidOf(mark string, number int64) string {
	return fmt.Sprintf("%s%s%03x-%012x", mark, numbered, number>>48, number&(1<<48-1))
}

// numberOf reads a UUID that uuidOf made, in either case (RFC 9562, section
// 4); false for any other.
func numberOf(mark, uuid string) (int64, bool) {
	uuid = strings.ToLower(uuid)
	digits, ok := strings.CutPrefix(uuid, mark+numbered)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseInt(digits[:3]+digits[4:], 16, 64)
	if err != nil || number <= 0 || uuidOf(mark, number) != uuid {
		return 0, false
	}
	return number, true
}

// uuidFrom makes a UUID of version 8 of the SHA-256 of a text: the same for
// the same text, for ever.
func uuidFrom(text string) string {
	b := sha256.Sum256([]byte(text))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
