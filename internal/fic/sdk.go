package fic

import (
	"slices"
	"strconv"
	"strings"
)

// A vocabulary is the set of type names that a client can read.
//
// The official SDKs decode the types of a subscription against the enum of
// their day, and most of them fail the whole call on a name that is not in it.
// Their User-Agent tells their version, the versions of all languages go
// together, and so a client is only shown names that it knows:
//
//	version          e-mail types   self-invoices
//	before 2.1.1     unknown        one family, self_invoices
//	2.1.1 and 2.1.2  known          one family, self_invoices
//	from 2.1.3       known          two, self_supplier_invoices and self_own_invoices
//
// A client that replaces the types by what it was shown, with changes, drops
// those that were hidden from it, and takes both families where it was shown
// the one: it could not have named them otherwise.
//
// All other clients know every name.
type vocabulary struct {
	oldSelfInvoices bool // knows the self-invoices as one family
	noEmailSent     bool // knows no types of documents sent by e-mail
}

// The families of self-invoices: until 2026-03 there was one, then two (A16).
const (
	oldFamily      = prefix + "issued_documents.self_invoices."
	supplierFamily = prefix + "issued_documents.self_supplier_invoices."
	ownFamily      = prefix + "issued_documents.self_own_invoices."
)

// vocabularyOf gives the vocabulary of the client with the User-Agent, which
// is FattureInCloud/<version>/<language>-SDK for the official SDKs.
func vocabularyOf(userAgent string) vocabulary {
	rest, ok := strings.CutPrefix(userAgent, "FattureInCloud/")
	if !ok {
		return vocabulary{}
	}
	number, language, _ := strings.Cut(rest, "/")
	if !strings.HasSuffix(language, "-SDK") {
		return vocabulary{}
	}
	version, ok := parseVersion(number)
	if !ok {
		return vocabulary{}
	}
	return vocabulary{
		oldSelfInvoices: slices.Compare(version, []int{2, 1, 3}) < 0,
		noEmailSent:     slices.Compare(version, []int{2, 1, 1}) < 0,
	}
}

// parseVersion reads a version of three numbers. What follows a hyphen, as in
// 2.1.3-beta, does not count.
func parseVersion(s string) ([]int, bool) {
	s, _, _ = strings.Cut(s, "-")
	version := make([]int, 0, 3)
	for number := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return nil, false
		}
		version = append(version, int(n))
	}
	return version, len(version) == 3
}

// show gives the types in the words of the client: none that it does not know,
// and the two families of self-invoices as the one, in the place of the first.
func (v vocabulary) show(types []string) []string {
	shown := make([]string, 0, len(types))
	for _, t := range types {
		name := v.word(t)
		if name != "" && !slices.Contains(shown, name) {
			shown = append(shown, name)
		}
	}
	return shown
}

// word gives the client's word for a type; empty where it has none.
func (v vocabulary) word(typ string) string {
	if v.noEmailSent && strings.HasSuffix(typ, ".email_sent") {
		return ""
	}
	if !v.oldSelfInvoices {
		return typ
	}
	if verb, ok := strings.CutPrefix(typ, supplierFamily); ok {
		return oldFamily + verb
	}
	if verb, ok := strings.CutPrefix(typ, ownFamily); ok {
		return oldFamily + verb
	}
	return typ
}

// renew puts the two new names in the place of each old name of the
// self-invoices, and drops what is named again.
func renew(types []string) []string {
	renewed := make([]string, 0, len(types))
	seen := make(map[string]bool, len(types))
	add := func(t string) {
		if !seen[t] {
			seen[t] = true
			renewed = append(renewed, t)
		}
	}
	for _, t := range types {
		verb, old := strings.CutPrefix(t, oldFamily)
		switch {
		case !old:
			add(t)
		case verb == "create", verb == "update", verb == "delete", verb == "email_sent":
			add(supplierFamily + verb)
			add(ownFamily + verb)
		default:
			add(t) // there was no such type
		}
	}
	return renewed
}
