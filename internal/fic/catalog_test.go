package fic_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
)

const prefix = "it.fattureincloud.webhooks."

// goldenLines gives the lines of a file in testdata that are not comments.
func goldenLines(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestCatalog_TypesAndScopesAreThoseOfOpenAPI_InItsOrder(t *testing.T) {
	t.Parallel()
	type entry struct {
		Name   string
		Scopes []string
	}
	var want, got []entry
	for _, line := range goldenLines(t, "types.txt") {
		fields := strings.Fields(line)
		want = append(want, entry{prefix + fields[0], fields[1:]})
	}
	for _, typ := range newContract(t, fic.Options{}).Catalog().Types {
		got = append(got, entry{typ.Name, typ.Scopes})
	}
	if len(want) != 71 {
		t.Fatalf("the golden list has %d types, not 71", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

func TestCatalog_GroupsStandForTheirMembers_InOrder(t *testing.T) {
	t.Parallel()
	var want []fattorino.Group
	for _, line := range goldenLines(t, "groups.txt") {
		if member, ok := strings.CutPrefix(line, "    "); ok {
			last := &want[len(want)-1]
			last.Types = append(last.Types, prefix+member)
			continue
		}
		want = append(want, fattorino.Group{Name: prefix + line})
	}
	if len(want) != 7 {
		t.Fatalf("the golden list has %d groups, not 7", len(want))
	}
	if diff := cmp.Diff(want, newContract(t, fic.Options{}).Catalog().Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCatalog_EventsOfOtherVocabulariesAreToldUnderTheirCommonName(t *testing.T) {
	t.Parallel()
	catalog := newContract(t, fic.Options{}).Catalog()
	for common, want := range map[string]string{
		"invoice.created":               "issued_documents.invoices.create",
		"invoice.updated":               "issued_documents.invoices.update",
		"invoice.paid":                  "issued_documents.invoices.update", // a payment is an update here
		"invoice.unpaid":                "issued_documents.invoices.update",
		"invoice.email_sent":            "issued_documents.invoices.email_sent",
		"sales_receipt.created":         "issued_documents.receipts.create",
		"cash_receipt.created":          "receipts.create",
		"self_own_invoice.deleted":      "issued_documents.self_own_invoices.delete",
		"self_supplier_invoice.updated": "issued_documents.self_supplier_invoices.update",
		"product.stock_updated":         "products.stock_update",
		"customer.created":              "entities.clients.create",
		"supplier.deleted":              "entities.suppliers.delete",
		"cashbook_entry.updated":        "cashbook.update",
		"e_invoice.status_updated":      "issued_documents.e_invoices.status_update",
		"e_invoice.received":            "received_documents.e_invoices.receive",
		"tax.created":                   "taxes.create",
		"invoice.archived":              "",
		"":                              "",
	} {
		got, ok := catalog.TypeOf(&fattorino.Event{Type: "other.vocabulary", Common: common})
		if ok != (want != "") || (ok && got != prefix+want) {
			t.Errorf("%s is told as %q, %v; want %q", common, got, ok, want)
		}
	}
}

func TestCatalog_EveryTypeHasACommonNameOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, typ := range newContract(t, fic.Options{}).Catalog().Types {
		if len(typ.Common) == 0 {
			t.Errorf("%s has no common name", typ.Name)
			continue
		}
		for _, common := range typ.Common {
			if other := seen[common]; other != "" {
				t.Errorf("%s and %s are both linked to %s", typ.Name, other, common)
			}
			seen[common] = typ.Name
		}
	}
}

func TestA16_TheCatalogHoldsNeitherOldNamesNorTheWelcome(t *testing.T) {
	t.Parallel()
	catalog := newContract(t, fic.Options{}).Catalog()
	for _, name := range []string{"issued_documents.self_invoices.create", "subscriptions.welcome"} {
		if types := catalog.Explode(prefix + name); len(types) > 0 {
			t.Errorf("%s stands for %v", name, types)
		}
	}
}
