package fattorino_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/schema"
)

// growing lets the operator add to the catalog of the contract "open".
func growing(c *fattorino.Config) {
	c.OwnContract, c.CompileSchema = "open", schema.Compile
}

const payoutSchema = `{"type": "object", "required": ["ids", "total"], "properties": {"total": {"type": "number", "minimum": 0}}}`

// put puts a type that must be taken.
func (f *fixture) put(tb testing.TB, t fattorino.OwnType) {
	tb.Helper()
	if _, _, err := f.PutOwnType(context.Background(), f.admin, t, false); err != nil {
		tb.Fatalf("put type %s: %v", t.Name, err)
	}
}

func (f *fixture) putGroup(tb testing.TB, name string, types ...string) {
	tb.Helper()
	if _, err := f.PutOwnGroup(context.Background(), f.admin, fattorino.Group{Name: name, Types: types}, false); err != nil {
		tb.Fatalf("put group %s: %v", name, err)
	}
}

// openCatalog gives the catalog that the operator adds to, as it now stands.
func (f *fixture) openCatalog(tb testing.TB) *fattorino.Catalog {
	tb.Helper()
	for _, c := range f.Catalogs().All() {
		if c.Contract == "open" {
			return c
		}
	}
	tb.Fatal("there is no catalog open")
	return nil
}

// warning publishes an event that must be accepted and gives its warning.
func (f *fixture) warning(tb testing.TB, e *fattorino.Event) string {
	tb.Helper()
	receipts, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{e})
	if err != nil {
		tb.Fatal(err)
	}
	return receipts[0].Warning
}

func payout(id, data string) *fattorino.Event {
	e := happened(id, "acme.payout.sent")
	e.Data = []byte(data)
	return e
}

func TestAnOwnTypeIsKnownAtOnceAndAfterARestart(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	if w := f.warning(t, payout("before", `{}`)); !strings.Contains(w, "in no catalog") {
		t.Errorf("warning %q before the type is put", w)
	}
	put, created, err := f.PutOwnType(context.Background(), f.admin, fattorino.OwnType{Name: "acme.payout.sent", Description: "A payout was sent."}, false)
	if err != nil || !created || put.CreatedAt.IsZero() {
		t.Fatalf("put %+v, created %t, %v", put, created, err)
	}
	if w := f.warning(t, payout("after", `{}`)); w != "" {
		t.Errorf("warning %q after the type is put", w)
	}
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent", Description: "Else."})
	f.putGroup(t, "acme.payouts", "acme.payout.sent", paid)

	again, err := fattorino.NewService(f.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.LoadOwnTypes(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.Service = again
	kept, ok := f.openCatalog(t).Type("acme.payout.sent")
	if !ok || kept.Own == nil || kept.Own.Description != "Else." || kept.Own.CreatedAt.UnixMicro() != put.CreatedAt.UnixMicro() {
		t.Errorf("after a restart: %+v %+v", kept, kept.Own)
	}
	if got := f.openCatalog(t).Explode("acme.payouts"); !cmp.Equal(got, []string{"acme.payout.sent", paid}) {
		t.Errorf("after a restart the group stands for %q", got)
	}
}

func TestAnOwnTypeLinkedToACommonNameIsHeardUnderEveryContract(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.invoice.settled", Common: paid})
	vendor := wish("https://vendor.example/", "com.vendor.docs.update")
	vendor.Contract = "vendor"
	f.subscribe(t, f.app, vendor)
	f.publish(t, happened("a", "acme.invoice.settled"))

	if got := f.history(t)[0]; got.Common != paid || got.Entity.String() != "invoice/42" {
		t.Errorf("common name %q, entity %q; want those of %s", got.Common, got.Entity, paid)
	}
	if got := f.deliveries(t); len(got) != 1 {
		t.Errorf("%d deliveries to who hears %s, want 1", len(got), paid)
	}
}

func TestTheScopesOfACommonNameAreThoseOfItsOwnTypes(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.invoice.settled", Common: paid})
	bare := &fattorino.Token{Kind: fattorino.APIToken, App: 3}
	n := wish("https://sink.example/", "acme.invoice.settled")
	n.Contract = "open"
	_, _, err := f.Subscribe(context.Background(), bare, n)
	fails(t, err, fattorino.Denied)
}

func TestAnOwnGroupStandsForItsTypesInSubscriptions(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent"})
	f.put(t, fattorino.OwnType{Name: "acme.payout.failed"})
	f.putGroup(t, "acme.payouts", "acme.payout.sent", "acme.payout.failed")
	n := wish("https://sink.example/", "acme.payouts")
	n.Contract = "open"
	sub := f.subscribe(t, f.app, n)
	if !cmp.Equal(sub.Types, []string{"acme.payout.sent", "acme.payout.failed"}) {
		t.Fatalf("types %q", sub.Types)
	}
	f.publish(t, payout("a", `{}`))
	if got := f.deliveries(t); len(got) != 1 {
		t.Errorf("%d deliveries, want 1", len(got))
	}
	// A subscription keeps what the group stood for when it was named.
	f.putGroup(t, "acme.payouts", "acme.payout.failed")
	f.publish(t, payout("b", `{}`))
	if got := f.deliveries(t); len(got) != 2 {
		t.Errorf("%d deliveries after the group has changed, want 2", len(got))
	}
}

func TestDataThatDoesNotMatchIsRefusedWithItsPlaceAndNothingIsStored(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent", Schema: []byte(payoutSchema)})
	good := payout("good", `{"ids": [1], "total": 12.50}`)
	text := payout("text", `total`)
	text.Form = fattorino.TextData
	none := payout("none", ``)
	none.Form, none.Data = fattorino.NoData, nil
	_, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{
		good, happened("other", paid), payout("missing", `{"ids": [1]}`), payout("negative", `{"ids": [1], "total": -1}`), text, none,
	})
	var got []string
	for _, fault := range told(t, err, fattorino.Invalid).Faults {
		got = append(got, fault.Field)
	}
	if diff := cmp.Diff([]string{"events.2.data", "events.3.data/total", "events.4.data", "events.5.data"}, got); diff != "" {
		t.Errorf("places of the faults (-want +got):\n%s", diff)
	}
	if n := len(f.history(t)); n != 0 {
		t.Errorf("%d events were stored, want none", n)
	}
	_, err = f.Publish(context.Background(), f.admin, []*fattorino.Event{payout("alone", `{"ids": [1], "total": "1"}`)})
	if faults := told(t, err, fattorino.Invalid).Faults; len(faults) != 1 || faults[0].Field != "data/total" {
		t.Errorf("faults of an event alone: %v", faults)
	}
	f.publish(t, good)

	// A schema is taken back with the type, or by putting the type without.
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent"})
	f.publish(t, payout("free", `[]`))
}

func TestFaultsOfManyEventsAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent", Schema: []byte(`{"items": {"type": "string"}}`)})
	var events []*fattorino.Event
	for i := range 5 {
		events = append(events, payout(fmt.Sprint(i), `[`+strings.Repeat("1,", 9)+`1]`))
	}
	_, err := f.Publish(context.Background(), f.admin, events)
	if n := len(told(t, err, fattorino.Invalid).Faults); n != 32 {
		t.Errorf("%d faults are told of 50, want 32", n)
	}
}

func TestATypeOfTheCatalogItselfCanHaveASchemaAndADeprecation(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: paid, Schema: []byte(`{"required": ["total"]}`), Deprecated: "use invoice.settled"})
	_, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{happened("a", paid)})
	fails(t, err, fattorino.Invalid)

	e := happened("b", paid)
	e.Data = []byte(`{"total": 1}`)
	if w := f.warning(t, e); w != `the type "invoice.paid" is deprecated: use invoice.settled` {
		t.Errorf("warning %q", w)
	}
	if err := f.DeleteOwnType(context.Background(), f.admin, paid); err != nil {
		t.Fatal(err)
	}
	if w := f.warning(t, happened("c", paid)); w != "" {
		t.Errorf("warning %q after what was said is taken back", w)
	}
	if _, there := f.openCatalog(t).Type(paid); !there {
		t.Error("the type itself is gone")
	}
}

func TestBadOwnTypesAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.a"})
	f.putGroup(t, "acme.group", "acme.a")
	long := strings.Repeat("x", 2001)
	for _, tt := range []struct {
		name  string
		t     fattorino.OwnType
		kind  fattorino.Kind
		field string
	}{
		{"no name", fattorino.OwnType{}, fattorino.Invalid, "name"},
		{"a wildcard", fattorino.OwnType{Name: "acme.*"}, fattorino.Invalid, "name"},
		{"a slash", fattorino.OwnType{Name: "acme/a"}, fattorino.Invalid, "name"},
		{"dots alone", fattorino.OwnType{Name: ".."}, fattorino.Invalid, "name"},
		{"a space", fattorino.OwnType{Name: "acme a"}, fattorino.Invalid, "name"},
		{"too long a name", fattorino.OwnType{Name: long[:201]}, fattorino.Invalid, "name"},
		{"too long a description", fattorino.OwnType{Name: "acme.b", Description: long}, fattorino.Invalid, "description"},
		{"too long a deprecation", fattorino.OwnType{Name: "acme.b", Deprecated: long[:501]}, fattorino.Invalid, "deprecated"},
		{"the name of a group", fattorino.OwnType{Name: "acme.group"}, fattorino.Conflict, ""},
		{"a type of another contract", fattorino.OwnType{Name: "com.vendor.docs.create"}, fattorino.Conflict, ""},
		{"an unknown common name", fattorino.OwnType{Name: "acme.b", Common: "invoice.payed"}, fattorino.Invalid, "common"},
		{"a common name that is a type's own", fattorino.OwnType{Name: "acme.b", Common: "com.vendor.docs.create"}, fattorino.Invalid, "common"},
		{"another common name for what has one", fattorino.OwnType{Name: paid, Common: created}, fattorino.Invalid, "common"},
		{"no schema", fattorino.OwnType{Name: "acme.b", Schema: []byte(`[]`)}, fattorino.Invalid, "schema"},
		{"too large a schema", fattorino.OwnType{Name: "acme.b", Schema: []byte(`{"$comment": "` + strings.Repeat("x", 256<<10) + `"}`)}, fattorino.Invalid, "schema"},
	} {
		_, _, err := f.PutOwnType(context.Background(), f.admin, tt.t, false)
		refusal := told(t, err, tt.kind)
		if tt.field != "" && (len(refusal.Faults) == 0 || refusal.Faults[0].Field != tt.field) {
			t.Errorf("%s: faults %v, want one at %s", tt.name, refusal.Faults, tt.field)
		}
	}
	for _, tt := range []struct {
		name  string
		g     fattorino.Group
		kind  fattorino.Kind
		field string
	}{
		{"no types", fattorino.Group{Name: "acme.g"}, fattorino.Invalid, "types"},
		{"an unknown type", fattorino.Group{Name: "acme.g", Types: []string{"acme.a", "acme.z"}}, fattorino.Invalid, "types.1"},
		{"a type twice", fattorino.Group{Name: "acme.g", Types: []string{"acme.a", "acme.a"}}, fattorino.Invalid, "types.1"},
		{"a group in a group", fattorino.Group{Name: "acme.g", Types: []string{"acme.group"}}, fattorino.Invalid, "types.0"},
		{"the name of a type", fattorino.Group{Name: paid, Types: []string{"acme.a"}}, fattorino.Conflict, ""},
		{"no name", fattorino.Group{Types: []string{"acme.a"}}, fattorino.Invalid, "name"},
	} {
		_, err := f.PutOwnGroup(context.Background(), f.admin, tt.g, false)
		refusal := told(t, err, tt.kind)
		if tt.field != "" && (len(refusal.Faults) == 0 || refusal.Faults[0].Field != tt.field) {
			t.Errorf("%s: faults %v, want one at %s", tt.name, refusal.Faults, tt.field)
		}
	}
	if n := len(f.openCatalog(t).Types); n != 2 {
		t.Errorf("%d types after all these, want 2", n)
	}
}

func TestATypeThatAGroupHoldsIsNotDeleted(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.a"})
	f.putGroup(t, "acme.group", "acme.a")
	fails(t, f.DeleteOwnType(context.Background(), f.admin, "acme.a"), fattorino.Conflict)
	if err := f.DeleteOwnGroup(context.Background(), f.admin, "acme.group"); err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteOwnType(context.Background(), f.admin, "acme.a"); err != nil {
		t.Fatal(err)
	}
	fails(t, f.DeleteOwnType(context.Background(), f.admin, "acme.a"), fattorino.NotFound)
	fails(t, f.DeleteOwnType(context.Background(), f.admin, paid), fattorino.NotFound) // of which nothing is said
	fails(t, f.DeleteOwnGroup(context.Background(), f.admin, "acme.group"), fattorino.NotFound)
}

func TestADryRunChecksAndChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	_, created, err := f.PutOwnType(context.Background(), f.admin, fattorino.OwnType{Name: "acme.a"}, true)
	if err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
	_, _, err = f.PutOwnType(context.Background(), f.admin, fattorino.OwnType{Name: "acme.a", Schema: []byte(`7`)}, true)
	fails(t, err, fattorino.Invalid)
	if _, err := f.PutOwnGroup(context.Background(), f.admin, fattorino.Group{Name: "g", Types: []string{paid}}, true); err != nil {
		t.Fatal(err)
	}
	if c := f.openCatalog(t); len(c.Types) != 1 || len(c.Groups) != 0 {
		t.Errorf("there are types %v and groups %v", c.Types, c.Groups)
	}
}

func TestASchemaIsTriedOnTheLastEvents(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	for i := range 15 {
		f.publish(t, payout(fmt.Sprint("bad", i), `{"total": -1}`), happened(fmt.Sprint("other", i), paid))
	}
	f.publish(t, payout("good", `{"ids": [1], "total": 1}`))
	dryRun := func(schema string, last int) (*fattorino.SchemaCheck, error) {
		return f.DryRunSchema(context.Background(), f.admin, "acme.payout.sent", []byte(schema), last)
	}
	found, err := dryRun(payoutSchema, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if found.Checked != 16 || found.Failed != 15 || len(found.Samples) != 10 {
		t.Errorf("checked %d, failed %d, samples %d; want 16, 15, 10", found.Checked, found.Failed, len(found.Samples))
	}
	if s := found.Samples[0]; s.ID != "bad14" || s.Company != 7 || s.Seq != 29 || len(s.Faults) != 2 || s.Faults[0].Field != "data" || s.Faults[1].Field != "data/total" {
		t.Errorf("the newest that fails: %+v", s)
	}
	if found, err := dryRun(payoutSchema, 1); err != nil || found.Checked != 1 || found.Failed != 0 {
		t.Errorf("the last alone: %+v, %v", found, err)
	}
	_, err = dryRun("", 10)
	if faults := told(t, err, fattorino.Invalid).Faults; len(faults) != 1 || faults[0].Field != "schema" {
		t.Errorf("no schema anywhere: %v", faults)
	}
	f.put(t, fattorino.OwnType{Name: "acme.payout.sent", Schema: []byte(`{"required": ["ids"]}`)})
	if found, err := dryRun("", 10_000); err != nil || found.Failed != 15 {
		t.Errorf("the schema in force: %+v, %v", found, err)
	}
	for _, last := range []int{0, -1, 10_001} {
		_, err := dryRun("true", last)
		fails(t, err, fattorino.Invalid)
	}
	_, err = dryRun("{", 10)
	fails(t, err, fattorino.Invalid)
}

func TestTypesOfAFileArePutAtOnceAndAgainWithoutChange(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	f.put(t, fattorino.OwnType{Name: "acme.kept"})
	types := []fattorino.OwnType{{Name: "acme.a", Schema: []byte(`{}`)}, {Name: "acme.b", Common: paid}}
	groups := []fattorino.Group{{Name: "acme.all", Types: []string{"acme.b", "acme.a", paid}}}
	apply := func() error { return f.ApplyOwnTypes(context.Background(), types, groups) }
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	first, _ := f.openCatalog(t).Type("acme.a")
	if err := apply(); err != nil {
		t.Fatal(err)
	}
	again, _ := f.openCatalog(t).Type("acme.a")
	if first.Own == nil || !again.Own.UpdatedAt.Equal(first.Own.UpdatedAt) {
		t.Errorf("the same again is a change: %+v, %+v", first.Own, again.Own)
	}
	if got := f.openCatalog(t).Explode("acme.all"); !cmp.Equal(got, groups[0].Types) {
		t.Errorf("the group stands for %q", got)
	}
	if _, kept := f.openCatalog(t).Type("acme.kept"); !kept {
		t.Error("a type that is not in the file is gone")
	}

	// One fault and nothing is put.
	types = []fattorino.OwnType{{Name: "acme.c"}, {Name: "acme.d", Schema: []byte(`{"type": "money"}`)}}
	if faults := told(t, apply(), fattorino.Invalid).Faults; len(faults) == 0 || faults[0].Field != "types.acme.d.schema/type" {
		t.Errorf("faults %v", faults)
	}
	if _, put := f.openCatalog(t).Type("acme.c"); put {
		t.Error("half of a bad file is in force")
	}
}

func TestOnlyTheOperatorChangesTheCatalog(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	ctx := context.Background()
	for _, caller := range []*fattorino.Token{f.app, {Kind: fattorino.PublishToken}} {
		_, _, err := f.PutOwnType(ctx, caller, fattorino.OwnType{Name: "acme.a"}, false)
		fails(t, err, fattorino.Denied)
		_, err = f.PutOwnGroup(ctx, caller, fattorino.Group{Name: "g", Types: []string{paid}}, true)
		fails(t, err, fattorino.Denied)
		_, err = f.DryRunSchema(ctx, caller, paid, []byte(`true`), 1)
		fails(t, err, fattorino.Denied)
		fails(t, f.DeleteOwnType(ctx, caller, "acme.a"), fattorino.Denied)
		fails(t, f.DeleteOwnGroup(ctx, caller, "g"), fattorino.Denied)
	}
}

func TestACatalogThatTakesNoTypesSaysSo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, _, err := f.PutOwnType(context.Background(), f.admin, fattorino.OwnType{Name: "acme.a"}, false)
	fails(t, err, fattorino.Conflict)
	_, err = f.DryRunSchema(context.Background(), f.admin, paid, []byte(`true`), 1)
	fails(t, err, fattorino.Conflict)
	config := f.Config
	config.OwnContract = "none"
	if _, err := fattorino.NewService(config); err == nil {
		t.Error("an own contract that is not there is taken")
	}
}

func TestNamesThatTheCatalogHasTakenSinceHideNothingOfIt(t *testing.T) {
	t.Parallel()
	f := setup(t, growing)
	// As if an earlier edition had let them be put.
	err := f.store.Update(context.Background(), func(tx fattorino.Tx) error {
		for _, name := range []string{paid, "acme.a"} {
			if err := tx.PutOwnType(&fattorino.OwnType{Name: name, Schema: []byte(`{"type": "money"}`)}); err != nil {
				return err
			}
		}
		if err := tx.PutOwnGroup(fattorino.Group{Name: paid, Types: []string{"acme.a"}}); err != nil {
			return err
		}
		return tx.PutOwnGroup(fattorino.Group{Name: "g", Types: []string{"acme.a", "acme.gone"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.LoadOwnTypes(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := f.openCatalog(t)
	if !cmp.Equal(c.Explode(paid), []string{paid}) || !cmp.Equal(c.Explode("g"), []string{"acme.a"}) {
		t.Errorf("%s stands for %q, g for %q", paid, c.Explode(paid), c.Explode("g"))
	}
	// A schema that is none any more lets nothing pass, rather than everything.
	_, err = f.Publish(context.Background(), f.admin, []*fattorino.Event{happened("a", "acme.a")})
	if faults := told(t, err, fattorino.Invalid).Faults; len(faults) != 1 || faults[0].Field != "data" || !strings.Contains(faults[0].Msg, "the operator must replace it") {
		t.Errorf("faults %v", faults)
	}
}
