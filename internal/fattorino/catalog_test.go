package fattorino_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestNewCatalogRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	a, b := fattorino.EventType{Name: "a"}, fattorino.EventType{Name: "b"}
	tests := []struct {
		name   string
		types  []fattorino.EventType
		groups []fattorino.Group
	}{
		{"a type twice", []fattorino.EventType{a, b, a}, nil},
		{"a group of an unknown type", []fattorino.EventType{a, b}, []fattorino.Group{{Name: "all", Types: []string{"a", "c"}}}},
		{"a group of a group", []fattorino.EventType{a, b}, []fattorino.Group{{Name: "some", Types: []string{"a"}}, {Name: "all", Types: []string{"some"}}}},
		{"a group twice", []fattorino.EventType{a, b}, []fattorino.Group{{Name: "all", Types: []string{"a"}}, {Name: "all", Types: []string{"b"}}}},
		{"a group named like a type", []fattorino.EventType{a, b}, []fattorino.Group{{Name: "a", Types: []string{"b"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if c, err := fattorino.NewCatalog("house", tt.types, tt.groups); err == nil {
				t.Errorf("made %+v, want an error", c)
			}
		})
	}
	if _, err := fattorino.NewCatalog("empty", nil, nil); err != nil {
		t.Errorf("an empty catalog: %v, want none refused", err)
	}
}

func TestExplode(t *testing.T) {
	t.Parallel()
	c := newHouse(t).Catalog()
	for _, tt := range []struct {
		name string
		want []string
	}{
		{paid, []string{paid}},
		{all, []string{created, paid, deleted}}, // in the group's order
		{"invoice.lost", nil},
		{"Invoice.paid", nil}, // names are told apart to the letter
		{"", nil},
	} {
		if diff := cmp.Diff(tt.want, c.Explode(tt.name)); diff != "" {
			t.Errorf("Explode(%q) (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestAnOpenCatalogTakesAnyTypeAndWildcards(t *testing.T) {
	t.Parallel()
	c := newOpen(t).Catalog()
	long := strings.Repeat("a", 200)
	for name, want := range map[string]bool{
		paid:                    true,
		"org.example.order.new": true,
		"Order Shipped":         false, // no white space
		"*":                     true,
		"invoice.*":             true,
		"org.example.*":         true,
		"invoice*":              false, // a star stands after a dot, or alone,
		"*.paid":                false, // and at the end
		"invoice.*.paid":        false,
		"invoice.**":            false,
		"**":                    false,
		"":                      false,
		"a\tb":                  false,
		"a\x00b":                false,
		"a\x7fb":                false,
		"fattura.è.pagata":      true,
		long:                    true,
		long + "a":              false,
		long[:198] + ".*":       true,
		long[:199] + ".*":       false,
	} {
		got := c.Explode(name)
		if want != slices.Equal(got, []string{name}) || (!want && len(got) > 0) {
			t.Errorf("Explode(%.40q) = %.40q, want it taken: %t", name, got, want)
		}
	}
}

func TestAnOpenCatalogTellsOfAnythingUnderItsOwnName(t *testing.T) {
	t.Parallel()
	c := newOpen(t).Catalog()
	for _, tt := range []struct{ typ, common, want string }{
		{paid, paid, paid},
		{"com.vendor.docs.update", paid, paid}, // linked to a type that it has
		{"com.vendor.docs.create", created, "com.vendor.docs.create"},
		{"org.example.order.new", "", "org.example.order.new"},
	} {
		if got, ok := c.TypeOf(&fattorino.Event{Type: tt.typ, Common: tt.common}); !ok || got != tt.want {
			t.Errorf("TypeOf(%s) = %q, %t; want %q", tt.typ, got, ok, tt.want)
		}
	}
}

func TestTypeFindsConcreteTypesOnly(t *testing.T) {
	t.Parallel()
	c := newHouse(t).Catalog()
	if typ, ok := c.Type(stock); !ok || !slices.Equal(typ.Scopes, []string{"products:r", "stock:r"}) {
		t.Errorf("Type(%q) = %+v, %t", stock, typ, ok)
	}
	for _, name := range []string{all, "invoice.lost", ""} {
		if typ, ok := c.Type(name); ok {
			t.Errorf("Type(%q) = %+v, want none", name, typ)
		}
	}
}

func TestTypeOfTellsAnEventInTheWordsOfTheCatalog(t *testing.T) {
	t.Parallel()
	vendor := newContract(t, "vendor", []fattorino.EventType{
		{Name: "docs.touch", Common: []string{"invoice.touched", paid}},   // hears payments too,
		{Name: "docs.pay", Common: []string{paid}},                        // but this one stands for them
		{Name: "docs.edit", Common: []string{"invoice.updated", deleted}}, // the first of two that
		{Name: "docs.bin", Common: []string{"invoice.binned", deleted}},   // hear what none stands for
		{Name: "parcels.sent"},
	}, nil).Catalog()
	tests := []struct {
		name         string
		typ, common  string
		want         string
		cannotBeTold bool
	}{
		{name: "its own type", typ: "docs.touch", common: "invoice.touched", want: "docs.touch"},
		{name: "its own type without a common name", typ: "parcels.sent", want: "parcels.sent"},
		{name: "its own type, although another stands for the common name", typ: "docs.touch", common: paid, want: "docs.touch"},
		{name: "the type that stands for the common name, listed first or not", typ: "other.paid", common: paid, want: "docs.pay"},
		{name: "the first that also hears it, where none stands for it", typ: deleted, common: deleted, want: "docs.edit"},
		{name: "a common name that no type is linked to", typ: "other.sent", common: "parcel.sent", cannotBeTold: true},
		{name: "no common name at all", typ: "other.sent", cannotBeTold: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := vendor.TypeOf(&fattorino.Event{Type: tt.typ, Common: tt.common})
			if ok == tt.cannotBeTold || (ok && got != tt.want) {
				t.Errorf("TypeOf = %q, %t; want %q, %t", got, ok, tt.want, !tt.cannotBeTold)
			}
		})
	}
}

// catalogs joins the two contracts of these tests, in either order.
func catalogs(t *testing.T) map[string]*fattorino.Catalogs {
	t.Helper()
	house, vendor := newHouse(t).Catalog(), newVendor(t).Catalog()
	return map[string]*fattorino.Catalogs{
		"house first":  fattorino.NewCatalogs(house, vendor),
		"vendor first": fattorino.NewCatalogs(vendor, house),
	}
}

func TestCommonKnowsTheNamesOfAllContracts(t *testing.T) {
	t.Parallel()
	for order, cs := range catalogs(t) {
		for _, tt := range []struct {
			typ, want string
			known     bool
		}{
			{paid, paid, true},
			{"com.vendor.docs.create", created, true},
			{"com.vendor.docs.update", "invoice.updated", true}, // the first stands for it when published
			{"invoice.updated", "invoice.updated", true},        // a common name that is no type of any contract
			{"com.vendor.parcels.sent", "", true},
			{all, "", false}, // a group is nothing that happens
			{"invoice.lost", "", false},
			{"", "", false},
		} {
			if common, known := cs.Common(tt.typ); common != tt.want || known != tt.known {
				t.Errorf("%s: Common(%q) = %q, %t; want %q, %t", order, tt.typ, common, known, tt.want, tt.known)
			}
		}
	}
}

func TestAnUnlinkedTypeDoesNotHideACommonName(t *testing.T) {
	t.Parallel()
	// Given a contract that has a type of the common name and no link,
	loose := newContract(t, "loose", []fattorino.EventType{{Name: paid}}, nil).Catalog()
	linked := newVendor(t).Catalog()
	for _, cs := range []*fattorino.Catalogs{fattorino.NewCatalogs(loose, linked), fattorino.NewCatalogs(linked, loose)} {
		// then the name still reaches those that are linked, whichever came first.
		if common, known := cs.Common(paid); common != paid || !known {
			t.Errorf("Common(%q) = %q, %t; want itself", paid, common, known)
		}
	}
}

func TestAllGivesTheCatalogsByName(t *testing.T) {
	t.Parallel()
	for order, cs := range catalogs(t) {
		var names []string
		for _, c := range cs.All() {
			names = append(names, c.Contract)
		}
		if diff := cmp.Diff([]string{"house", "vendor"}, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", order, diff)
		}
	}
}

func TestNounNamesTheKindOfEntity(t *testing.T) {
	t.Parallel()
	cs := fattorino.NewCatalogs(newHouse(t).Catalog(), newVendor(t).Catalog())
	for typ, want := range map[string]string{
		paid:                      "invoice",
		"com.vendor.docs.create":  "invoice", // by its common name
		"com.vendor.parcels.sent": "parcels", // known, and not linked
		"org.example.order.new":   "order",   // unknown
		"shipped":                 "shipped", // nothing before a dot
		"":                        "",
	} {
		if got := cs.Noun(typ); got != want {
			t.Errorf("Noun(%q) = %q, want %q", typ, got, want)
		}
	}
}

func TestNearestHintsAtWhatWasMeant(t *testing.T) {
	t.Parallel()
	many := []fattorino.EventType{
		{Name: "aaa.bbb"}, {Name: "zzz.yyy"}, {Name: "cat"}, {Name: "cut"}, {Name: "invoice.pair"}, {Name: "order.paid"},
	}
	for _, tt := range []struct{ typ, want string }{
		{"invoice.payed", paid},          // one letter more
		{"invoice.pait", "invoice.paid"}, // one letter off, and one from invoice.pair as well: the first by name
		{"invoices.created", created},    // one letter more
		{"invoice.create", created},      // one letter less
		{"com.vendor.doc.creat", "com.vendor.docs.create"},
		{"cet", "cat"},                  // as near to cut
		{"order.created.by.nobody", ""}, // nothing is near
		{"", "cat"},                     // three letters off is still near
	} {
		// Names are kept in no order, so a wrong choice shows now and then only.
		for range 50 {
			cs := fattorino.NewCatalogs(newHouse(t).Catalog(), newVendor(t).Catalog(), newContract(t, "many", many, nil).Catalog())
			if got := cs.Nearest(tt.typ); got != tt.want {
				t.Errorf("Nearest(%q) = %q, want %q", tt.typ, got, tt.want)
				break
			}
		}
	}
}
