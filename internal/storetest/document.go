package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// put keeps documents.
func (b *bundle) put(all ...*fattorino.Document) {
	b.t.Helper()
	b.update(func(tx fattorino.Tx) error {
		for _, d := range all {
			if err := tx.PutDocument(d); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bundle) documents(kind string, company int64, after string, limit int) []string {
	b.t.Helper()
	page, err := b.Documents(ctx, kind, company, after, limit)
	b.must(err)
	ids := []string{}
	for _, d := range page {
		ids = append(ids, d.ID)
	}
	return ids
}

func testDocuments(t *testing.T, b *bundle) {
	doc := &fattorino.Document{Kind: "note", Company: 7, ID: "b", DueAt: start, Body: []byte("{\"a\": 1}\x00\xff")}
	b.put(
		doc,
		&fattorino.Document{Kind: "note", Company: 7, ID: "a", Body: []byte("1")},
		&fattorino.Document{Kind: "note", Company: 7, ID: "Z", Body: []byte("2")},
		&fattorino.Document{Kind: "note", Company: 8, ID: "b", Body: []byte("of another company")},
		&fattorino.Document{Kind: "other", Company: 7, ID: "b", Body: []byte("of another kind")},
	)
	b.reopen(b)
	got, err := b.Document(ctx, "note", 7, "b")
	b.must(err)
	if diff := cmp.Diff(doc, got, same); diff != "" {
		t.Errorf("document (-put +got):\n%s", diff)
	}
	if got := b.documents("note", 7, "", 10); !cmp.Equal(got, []string{"Z", "a", "b"}) {
		t.Errorf("documents = %v, want them by the bytes of their ids", got)
	}
	if got := b.documents("note", 7, "Z", 1); !cmp.Equal(got, []string{"a"}) {
		t.Errorf("page after Z = %v, want a", got)
	}

	// Replaced, and read inside the transaction that replaces it.
	b.update(func(tx fattorino.Tx) error {
		if err := tx.PutDocument(&fattorino.Document{Kind: "note", Company: 7, ID: "b", Body: []byte("new")}); err != nil {
			return err
		}
		d, err := tx.Document("note", 7, "b")
		if err == nil && (string(d.Body) != "new" || !d.DueAt.IsZero()) {
			return errors.New("the transaction does not see what it wrote")
		}
		return err
	})
	b.update(func(tx fattorino.Tx) error {
		if err := tx.DeleteDocument("note", 7, "a"); err != nil {
			return err
		}
		return tx.DeleteDocument("note", 7, "never there")
	})
	if got := b.documents("note", 7, "", 10); !cmp.Equal(got, []string{"Z", "b"}) {
		t.Errorf("after deleting a: %v, want Z and b", got)
	}
	if _, err := b.Document(ctx, "note", 7, "a"); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("a deleted document: %v, want NotFound", err)
	}
	b.update(func(tx fattorino.Tx) error {
		if _, err := tx.Document("note", 7, "a"); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("a deleted document in a transaction: %v, want NotFound", err)
		}
		return nil
	})
	if d, err := b.Document(ctx, "note", 8, "b"); err != nil || string(d.Body) != "of another company" {
		t.Errorf("the other company's document = %v, %v", d, err)
	}
}

func testDueDocuments(t *testing.T, b *bundle) {
	at := func(id string, company int64, wait time.Duration) *fattorino.Document {
		return &fattorino.Document{Kind: "note", Company: company, ID: id, DueAt: start.Add(wait), Body: []byte{}}
	}
	b.put(
		at("late", 7, time.Hour), at("soon", 8, time.Second), at("later", 7, 24*time.Hour),
		&fattorino.Document{Kind: "note", Company: 7, ID: "never", Body: []byte{}},
		&fattorino.Document{Kind: "other", Company: 7, ID: "of another kind", DueAt: start, Body: []byte{}},
	)
	b.reopen(b)
	due := func() []string {
		page, err := b.DueDocuments(ctx, "note", 2)
		b.must(err)
		ids := []string{}
		for _, d := range page {
			ids = append(ids, d.ID)
		}
		return ids
	}
	if got := due(); !cmp.Equal(got, []string{"soon", "late"}) {
		t.Errorf("due = %v, want soon and late", got)
	}
	b.put(&fattorino.Document{Kind: "note", Company: 8, ID: "soon", Body: []byte{}})
	if got := due(); !cmp.Equal(got, []string{"late", "later"}) {
		t.Errorf("due once soon is done = %v, want late and later", got)
	}
}
