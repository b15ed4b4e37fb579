package fic

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestA16_TheUserAgentTellsWhichNamesAClientKnows(t *testing.T) {
	t.Parallel()
	all := vocabulary{}
	old := vocabulary{oldSelfInvoices: true}
	oldest := vocabulary{oldSelfInvoices: true, noEmailSent: true}
	for userAgent, want := range map[string]vocabulary{
		"FattureInCloud/2.0.6/Go-SDK":              oldest,
		"FattureInCloud/2.0.11/Go-SDK":             oldest,
		"FattureInCloud/2.1.0/Go-SDK":              oldest,
		"FattureInCloud/1.16.0/PHP-SDK":            oldest,
		"FattureInCloud/2.1.1/Go-SDK":              old,
		"FattureInCloud/2.1.2/Go-SDK":              old,
		"FattureInCloud/2.1.2/TypeScript-SDK":      old,
		"FattureInCloud/2.1.2/PHP-SDK":             old,
		"FattureInCloud/2.1.2/Python-SDK":          old,
		"FattureInCloud/2.1.2/CSharp-SDK":          old,
		"FattureInCloud/2.1.2/Java-SDK":            old,
		"FattureInCloud/2.1.3-beta/Go-SDK":         all,
		"FattureInCloud/2.1.3/Go-SDK":              all,
		"FattureInCloud/2.1.10/Go-SDK":             all,
		"FattureInCloud/2.10.0/PHP-SDK":            all,
		"FattureInCloud/10.0.0/PHP-SDK":            all,
		"FattureInCloud/2.0.6/Zapier":              all, // reads any name
		"FattureInCloud/2.1.2":                     all,
		"FattureInCloud/2.1/Go-SDK":                all,
		"FattureInCloud/x.y.z/Go-SDK":              all,
		"FattureInCloud/2.1.2.9/Go-SDK":            all,
		"FattureInCloud/-2.1.2/Go-SDK":             all,
		"FattureInCloud/2.1.99999999999999/Go-SDK": all,
		"FattureInCloud//-SDK":                     all,
		"Mozilla/5.0 FattureInCloud/2.1.2/Go-SDK":  all,
		"curl/8.0": all,
		"":         all,
	} {
		if got := vocabularyOf(userAgent); got != want {
			t.Errorf("%q knows %+v, want %+v", userAgent, got, want)
		}
	}
}

// short takes and gives type names without the prefix.
func short(names []string, f func([]string) []string) []string {
	long := make([]string, len(names))
	for i, n := range names {
		long[i] = prefix + n
	}
	out := []string{}
	for _, n := range f(long) {
		out = append(out, n[len(prefix):])
	}
	return out
}

func TestA16_TheOldNameStandsForBothNewFamilies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ asked, want []string }{
		{
			[]string{"taxes.create", "issued_documents.self_invoices.create", "receipts.create"},
			[]string{"taxes.create", "issued_documents.self_supplier_invoices.create", "issued_documents.self_own_invoices.create", "receipts.create"},
		},
		{
			[]string{"issued_documents.self_own_invoices.delete", "issued_documents.self_invoices.delete"},
			[]string{"issued_documents.self_own_invoices.delete", "issued_documents.self_supplier_invoices.delete"},
		},
		{
			[]string{"issued_documents.self_invoices.update", "issued_documents.self_invoices.email_sent"},
			[]string{
				"issued_documents.self_supplier_invoices.update", "issued_documents.self_own_invoices.update",
				"issued_documents.self_supplier_invoices.email_sent", "issued_documents.self_own_invoices.email_sent",
			},
		},
		{[]string{"issued_documents.self_invoices.pay"}, []string{"issued_documents.self_invoices.pay"}}, // never was
		{[]string{"taxes.create", "taxes.create"}, []string{"taxes.create"}},
	} {
		if diff := cmp.Diff(tc.want, short(tc.asked, renew)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.asked, diff)
		}
	}
}

func TestA16_AnOldSDKIsShownOnlyNamesItKnows(t *testing.T) {
	t.Parallel()
	held := []string{
		"taxes.create", "issued_documents.self_supplier_invoices.create", "receipts.create", "issued_documents.self_own_invoices.create",
		"issued_documents.invoices.email_sent", "issued_documents.self_own_invoices.email_sent", "issued_documents.self_own_invoices.update",
	}
	for userAgent, want := range map[string][]string{
		"FattureInCloud/2.1.3/Go-SDK": held,
		"FattureInCloud/2.1.2/Go-SDK": {
			"taxes.create", "issued_documents.self_invoices.create", "receipts.create", "issued_documents.invoices.email_sent",
			"issued_documents.self_invoices.email_sent", "issued_documents.self_invoices.update",
		},
		"FattureInCloud/2.1.0/Go-SDK": {
			"taxes.create", "issued_documents.self_invoices.create", "receipts.create", "issued_documents.self_invoices.update",
		},
	} {
		if diff := cmp.Diff(want, short(held, vocabularyOf(userAgent).show)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", userAgent, diff)
		}
	}
	if got := (vocabulary{}).show(nil); got == nil {
		t.Error("no types are shown as null")
	}
}
