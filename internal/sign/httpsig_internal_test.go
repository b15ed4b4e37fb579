package sign

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// rfcHeader is of the request that RFC 9421 signs in appendix B.2.
func rfcHeader() []fattorino.Header {
	return []fattorino.Header{
		{Name: "Host", Value: "example.com"},
		{Name: "Date", Value: "Tue, 20 Apr 2021 02:07:55 GMT"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Content-Length", Value: "18"},
	}
}

// rfcBase makes the signature base of one of the RFC's examples. What it covers
// besides ours, @authority and @path, is given as a value.
func rfcBase(t *testing.T, parameters string, names ...string) string {
	t.Helper()
	derived := map[string]string{"@method": "POST", "@authority": "example.com", "@path": "/foo"}
	var components []component
	for _, name := range names {
		value, there := derived[name]
		if !there {
			value, there = fieldValue(rfcHeader(), name)
		}
		if !there {
			t.Fatalf("there is no %s", name)
		}
		components = append(components, component{name, value})
	}
	params := append(appendComponentNames(nil, components), parameters...)
	base, err := appendSignatureBase(nil, components, params)
	if err != nil {
		t.Fatal(err)
	}
	return string(base)
}

// RFC 9421, appendix B.2.5: HMAC with SHA-256, minimal coverage.
func TestSignatureBaseOfRFC9421B25(t *testing.T) {
	t.Parallel()
	base := rfcBase(t, `;created=1618884473;keyid="test-shared-secret"`, "date", "@authority", "content-type")

	want := `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`
	if diff := cmp.Diff(want, base); diff != "" {
		t.Error(diff)
	}
	mac := hmac.New(sha256.New, unbase64(t, "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="))
	mac.Write([]byte(base))
	if got := byteSequence(mac.Sum(nil)); got != ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:" {
		t.Errorf("signature %s", got)
	}
}

// RFC 9421, appendix B.2.6: Ed25519.
func TestSignatureBaseOfRFC9421B26(t *testing.T) {
	t.Parallel()
	base := rfcBase(t, `;created=1618884473;keyid="test-key-ed25519"`,
		"date", "@method", "@path", "@authority", "content-type", "content-length")

	want := `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
	if diff := cmp.Diff(want, base); diff != "" {
		t.Error(diff)
	}
	seed, err := base64.RawURLEncoding.DecodeString("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU")
	if err != nil {
		t.Fatal(err)
	}
	k := newEd25519Key(seed)
	if got := byteSequence(ed25519.Sign(k.private(), []byte(base))); got != ":wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:" {
		t.Errorf("signature %s", got)
	}
}

// RFC 9530, appendix D: SHA-256 of these bodies; and of none.
func TestContentDigest(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"hello": "world"}`:       "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
		"{\"hello\": \"world\"}\n": "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
		"":                         "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
	} {
		if got := contentDigest([]byte(body)); got != want {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
}

// What the profile covers, line by line.
func TestSignatureBaseOfANotification(t *testing.T) {
	t.Parallel()
	header := []fattorino.Header{
		{Name: "Content-Type", Value: " application/json\t"},
		{Name: "webhook-id", Value: "msg_1"},
		{Name: "Webhook-Timestamp", Value: "1618884473"},
		{Name: "User-Agent", Value: "Fattorino"},
		{Name: "ce-specversion", Value: "1.0"},
		{Name: "CE-Type", Value: "invoice.created"},
		{Name: "ce-source", Value: "https://example.com/a"},
		{Name: "ce-id", Value: "first"},
		{Name: "ce-id", Value: "  second "},
		{Name: "ce-subject", Value: "not covered"},
	}
	components, err := webhookComponents(header, "POST", "https://Example.com?b=%41#c", "sha-256=:AA==:")
	if err != nil {
		t.Fatal(err)
	}
	base, err := appendSignatureBase(nil, components, appendComponentNames(nil, components))
	if err != nil {
		t.Fatal(err)
	}
	want := `"@method": POST
"@target-uri": https://Example.com/?b=%41
"content-type": application/json
"content-digest": sha-256=:AA==:
"webhook-id": msg_1
"webhook-timestamp": 1618884473
"ce-id": first, second
"ce-source": https://example.com/a
"ce-type": invoice.created
"@signature-params": ("@method" "@target-uri" "content-type" "content-digest" "webhook-id" "webhook-timestamp" "ce-id" "ce-source" "ce-type")`
	if diff := cmp.Diff(want, string(base)); diff != "" {
		t.Error(diff)
	}
}

// No value can make a line of its own, and so stand for another component
// (RFC 9421, section 7.5.7).
func FuzzSignatureBase(f *testing.F) {
	f.Add("POST", "https://example.com/", "msg_1", "application/json")
	f.Add("POST\n", "https://example.com/\r\n", "msg_1\n\"ce-id\": 2", "text/plain; a=\"b\"")
	f.Fuzz(func(t *testing.T, method, target, id, contentType string) {
		header := []fattorino.Header{
			{Name: "content-type", Value: contentType}, {Name: "webhook-id", Value: id}, {Name: "webhook-timestamp", Value: "1"},
		}
		components, err := webhookComponents(header, method, target, contentDigest(nil))
		if err != nil {
			return
		}
		base, err := appendSignatureBase(nil, components, []byte("()"))
		if err != nil {
			return
		}
		lines := strings.Split(string(base), "\n")
		if len(lines) != len(components)+1 {
			t.Fatalf("%d lines of %d components: %q", len(lines), len(components), base)
		}
		for i, c := range components {
			if lines[i] != `"`+c.name+`": `+c.value {
				t.Errorf("line %q is not of %s", lines[i], c.name)
			}
		}
		for _, c := range string(base) {
			if c != '\n' && c != '\t' && (c < ' ' || c > '~') {
				t.Errorf("%q is in the base", c)
			}
		}
	})
}

func TestTimeOfCreationThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	k := NewEd25519Key()
	header := []fattorino.Header{
		{Name: "content-type", Value: "text/plain"}, {Name: "webhook-id", Value: "1"}, {Name: "webhook-timestamp", Value: "1"},
	}
	for _, tc := range []struct {
		seconds int64
		ok      bool
	}{{0, true}, {maxInteger, true}, {-1, false}, {maxInteger + 1, false}, {time.Time{}.Unix(), false}} {
		got, err := k.AppendHTTPSignature(header, "POST", "https://example.com/", nil, time.Unix(tc.seconds, 0))
		if (err == nil) != tc.ok || (err != nil && len(got) != len(header)) {
			t.Errorf("%d: %d fields, error %v", tc.seconds, len(got), err)
		}
	}
}

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
