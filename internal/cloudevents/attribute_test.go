package cloudevents_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// TestAttributeRules checks the rules of the core specification, which are the
// same in every mode: each value is sent in both.
func TestAttributeRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 8<<10)
	for _, c := range []struct {
		attribute, value string
		ok               bool
	}{
		{"id", "A234-1234-1234", true},
		{"id", "è", true},
		{"id", "", false},
		{"id", "a\x00b", false},
		{"id", "a\x1fb", false},
		{"id", "a\x7fb", false},
		{"id", "a\u009fb", false},
		{"id", "a\u00a0b", true},
		{"id", "a\ufdd0b", false},
		{"id", "a\uffffb", false},
		{"id", "a\U0010fffeb", false},
		{"id", "a\ufffdb", true},
		{"id", long, true},
		{"id", long + "a", false},

		{"source", "https://erp.example/companies/1?a=b&c=%20#d", true},
		{"source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true},
		{"source", "mailto:a@erp.example", true},
		{"source", "/erp", true},
		{"source", "1-555-123-4567", true},
		{"source", "//[2001:db8::1]:443/x", true},
		{"source", "", false},
		{"source", "my erp", false},
		{"source", "https://erp.example/è", false},
		{"source", "https://erp.example/%zz", false},
		{"source", "https://erp.example/%2", false},
		{"source", "a|b", false},
		{"source", ":", false},
		{"source", "http://erp.example:port", false},

		{"type", "invoice.paid", true},
		{"type", "", false},

		{"specversion", "1.0", true},
		{"specversion", "1.0.2", false},
		{"specversion", "1", false},
		{"specversion", "0.3", false},
		{"specversion", "", false},

		{"subject", "invoice/42", true},
		{"subject", "", false},

		{"dataschema", "https://erp.example/schema.json#invoice", true},
		{"dataschema", "urn:schema:invoice", true},
		{"dataschema", "/schema.json", false},
		{"dataschema", "", false},

		{"time", "2026-01-31T12:00:00Z", true},
		{"time", "2026-01-31t12:00:00.5z", true},
		{"time", "2026-01-31T12:00:00.123456789012+01:30", true},
		{"time", "2026-01-31T12:00:00-00:00", true},
		{"time", "2024-02-29T23:59:59-23:59", true},
		{"time", "2026-02-29T12:00:00Z", false},
		{"time", "2026-01-31T12:00:00", false},
		{"time", "2026-01-31 12:00:00Z", false},
		{"time", "2026-01-31T1:00:00Z", false},
		{"time", "2026-01-31T12:00:00,5Z", false},
		{"time", "2026-01-31T12:00:00.Z", false},
		{"time", "2026-01-31T12:00:00.5", false},
		{"time", "2026-01-31T12:00:00+0100", false},
		{"time", "2026-01-31T12:00:00+24:00", false},
		{"time", "2026-01-31T12:00:00+01:60", false},
		{"time", "2026-01-31T24:00:00Z", false},
		{"time", "2026-01-31", false},
		{"time", "1769857200", false},
		{"time", "0001-01-01T00:00:00Z", false},
		{"time", "", false},

		{"datacontenttype", "application/json", true},
		{"datacontenttype", "Text/Plain; charset=UTF-8", true},
		{"datacontenttype", `multipart/mixed; boundary="a b"`, true},
		{"datacontenttype", "json", false},
		{"datacontenttype", "application/", false},
		{"datacontenttype", "text/plain; charset", false},
		{"datacontenttype", "text/plain; a=\"è\"", false},
		{"datacontenttype", " text/plain", false},

		{"ext", "anything € 😀", true},
		{"ext", "", true},
		{"ext", "a\x01b", false},
		{"ext", long + "a", false},
		{"0", "a name of one digit", true},
		{"longerthantwentycharacters", "discouraged, not forbidden", true},
		{strings.Repeat("a", 64), "the longest name", true},
		{strings.Repeat("a", 65), "too long a name", false},
		{"my-ext", "x", false},
		{"my_ext", "x", false},
	} {
		modes := map[string]func(t *testing.T) (string, http.Header, string){
			"structured": func(*testing.T) (string, http.Header, string) {
				members := map[string]string{"specversion": "1.0", "id": "1", "source": "/erp", "type": "t", c.attribute: c.value}
				body := []byte("{")
				for name, value := range members {
					if len(body) > 1 {
						body = append(body, ',')
					}
					body = append(cloudevents.AppendJSONString(body, name), ':')
					body = cloudevents.AppendJSONString(body, value)
				}
				return cloudevents.StructuredType, nil, string(append(body, '}'))
			},
			"binary": func(*testing.T) (string, http.Header, string) {
				if c.attribute == "datacontenttype" {
					return c.value, headers(), ""
				}
				header := headers()
				header.Set("ce-"+c.attribute, percent(c.value))
				return "", header, ""
			},
		}
		for mode, request := range modes {
			t.Run(fmt.Sprintf("%s/%s/%.40q", mode, c.attribute, c.value), func(t *testing.T) {
				t.Parallel()
				contentType, header, body := request(t)
				if c.ok {
					got := canonicalOf(decodeOne(t, contentType, header, body), c.attribute)
					if c.attribute != "time" && got != c.value {
						t.Errorf("%s is %q, want %q", c.attribute, got, c.value)
					}
					return
				}
				err := refused(t, contentType, header, body)
				want := c.attribute[:min(len(c.attribute), 64)]
				if err.Kind != fattorino.Invalid || !slices.Equal(fields(err), []string{want}) {
					t.Errorf("kind %v, faults %v, want %s", err.Kind, fields(err), want)
				}
			})
		}
	}
}

// percent encodes every byte of s.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// canonicalOf gives the named attribute of the event as a string.
func canonicalOf(e *fattorino.Event, name string) string {
	switch name {
	case "id":
		return e.ID
	case "source":
		return e.Source
	case "type":
		return e.Type
	case "specversion":
		return "1.0"
	case "subject":
		return e.Subject
	case "dataschema":
		return e.DataSchema
	case "datacontenttype":
		return e.DataContentType
	case "time":
		return e.Time.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(e.Extensions[name])
}

func TestTimeKeepsItsOffset(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-31T12:00:00Z":                   "2026-01-31T12:00:00Z",
		"2026-01-31t12:00:00.500z":               "2026-01-31T12:00:00.5Z",
		"2026-01-31T12:00:00.123456789+01:00":    "2026-01-31T12:00:00.123456789+01:00",
		"2026-07-31T12:00:00.1234567891-03:30":   "2026-07-31T12:00:00.123456789-03:30",
		"2026-01-31T00:30:00+14:00":              "2026-01-31T00:30:00+14:00",
		"9999-12-31T23:59:59.999999999999+00:00": "9999-12-31T23:59:59.999999999Z",
	} {
		e := structured(t, `"time":"`+in+`"`)
		if got := e.Time.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s reads as %s, want %s", in, got, want)
		}
	}
}

func TestExtensionsAreBounded(t *testing.T) {
	t.Parallel()
	var members []string
	for i := range 64 {
		members = append(members, fmt.Sprintf(`"ext%d":%d`, i, i))
	}
	if e := structured(t, members...); len(e.Extensions) != 64 {
		t.Errorf("%d extensions, want 64", len(e.Extensions))
	}
	err := refused(t, cloudevents.StructuredType, nil, event(append(members, `"ext64":64`)...))
	if !slices.Equal(fields(err), []string{"ext64"}) {
		t.Errorf("faults %v", fields(err))
	}
}
