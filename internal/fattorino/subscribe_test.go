package fattorino_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

const (
	here  = "https://a.example/hook?key=1"
	there = "https://b.example/hook"
)

// unknown and taken are the refusals of types.
func unknown(typ string) fattorino.TypeRefusal {
	return fattorino.TypeRefusal{Type: typ, Why: fattorino.UnknownType}
}

func taken(typ string) fattorino.TypeRefusal {
	return fattorino.TypeRefusal{Type: typ, Why: fattorino.TakenType}
}

// held gives the subscriptions of a caller to company 7 under "house".
func (f *fixture) held(tb testing.TB, caller *fattorino.Token) []*fattorino.Subscription {
	tb.Helper()
	list, err := f.Subscriptions(context.Background(), caller, 7, "house")
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func TestASubscriptionIsMadeAsWished(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish(here, paid)
	n.Format = fattorino.Structured
	sub := f.subscribe(t, f.app, n)

	if sub.State != fattorino.Active || sub.ID == 0 || sub.CreatedAt.IsZero() {
		t.Errorf("made %+v, want an active one with an id", sub)
	}
	want := fattorino.Subscription{Company: 7, App: 1, Contract: "house", Sink: here, Types: []string{paid}, Format: fattorino.Structured}
	got := fattorino.Subscription{Company: sub.Company, App: sub.App, Contract: sub.Contract, Sink: sub.Sink, Types: sub.Types, Format: sub.Format}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	read, err := f.Subscription(context.Background(), f.app, 7, "house", sub.ID)
	if diff := cmp.Diff(sub, read); diff != "" || err != nil {
		t.Errorf("read back: %v (-made +read):\n%s", err, diff)
	}
}

func TestWhichTypesASubscriptionGets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		asked   []string
		types   []string
		refused []fattorino.TypeRefusal
	}{
		{name: "those asked for, in that order", asked: []string{paid, created}, types: []string{paid, created}},
		{name: "the members of a group", asked: []string{all}, types: []string{created, paid, deleted}},
		{name: "a type of the group only once", asked: []string{paid, all, created}, types: []string{paid, created, deleted}},
		{name: "A7: repeats are merged silently", asked: []string{paid, paid}, types: []string{paid}},
		{name: "unknown ones are refused, the rest is kept", asked: []string{"invoice.lost", paid, ""}, types: []string{paid}, refused: []fattorino.TypeRefusal{unknown("invoice.lost"), unknown("")}},
		{name: "A7: repeats of an unknown one are merged too", asked: []string{"invoice.lost", paid, "invoice.lost"}, types: []string{paid}, refused: []fattorino.TypeRefusal{unknown("invoice.lost")}},
		{name: "types of another contract are unknown", asked: []string{"com.vendor.docs.create", paid}, types: []string{paid}, refused: []fattorino.TypeRefusal{unknown("com.vendor.docs.create")}},
		{name: "A7: none left", asked: []string{"invoice.lost"}, refused: []fattorino.TypeRefusal{unknown("invoice.lost")}},
		{name: "none asked for", asked: nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			sub, refused, err := f.Subscribe(context.Background(), f.app, wish(here, tt.asked...))
			if diff := cmp.Diff(tt.refused, refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if tt.types == nil {
				if e := told(t, err, fattorino.Invalid); e.Code != "no_type_left" {
					t.Errorf("code %q, want no_type_left", e.Code)
				}
				if left := f.held(t, f.app); len(left) != 0 {
					t.Errorf("made %+v all the same", left[0])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.types, sub.Types); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAppHearsATypeOfACompanyOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	// Given a subscription of an app to payments of company 7,
	f.subscribe(t, f.app, wish(here, paid))

	// then another of them is refused type by type, after the group is exploded,
	sub, refused, err := f.Subscribe(context.Background(), f.app, wish(there, all))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{created, deleted}, sub.Types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]fattorino.TypeRefusal{taken(paid)}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	// and with no type left, as a whole.
	_, refused, err = f.Subscribe(context.Background(), f.app, wish(there, created, "invoice.lost"))
	fails(t, err, fattorino.Invalid)
	if diff := cmp.Diff([]fattorino.TypeRefusal{unknown("invoice.lost"), taken(created)}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}

	// Another app, another company and another contract are independent.
	f.subscribe(t, f.rival, wish(there, paid))
	elsewhere := wish(there, paid)
	elsewhere.Company = 8
	f.subscribe(t, f.app, elsewhere)
	open := wish(there, paid, stock)
	open.Contract = "open"
	f.subscribe(t, f.app, open)
	f.subscribe(t, f.app, wish(there, stock))
}

func TestInASharedCatalogATypeIsNeverTaken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish(here, paid, "*")
	n.Contract = "open"
	for range 2 {
		if sub := f.subscribe(t, f.app, n); !cmp.Equal(sub.Types, []string{paid, "*"}) {
			t.Errorf("types %v, want both", sub.Types)
		}
	}
	sub := f.subscribe(t, f.app, n)
	changed, refused, err := f.ModifySubscription(context.Background(), f.app, 7, "open", sub.ID, fattorino.SubscriptionChange{Types: []string{"invoice.*", paid}})
	if err != nil || len(refused) > 0 || !cmp.Equal(changed.Types, []string{"invoice.*", paid}) {
		t.Errorf("%v, refused %v, %v; want both", changed.Types, refused, err)
	}
}

func TestAnAppHasSoManySubscriptionsToACompany(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *fattorino.Config) { c.Limits.Subscriptions = 2 })
	f.subscribe(t, f.app, wish(here, paid))
	second := f.subscribe(t, f.app, wish(here, created))

	_, _, err := f.Subscribe(context.Background(), f.app, wish(here, deleted))
	if e := told(t, err, fattorino.Invalid); e.Code != "too_many_subscriptions" {
		t.Errorf("code %q, want too_many_subscriptions", e.Code)
	}
	// Contracts share the limit; other apps and companies have their own.
	vendor := wish(here, "com.vendor.parcels.sent")
	vendor.Contract = "vendor"
	_, _, err = f.Subscribe(context.Background(), f.app, vendor)
	fails(t, err, fattorino.Invalid)
	f.subscribe(t, f.rival, wish(here, deleted))
	elsewhere := wish(here, deleted)
	elsewhere.Company = 8
	f.subscribe(t, f.app, elsewhere)

	// One that is gone makes room.
	if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", second.ID); err != nil {
		t.Fatal(err)
	}
	f.subscribe(t, f.app, wish(here, deleted))
}

func TestSubscribingNeedsTheScopesOfAllTypes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i, tt := range []struct {
		name   string
		scopes []string
		types  []string
		want   bool
	}{
		{"the scope of the type", []string{"invoices:r"}, []string{paid}, true},
		{"the right to write", []string{"invoices:a"}, []string{paid}, true},
		{"no scope", nil, []string{paid}, false},
		{"another scope", []string{"products:r"}, []string{paid}, false},
		{"one of two that the type needs", []string{"products:r"}, []string{stock}, false},
		{"both that the type needs", []string{"stock:a", "products:r"}, []string{stock}, true},
		{"the scope of one type of two", []string{"invoices:r"}, []string{paid, stock}, false},
		{"the scope of a group's members", []string{"invoices:r"}, []string{all}, true},
		{"no scope for a group", []string{"products:r"}, []string{all}, false},
		{"an unknown type beside, which needs none", []string{"invoices:r"}, []string{paid, "invoice.lost"}, true},
		{"everything", []string{"*"}, []string{all, stock}, true},
	} {
		caller := &fattorino.Token{Kind: fattorino.APIToken, App: int64(i + 10), Scopes: tt.scopes}
		_, _, err := f.Subscribe(context.Background(), caller, wish(here, tt.types...))
		if tt.want {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if e := told(t, err, fattorino.Denied); e.Code != "NO_PERMISSION" || !strings.Contains(e.Msg, "needs the scope ") {
			t.Errorf("%s: told %q, %q", tt.name, e.Code, e.Msg)
		}
		if left := f.held(t, caller); len(left) != 0 {
			t.Errorf("%s: made all the same", tt.name)
		}
	}
}

func TestTheWordOfAnotherContractIsNoWayAroundScopes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	bare := &fattorino.Token{Kind: fattorino.APIToken, App: 3}
	for _, tt := range []struct {
		contract, name string
		want           bool
	}{
		{"vendor", "com.vendor.docs.create", true}, // under its own contract, which asks for none
		{"open", "com.vendor.docs.create", false},  // it counts as invoice.created
		{"open", "com.vendor.*", false},
		{"open", "com.vendor.parcels.*", true}, // linked to nothing
		{"open", "com.vendor.parcels.sent", true},
		{"open", "parcel.lost", true}, // in no catalog
	} {
		n := wish(here, tt.name)
		n.Contract = tt.contract
		_, _, err := f.Subscribe(context.Background(), bare, n)
		if (err == nil) != tt.want || (err != nil && fattorino.KindOf(err) != fattorino.Denied) {
			t.Errorf("%s under the contract %s: %v, want it granted: %t", tt.name, tt.contract, err, tt.want)
		}
	}
}

func TestWhoMaySubscribe(t *testing.T) {
	t.Parallel()
	f := setup(t)
	integrator := fattorino.Token{Kind: fattorino.APIToken, App: 3, Companies: []int64{7}, Scopes: []string{"*"}}
	for _, tt := range []struct {
		name    string
		caller  fattorino.Token
		company int64
		words   string
		want    fattorino.Kind
	}{
		{"a platform", fattorino.Token{Kind: fattorino.PublishToken, Scopes: []string{"*"}}, 7, "house", fattorino.Denied},
		{"an integrator with another company", integrator, 8, "house", fattorino.Denied},
		{"an integrator to no company", integrator, 0, "house", fattorino.Invalid},
		{"anyone to what cannot be a company", *f.admin, -7, "house", fattorino.Invalid},
		{"an integrator under a contract that is not here", integrator, 7, "defacto", fattorino.NotFound},
	} {
		n := wish(here, paid)
		n.Company, n.Contract = tt.company, tt.words
		_, _, err := f.Subscribe(context.Background(), &tt.caller, n)
		if kind := fattorino.KindOf(err); err == nil || kind != tt.want {
			t.Errorf("%s: %v, want kind %d", tt.name, err, tt.want)
		}
	}
	f.subscribe(t, &integrator, wish(here, paid))
	f.subscribe(t, f.admin, wish(here, paid))
	// A company comes into being when it is first named.
	if c, err := f.Company(context.Background(), f.admin, 7); err != nil || c.ID != 7 {
		t.Errorf("company 7: %v, %v", c, err)
	}
}

func TestASinkThatIsRefusedIsNotEntered(t *testing.T) {
	t.Parallel()
	refusal := fattorino.InvalidField("sink", "the sink must be https")
	f := setup(t, func(c *fattorino.Config) {
		c.CheckSink = func(sink string) error {
			if strings.HasPrefix(sink, "http://") {
				return refusal
			}
			return nil
		}
	})
	const bad = "http://a.example"
	_, _, err := f.Subscribe(context.Background(), f.app, wish(bad, paid))
	if e := told(t, err, fattorino.Invalid); e != refusal {
		t.Errorf("told %v, want what the check said", e)
	}
	sub := f.subscribe(t, f.app, wish(here, paid))
	to := bad
	_, _, err = f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to, Types: []string{created}})
	fails(t, err, fattorino.Invalid)
	if kept := f.kept(t, sub.ID); kept.Sink != here || kept.Types[0] != paid {
		t.Errorf("kept %+v, want it unchanged", kept)
	}
	if n := f.sinks.challenges(bad); n != 0 {
		t.Errorf("a refused sink was challenged %d times", n)
	}
}

// operations are those on one subscription.
func (f *fixture) operations() map[string]func(caller *fattorino.Token, company int64, contract string, id int64) error {
	ctx := context.Background()
	return map[string]func(*fattorino.Token, int64, string, int64) error{
		"read": func(caller *fattorino.Token, company int64, contract string, id int64) error {
			_, err := f.Subscription(ctx, caller, company, contract, id)
			return err
		},
		"modify": func(caller *fattorino.Token, company int64, contract string, id int64) error {
			_, _, err := f.ModifySubscription(ctx, caller, company, contract, id, fattorino.SubscriptionChange{})
			return err
		},
		"verify": func(caller *fattorino.Token, company int64, contract string, id int64) error {
			_, err := f.VerifySubscription(ctx, caller, company, contract, id, fattorino.ByHeader)
			return err
		},
		"delete": func(caller *fattorino.Token, company int64, contract string, id int64) error {
			return f.DeleteSubscription(ctx, caller, company, contract, id)
		},
	}
}

func TestAnAppSeesItsOwnSubscriptionsOnly(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.sinks.nowProve(wrongly) // so that it can be verified again
	sub := f.subscribe(t, f.app, wish(here, paid))
	gone := f.subscribe(t, f.app, wish(here, created))
	if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", gone.ID); err != nil {
		t.Fatal(err)
	}
	other := fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}, Scopes: []string{"*"}}

	for operation, do := range f.operations() {
		for _, tt := range []struct {
			name     string
			caller   *fattorino.Token
			company  int64
			contract string
			id       int64
			want     fattorino.Kind
		}{
			{"of another app", f.rival, 7, "house", sub.ID, fattorino.NotFound},
			{"under another company", f.app, 8, "house", sub.ID, fattorino.NotFound},
			{"under another contract", f.app, 7, "vendor", sub.ID, fattorino.NotFound},
			{"that is gone", f.app, 7, "house", gone.ID, fattorino.NotFound},
			{"that is gone, by the operator", f.admin, 7, "house", gone.ID, fattorino.NotFound},
			{"that never was", f.app, 7, "house", 999, fattorino.NotFound},
			{"of a company that the token does not reach", &other, 7, "house", sub.ID, fattorino.Denied},
			{"under a contract that is not here", f.app, 7, "defacto", sub.ID, fattorino.NotFound},
			{"by a platform", &fattorino.Token{Kind: fattorino.PublishToken}, 7, "house", sub.ID, fattorino.Denied},
		} {
			err := do(tt.caller, tt.company, tt.contract, tt.id)
			if kind := fattorino.KindOf(err); err == nil || kind != tt.want {
				t.Errorf("%s one %s: %v, want kind %d", operation, tt.name, err, tt.want)
				continue
			}
			// What may not be seen is told from what never was by nothing.
			if want := "there is no such subscription"; tt.want == fattorino.NotFound && tt.contract != "defacto" && err.Error() != want {
				t.Errorf("%s one %s: told %q, want %q", operation, tt.name, err, want)
			}
		}
	}
	if kept := f.kept(t, sub.ID); kept.State != fattorino.Unverified || kept.Handshake.Failed != 1 {
		t.Errorf("after all that it is %+v, want it untouched", kept)
	}
	// The operator may do all of it.
	for _, operation := range []string{"read", "modify", "verify", "delete"} {
		if err := f.operations()[operation](f.admin, 7, "house", sub.ID); err != nil {
			t.Errorf("%s by the operator: %v", operation, err)
		}
	}
}

func TestTheListShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	f := setup(t)
	mine := f.subscribe(t, f.app, wish(here, paid))
	second := f.subscribe(t, f.app, wish(here, created))
	theirs := f.subscribe(t, f.rival, wish(there, paid))
	elsewhere := wish(here, paid)
	elsewhere.Company = 8
	f.subscribe(t, f.app, elsewhere)
	vendor := wish(here, "com.vendor.parcels.sent")
	vendor.Contract = "vendor"
	foreign := f.subscribe(t, f.app, vendor)
	gone := f.subscribe(t, f.app, wish(here, deleted))
	if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", gone.ID); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name   string
		caller *fattorino.Token
		want   []int64
	}{
		{"to its app, oldest first", f.app, []int64{mine.ID, second.ID}},
		{"to the other app", f.rival, []int64{theirs.ID}},
		{"to an app that has none", &fattorino.Token{Kind: fattorino.APIToken, App: 9}, nil},
		{"to the operator", f.admin, []int64{mine.ID, second.ID, theirs.ID}},
	} {
		var got []int64
		for _, s := range f.held(t, tt.caller) {
			got = append(got, s.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}

	// Asked for without a contract, those of all are there, to list and to read.
	every, err := f.Subscriptions(context.Background(), f.app, 7, "")
	if err != nil || len(every) != 3 || every[2].ID != foreign.ID {
		t.Errorf("under all contracts: %v, %v", every, err)
	}
	for caller, want := range map[*fattorino.Token]bool{f.app: true, f.admin: true, f.rival: false} {
		sub, err := f.Subscription(context.Background(), caller, 7, "", foreign.ID)
		if (err == nil) != want || (err == nil && sub.ID != foreign.ID) {
			t.Errorf("read without a contract by %+v: %v, %v", caller, sub, err)
		}
	}
}

func TestAnAppThatIsNotThereSubscribesToNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	nobody := &fattorino.Token{Kind: fattorino.AdminToken, App: 99, Scopes: []string{"*"}}
	_, _, err := f.Subscribe(t.Context(), nobody, wish("https://sink", paid))
	if e := told(t, err, fattorino.Invalid); len(e.Faults) != 1 || e.Faults[0].Field != "app_id" {
		t.Errorf("%+v; want a fault in app_id", e)
	}
}
