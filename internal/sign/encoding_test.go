package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

// RFC 6979, appendix A.2.5: P-256 with SHA-256.
func TestSignatureOfRFC6979(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newES256Key(private)
	if err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]string{
		"sample": "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716" +
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		"test": "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367" +
			"019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
	} {
		got, err := k.sign([]byte(message))
		if err != nil || !bytes.Equal(got[:], unhex(t, want)) {
			t.Errorf("%s: %X, error %v; want %s", message, got, err, want)
		}
	}
}

// Small values come once in some hundred signatures, and must keep their width.
func TestRawSignatureFillsUpSmallValues(t *testing.T) {
	t.Parallel()
	largest := strings.Repeat("ff", 32)
	for _, tc := range []struct{ r, s string }{
		{"01", "7f"},
		{"80", "ff"},
		{strings.Repeat("7f", 31), strings.Repeat("80", 31)},
		{largest, "01"},
		{"01", largest},
	} {
		r, s := new(big.Int).SetBytes(unhex(t, tc.r)), new(big.Int).SetBytes(unhex(t, tc.s))
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		raw, ok := rawSignature(der)
		want := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		if !ok || !bytes.Equal(raw[:], want) {
			t.Errorf("r %s s %s: %x, ok %v", tc.r, tc.s, raw, ok)
		}
	}
}

func FuzzRawSignature(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add([]byte{0x30, 8, 2, 2, 0, 0x80, 2, 2, 0, 0x80})
	f.Add([]byte{0x30, 6, 2, 1, 0x80, 2, 1, 1})
	f.Add([]byte{0x30, 3, 2, 0xff, 1})
	f.Add([]byte{0x30, 7, 2, 1, 1, 2, 1, 1, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		var want struct{ R, S *big.Int }
		rest, err := asn1.Unmarshal(der, &want)
		fits := err == nil && len(rest) == 0 &&
			want.R.Sign() >= 0 && want.R.BitLen() <= 256 && want.S.Sign() >= 0 && want.S.BitLen() <= 256
		raw, ok := rawSignature(der)
		if !fits {
			return // what the signer never makes; it is enough not to panic
		}
		// encoding/asn1 lets further values inside the sequence pass.
		again, err := asn1.Marshal(want)
		if err != nil || !bytes.Equal(again, der) {
			return
		}
		expected := append(want.R.FillBytes(make([]byte, 32)), want.S.FillBytes(make([]byte, 32))...)
		if !ok || !bytes.Equal(raw[:], expected) {
			t.Errorf("%x: %x, ok %v; want %x", der, raw, ok, expected)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{
		"", "company:108061", "https://example.com/?a=1&b=<2>", `quote " and \ backslash`,
		"\x00\x01\b\f\n\r\t\x1f\x7f", "perché € 😀 \u2028\u2029", "\xff\xfe half \xe2\x82", "\ufffd",
		`\u0000`, "\\\"", strings.Repeat("\"", 100),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ours := appendString([]byte("before"), s)
		ours, ok := bytes.CutPrefix(ours, []byte("before"))
		if !ok {
			t.Fatal("what was before is lost")
		}
		if !utf8.Valid(ours) { // encoding/json reads it nevertheless; others do not
			t.Errorf("%q is written as %q, which is not UTF-8", s, ours)
		}
		theirs, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		if err := json.Unmarshal(ours, &got); err != nil {
			t.Fatalf("%q is written as %s, which is no JSON: %v", s, ours, err)
		}
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q is read back as %q, want %q", s, got, want)
		}
	})
}

func FuzzParseMasterKeys(f *testing.F) {
	f.Add("k1:" + strings.Repeat("A", 43) + "=")
	f.Add("# comment, with a comma\n\nk1:" + strings.Repeat("A", 43) + "=,k2:" + strings.Repeat("B", 42) + "A=\r\n")
	f.Add(":")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseMasterKeys(text)
		if err != nil {
			return
		}
		if len(keys.ids) != len(keys.aeads) || keys.aeads[keys.current()] == nil {
			t.Error("the current key is none of the keys")
		}
		for id := range keys.aeads {
			if !validKeyID(id) {
				t.Errorf("id %q is accepted", id)
			}
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
