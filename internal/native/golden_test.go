package native_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// Every format, whole and thin, with every signature, byte for byte: what
// receivers are built on. During a rotation two secrets sign.
func TestNotificationsAreAsTheyAreDocumented(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	later := now.Add(time.Hour)
	hmac := []fattorino.Secret{f.secret(t, newHMAC, time.Time{}), f.secret(t, oldHMAC, later)}
	asymmetric := []fattorino.Secret{f.secret(t, newEd25519, time.Time{}), f.secret(t, oldEd25519, later)}
	secrets := map[string][]fattorino.Secret{
		native.SignatureNone: nil, native.SignatureJWT: nil,
		sign.SchemeV1: hmac, sign.SchemeV1a: asymmetric, sign.SchemeHTTPSig: asymmetric,
	}
	custom := f.headers(t, fattorino.Header{Name: "X-Api-Key", Value: "s3cret"})
	for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured, fattorino.Standard} {
		for _, thin := range []bool{false, true} {
			for signature, its := range secrets {
				name := fmt.Sprintf("%s-%s-%s.http", format, map[bool]string{false: "whole", true: "thin"}[thin], signature)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := subscription()
					s.Format, s.Secrets = format, its
					s.Options = fattorino.Options{Thin: thin, Signature: signature, Headers: custom}
					compare(t, filepath.Join("testdata", name), wire(f.notification(t, s, invoicePaid(), now)))
				})
			}
		}
	}
}

// A batch of two events, one of JSON and one of text.
func TestBatchesAreAsTheyAreDocumented(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, thin := range []bool{false, true} {
		name := fmt.Sprintf("batch-%s-v1.http", map[bool]string{false: "whole", true: "thin"}[thin])
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscription()
			s.Format, s.Secrets = fattorino.Batched, []fattorino.Secret{f.secret(t, newHMAC, time.Time{})}
			s.Options = fattorino.Options{Thin: thin, Signature: sign.SchemeV1}
			compare(t, filepath.Join("testdata", name), wire(f.batch(t, s, now, invoicePaid(), noted())))
		})
	}
}

// Every kind of data in every format, unsigned: what stands where there is no
// JSON, and that numbers keep their digits.
func TestEveryKindOfDataIsAsItIsDocumented(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	with := func(change func(*fattorino.Event)) *fattorino.Event {
		e := invoicePaid()
		e.DataSchema = ""
		change(e)
		return e
	}
	kinds := map[string]*fattorino.Event{
		"decimal": with(func(e *fattorino.Event) {
			e.Data = []byte(`{"total":12.50, "vat":2.750,"number":12345678901234567890}`)
		}),
		"text": with(func(e *fattorino.Event) {
			e.DataContentType, e.Form, e.Data = "text/plain; charset=utf-8", fattorino.TextData, []byte("pagata \"subito\",\nperché 💶")
		}),
		"bytes": with(func(e *fattorino.Event) {
			e.DataContentType, e.Form, e.Data = "application/pdf", fattorino.BinaryData, []byte("%PDF-1.7 of a test")
		}),
		"nodata": with(func(e *fattorino.Event) {
			e.DataContentType, e.Form, e.Data = "", fattorino.NoData, nil
		}),
		"several": with(func(e *fattorino.Event) {
			e.Entity.IDs = []string{"42", "43", "F/2026/7"}
		}),
	}
	formats := []fattorino.Format{fattorino.Binary, fattorino.Structured, fattorino.Standard, fattorino.Batched}
	for kind, e := range kinds {
		for _, format := range append(formats, chat.Formats()...) {
			name := fmt.Sprintf("kind-%s-%s.http", kind, format)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := subscription()
				s.Format, s.Options.Signature = format, native.SignatureNone
				if slices.Contains(chat.Formats(), format) {
					s.Sink = ownSink(format)
				}
				compare(t, filepath.Join("testdata", name), wire(f.notification(t, s, e, now)))
			})
		}
	}
}

// Messages to people, by the default template and by one of the subscription.
func TestChatMessagesAreAsTheyAreDocumented(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, format := range chat.Formats() {
		for name, template := range map[string]string{
			"default": "", "template": "{{bold .Noun}} {{.ID}}: {{.Data.total}} € ({{.Data.note}})",
		} {
			name = fmt.Sprintf("%s-%s.http", format, name)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := subscription()
				s.Sink, s.Format, s.Options.Template = ownSink(format), format, template
				s.Options.Signature = f.DefaultSignature(format)
				compare(t, filepath.Join("testdata", name), wire(f.notification(t, s, invoicePaid(), now)))
			})
		}
	}
}

// wire writes a request as it goes out, the secret values as the log has them.
func wire(r *fattorino.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, f := range r.Header {
		if f.Secret && f.Name != "Authorization" {
			f.Value = "…"
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "\n%s\n", r.Body)
	return b.Bytes()
}

func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // test data is for everybody
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}
