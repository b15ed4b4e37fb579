package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func (b *bundle) ownTypes() []*fattorino.OwnType {
	b.t.Helper()
	all, err := b.OwnTypes(ctx)
	b.must(err)
	return all
}

func (b *bundle) ownGroups() []fattorino.Group {
	b.t.Helper()
	all, err := b.OwnGroups(ctx)
	b.must(err)
	return all
}

func testOwnTypes(t *testing.T, b *bundle) {
	if len(b.ownTypes()) != 0 || len(b.ownGroups()) != 0 {
		t.Error("a new store has types of the operator's")
	}
	paid := &fattorino.OwnType{
		Name: "acme.paid", Description: "È pagato", Common: "invoice.paid", Schema: []byte("{\"b\": 1.50,\n \"a\": 2}"),
		Deprecated: "use acme.settled", CreatedAt: start, UpdatedAt: start.Add(time.Hour),
	}
	bare := &fattorino.OwnType{Name: "acme.Paid", CreatedAt: start, UpdatedAt: start}
	both := fattorino.Group{Name: "acme.all", Types: []string{"acme.paid", "acme.Paid"}}
	b.update(func(tx fattorino.Tx) error {
		return errors.Join(tx.PutOwnType(paid), tx.PutOwnType(bare), tx.PutOwnGroup(both))
	})
	b.reopen(b)
	if diff := cmp.Diff([]*fattorino.OwnType{bare, paid}, b.ownTypes(), same); diff != "" {
		t.Errorf("types (-put +read):\n%s", diff)
	}
	if diff := cmp.Diff([]fattorino.Group{both}, b.ownGroups()); diff != "" {
		t.Errorf("groups (-put +read):\n%s", diff)
	}

	changed := *paid
	changed.Schema, changed.Deprecated, changed.UpdatedAt = nil, "", start.Add(2*time.Hour)
	both.Types = []string{"acme.paid"}
	b.update(func(tx fattorino.Tx) error {
		return errors.Join(tx.PutOwnType(&changed), tx.PutOwnGroup(both), tx.DeleteOwnType(bare.Name), tx.DeleteOwnType("none"))
	})
	if diff := cmp.Diff([]*fattorino.OwnType{&changed}, b.ownTypes(), same); diff != "" {
		t.Errorf("types after the change (-put +read):\n%s", diff)
	}
	if diff := cmp.Diff([]fattorino.Group{both}, b.ownGroups()); diff != "" {
		t.Errorf("groups after the change (-put +read):\n%s", diff)
	}
	b.update(func(tx fattorino.Tx) error {
		return errors.Join(tx.DeleteOwnGroup(both.Name), tx.DeleteOwnGroup("none"))
	})
	if n := len(b.ownGroups()); n != 0 {
		t.Errorf("%d groups after deleting, want none", n)
	}
}

func testRecentEvents(t *testing.T, b *bundle) {
	for i := range 6 {
		other := invoice(8, fmt.Sprintf("other%d", i), i)
		other.Type, other.Common = "t", "fic.invoices.create" // a common name is not the type
		b.publish(start, nil, invoice(int64(7+i%2), fmt.Sprint(i), i), other)
	}
	b.update(func(tx fattorino.Tx) error {
		private := invoice(7, "welcome", 9)
		private.Accepted = start
		_, err := tx.PutPrivate(private, 1)
		return err
	})
	recent := func(reach, limit int) (got []string) {
		b.must(b.RecentEvents(ctx, "fic.invoices.create", reach, limit, func(e *fattorino.Event) error {
			got = append(got, e.ID)
			if string(e.Data) != string(invoice(7, e.ID, int(e.ID[0]-'0')).Data) {
				t.Errorf("event %s has the data %s", e.ID, e.Data)
			}
			return nil
		}))
		return got
	}
	if got := recent(1000, 1000); !cmp.Equal(got, []string{"5", "4", "3", "2", "1", "0"}) {
		t.Errorf("all = %v, want the newest first, of every company, and nothing else", got)
	}
	if got := recent(1000, 2); !cmp.Equal(got, []string{"5", "4"}) {
		t.Errorf("two = %v, want 5 and 4", got)
	}
	if got := recent(5, 1000); !cmp.Equal(got, []string{"5", "4"}) {
		t.Errorf("among the newest five = %v, want 5 and 4", got)
	}
	refusal, calls := fattorino.Errorf(fattorino.Conflict, "no"), 0
	err := b.RecentEvents(ctx, "fic.invoices.create", 1000, 1000, func(*fattorino.Event) error {
		calls++
		return refusal
	})
	if fattorino.AsError(err) != refusal || calls != 1 {
		t.Errorf("error %v after %d calls, want that of the function after one", err, calls)
	}
}
