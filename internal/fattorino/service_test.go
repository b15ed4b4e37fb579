package fattorino_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAContractIsGivenOnce(t *testing.T) {
	t.Parallel()
	_, err := fattorino.NewService(fattorino.Config{Contracts: []fattorino.Contract{newHouse(t), newVendor(t), newHouse(t)}})
	if err == nil {
		t.Error("made with the same contract twice")
	}
	s, err := fattorino.NewService(fattorino.Config{Contracts: []fattorino.Contract{newHouse(t), newVendor(t)}})
	if err != nil || len(s.Catalogs().All()) != 2 {
		t.Errorf("%v; want the catalogs of both", err)
	}
}

// hesitant is the real engine, whose transactions fail at their end the first
// time and are run again, as a database does with those that stand in each
// other's way.
type hesitant struct{ *engine.Engine }

func (h hesitant) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	rolledBack := errors.New("could not serialize access")
	err := h.Engine.Update(ctx, func(tx fattorino.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return rolledBack
	})
	if errors.Is(err, rolledBack) {
		return h.Engine.Update(ctx, f)
	}
	return err
}

func TestAUseCaseWhoseTransactionIsRunAgainDoesTheSame(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := setup(t, func(c *fattorino.Config) { c.Engine = hesitant{c.Engine.(*engine.Engine)} })

	t.Run("first admin token", func(t *testing.T) {
		secret, err := f.FirstAdminToken(ctx)
		if err != nil || !f.known(t, secret) {
			t.Errorf("%v, or the token was not written", err)
		}
	})
	t.Run("app and token", func(t *testing.T) {
		app := f.newApp(t, "Studio Rossi")
		_, secret := f.create(t, fattorino.Token{Kind: fattorino.APIToken, App: app, Companies: []int64{7}})
		if !f.known(t, secret) {
			t.Error("the token was not written")
		}
		if list, _ := f.Apps(ctx, f.admin, lastApp, 10); len(list) != 1 || list[0].ID != app {
			t.Errorf("apps %+v, want number %d alone", list, app)
		}
	})
	t.Run("subscription", func(t *testing.T) {
		f.subscribe(t, f.app, wish(here, paid))
		sub, refused, err := f.Subscribe(ctx, f.app, wish(there, all, "invoice.lost"))
		if err != nil || sub.State != fattorino.Active || sub.Handshake.Round != 1 {
			t.Fatalf("%+v, %v; want it active after one challenge", sub, err)
		}
		want := []fattorino.TypeRefusal{unknown("invoice.lost"), taken(paid)}
		if diff := cmp.Diff(want, refused); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if n := len(f.held(t, f.app)); n != 2 {
			t.Errorf("%d subscriptions, want 2", n)
		}

		to := "https://c.example"
		moved, refused, err := f.ModifySubscription(ctx, f.app, 7, "house", sub.ID,
			fattorino.SubscriptionChange{Types: []string{paid, created, "invoice.lost"}, Sink: &to})
		if err != nil || moved.State != fattorino.Active || moved.Handshake.Round != 2 {
			t.Errorf("moved: %+v, %v; want it active after one challenge more", moved, err)
		}
		if diff := cmp.Diff(want, refused); diff != "" {
			t.Errorf("refused at the change (-want +got):\n%s", diff)
		}
		if err := f.DeleteSubscription(ctx, f.app, 7, "house", sub.ID); err != nil {
			t.Error(err)
		}
	})
	t.Run("count", func(t *testing.T) {
		for want := range int64(3) {
			c := &fattorino.Counter{Name: "a", Window: noon}
			if err := f.CountCall(ctx, func(tx fattorino.CounterTx) error { return tx.Count(c) }); err != nil || c.Count != want+1 {
				t.Errorf("count %d, %v; want %d", c.Count, err, want+1)
			}
		}
	})
}
