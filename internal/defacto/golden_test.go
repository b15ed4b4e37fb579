package defacto_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// Each shape of notification, byte for byte: what receivers are built on.
func TestNotificationsAreAsTheyAreDocumented(t *testing.T) {
	t.Parallel()
	const resource = `{"id":"a18d5057-0092-4555-b865-7ade03c3ac9b", "amount":12.50,"number":12345678901234567890,"note":"perché 💶"}`
	deleted := jsonEvent("com.example.invoice.removed", `{"reason":"twice"}`)
	deleted.Common, deleted.Entity = "invoice.deleted", fattorino.Entity{Type: "invoice", IDs: []string{"41", "42"}}
	deletedBare := &fattorino.Event{
		Type: "Invoice.DELETED", Time: happened, Company: 1, Seq: 345,
		Entity: fattorino.Entity{Type: "invoice", IDs: []string{"42"}},
	}
	for name, event := range map[string]*fattorino.Event{
		"resource": jsonEvent("Invoice.SUBMITTED", resource),
		"flat": jsonEvent(
			"Invoice.TO_EDIT",
			`{"entity_type":"invoice","transition_name":"REFUSE","status":"TO_EDIT","id":"a18d5057","entity_state":`+resource+`}`,
		),
		"unknown-type":   jsonEvent("CounterpartyCreditLimit.CREATED", resource),
		"deleted":        deletedBare,
		"deleted-linked": deleted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, filepath.Join("testdata", name+".http"), wire(notificationOf(t, event)))
		})
	}
}

// wire writes a request as it goes out.
func wire(r *fattorino.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, f := range r.Header {
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
