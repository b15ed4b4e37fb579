package fattorino_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// deeds gives what was done, oldest first: who, what and on what.
func (f *fixture) deeds(tb testing.TB, q fattorino.DeedQuery) []string {
	tb.Helper()
	q.Limit = 1000
	found, next, err := f.Deeds(context.Background(), f.admin, q)
	if err != nil || next != "" {
		tb.Fatal(next, err)
	}
	lines := []string{}
	for _, d := range found {
		lines = append([]string{fmt.Sprint(d.By, d.Kind, d.Hint, " ", d.Action, " ", d.Object, " ", d.Company)}, lines...)
	}
	return lines
}

func TestWhateverIsDoneIsInTheAudit(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *fattorino.Config) { c.OwnContract = "open" })
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	anna := &fattorino.Token{Kind: fattorino.AdminToken, Name: "anna"}
	app, err := f.CreateApp(ctx, anna, "Warehouse")
	must(err)
	token, secret, err := f.CreateToken(ctx, anna, fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Scopes: []string{"*"}})
	must(err)
	_, err = f.NameCompany(ctx, anna, 7, "Rossi")
	must(err)
	n := wish("https://sink/?token=topsecret", paid)
	n.Contract = "open"
	sub := f.subscribe(t, token, n)
	off, on := false, true
	for _, c := range []fattorino.SubscriptionChange{{Enabled: &off}, {Enabled: &on}, {Types: []string{paid, created}}, {Secret: &fattorino.Secret{Sealed: []byte("sealed")}}} {
		_, _, err = f.ModifySubscription(ctx, token, 7, "open", sub.ID, c)
		must(err)
	}
	f.sinks.nowAnswer(http.StatusTeapot)
	d, err := f.SendTest(ctx, token, 7, "open", sub.ID, &fattorino.Event{ID: "test", Source: "/test", Type: paid, Company: 7})
	must(err)
	eventually(t, func() bool { _, err := f.Resend(ctx, token, 7, d.ID); return err == nil })
	_, _, err = f.PutOwnType(ctx, anna, fattorino.OwnType{Name: "our.own"}, false)
	must(err)
	_, err = f.PutOwnGroup(ctx, anna, fattorino.Group{Name: "ours", Types: []string{"our.own"}}, false)
	must(err)
	must(f.DeleteOwnGroup(ctx, anna, "ours"))
	must(f.DeleteOwnType(ctx, anna, "our.own"))
	must(f.DeleteSubscription(ctx, token, 7, "open", sub.ID))
	must(f.RevokeToken(ctx, anna, token.ID))
	must(f.RevokeToken(ctx, anna, token.ID)) // which is out of force already
	must(f.Note(ctx, anna, "user.add", 0, "user/bruno"))

	by := "api" + token.Hint
	want := []string{
		fmt.Sprint("annaadmin app.create app/", lastApp+1, " 0"),
		"annaadmin token.create token/1 0",
		"annaadmin company.name company/7 7",
		by + " subscription.create subscription/1 7",
		by + " subscription.disable subscription/1 7",
		by + " subscription.enable subscription/1 7",
		by + " subscription.change subscription/1 7",
		by + " subscription.rotate subscription/1 7",
		by + " subscription.test subscription/1 7",
		by + " delivery.resend " + fmt.Sprint("delivery/", d.ID) + " 7",
		"annaadmin type.put type/our.own 0",
		"annaadmin group.put group/ours 0",
		"annaadmin group.delete group/ours 0",
		"annaadmin type.delete type/our.own 0",
		by + " subscription.delete subscription/1 7",
		"annaadmin token.revoke token/1 0",
		"annaadmin user.add user/bruno 0",
	}
	all := f.deeds(t, fattorino.DeedQuery{})
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("the audit (-want +got):\n%s", diff)
	}
	if said := strings.Join(all, "\n"); strings.Contains(said, secret) || strings.Contains(said, "topsecret") {
		t.Error("the audit holds a secret")
	}
	for name, c := range map[string]struct {
		q    fattorino.DeedQuery
		want int
	}{
		"a company":            {fattorino.DeedQuery{Company: 7}, 9},
		"a user":               {fattorino.DeedQuery{Text: "ANNA"}, 9},
		"an action":            {fattorino.DeedQuery{Text: "token."}, 2},
		"an object":            {fattorino.DeedQuery{Text: "subscription/1", Company: 7}, 7},
		"a token, by its hint": {fattorino.DeedQuery{Text: token.Hint}, 8},
		"nothing":              {fattorino.DeedQuery{Company: 8}, 0},
	} {
		if got := f.deeds(t, c.q); len(got) != c.want {
			t.Errorf("of %s there are %d, want %d: %v", name, len(got), c.want, got)
		}
	}
}

func TestWhatDoesNotComeAboutIsNotInTheAudit(t *testing.T) {
	t.Parallel()
	f := setup(t)
	fails(t, f.RevokeToken(t.Context(), f.admin, 99), fattorino.NotFound)
	fails(t, f.DeleteSubscription(t.Context(), f.app, 7, "open", 99), fattorino.NotFound)
	if got := f.deeds(t, fattorino.DeedQuery{}); len(got) != 0 {
		t.Errorf("the audit has %v, want nothing", got)
	}
	_, _, err := f.Deeds(t.Context(), f.app, fattorino.DeedQuery{Limit: 1})
	fails(t, err, fattorino.Denied)
}

func TestTheAuditIsReadPageByPageTheLatestFirst(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 7 {
		if err := f.Note(t.Context(), f.admin, "test.note", 0, fmt.Sprint("note/", i)); err != nil {
			t.Fatal(err)
		}
	}
	var objects []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		found, next, err := f.Deeds(t.Context(), f.admin, fattorino.DeedQuery{After: after, Limit: 3})
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, d := range found {
			objects = append(objects, d.Object)
		}
		after = next
	}
	if diff := cmp.Diff([]string{"note/6", "note/5", "note/4", "note/3", "note/2", "note/1", "note/0"}, objects); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
}

func TestDeedsPastTheirRetentionAreForgotten(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		for i, due := range []time.Time{time.Now().Add(-time.Minute), time.Now().Add(time.Hour)} {
			if err := tx.PutDocument(&fattorino.Document{Kind: "audit", ID: fmt.Sprint("f-", i), DueAt: due, Body: fmt.Appendf(nil, `{"object":"old/%d"}`, i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.Note(t.Context(), f.admin, "test.note", 0, "note/1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"  old/1 0", "admin test.note note/1 0"}, f.deeds(t, fattorino.DeedQuery{})); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}
