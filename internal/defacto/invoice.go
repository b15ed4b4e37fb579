package defacto

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The states of an invoice.
const (
	toSubmit  = "TO_SUBMIT" // a draft
	submitted = "SUBMITTED" // being verified
	verified  = "VERIFIED"  // a loan can be asked for
	toEdit    = "TO_EDIT"   // rejected: to be edited and submitted again
	deleted   = "DELETED"
)

// An invoice as it is read, with its members in the order of the API
// description. Amounts are in cents; what was never said is null.
type invoice struct {
	ID          string          `json:"id"`
	Status      string          `json:"status"`
	IsDraft     bool            `json:"is_draft"`
	Number      *string         `json:"invoice_number"`
	NetAmount   *int64          `json:"net_amount"`
	TaxAmount   *int64          `json:"tax_amount"`
	TotalAmount *int64          `json:"total_amount"`
	ToPayAmount *int64          `json:"to_pay_amount"`
	Currency    string          `json:"currency"`
	IssuedAt    *string         `json:"issued_at"`
	DueAt       *string         `json:"due_at"`
	Buyer       *party          `json:"buyer"`
	Seller      *party          `json:"seller"`
	DocumentURL *string         `json:"document_url"` // always null: a PDF is checked and not kept
	LoanIDs     []string        `json:"loan_ids"`     // always empty: the sandbox gives no loans
	Metadata    json.RawMessage `json:"metadata"`
	ToAccount   *account        `json:"to_account_details"`
}

// A party is the buyer or the seller. Its id is made of its identifier: the
// same business has the same id on every invoice of a company.
type party struct {
	ID             string  `json:"id"`
	BusinessID     *string `json:"business_id"` // always null: the sandbox knows no register
	Identifier     *string `json:"identifier"`
	IdentifierType *string `json:"identifier_type"`
	Name           *string `json:"name"`
	VATNumber      *string `json:"vat_number"`
}

// An account is where the buyer is to pay to.
type account struct {
	Number     string  `json:"account_number"`
	NumberType string  `json:"account_number_type"`
	Bank       *string `json:"bank_identifier"`
	BankType   string  `json:"bank_identifier_type"`
	Holder     *string `json:"account_holder"`
}

// Limits on what an invoice may hold, in bytes.
const (
	maxText     = 500
	maxMetadata = 16 << 10
)

// apply takes over what a request body says; what it leaves out stays. What is
// wrong is noted in the body.
func (v *invoice) apply(o *object, company int64) {
	o.text("invoice_number", maxText, &v.Number)
	o.cents("net_amount", &v.NetAmount)
	o.cents("tax_amount", &v.TaxAmount)
	o.cents("total_amount", &v.TotalAmount)
	o.cents("to_pay_amount", &v.ToPayAmount)
	currency := &v.Currency
	o.oneOf("currency", []string{"EUR", "GBP"}, &currency)
	v.Currency = *currency
	dateTime(o, "issued_at", &v.IssuedAt)
	dateTime(o, "due_at", &v.DueAt)
	readParty(o, "buyer", company, &v.Buyer)
	readParty(o, "seller", company, &v.Seller)
	checkDocument(o)
	readMetadata(o, &v.Metadata)
	readAccount(o, &v.ToAccount)
}

// dateTime reads a date-time (RFC 3339) or a date, and keeps it as written.
func dateTime(o *object, name string, where **string) {
	var s *string
	if o.text(name, maxText, &s); s == nil {
		return
	}
	_, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		_, err = time.Parse(time.DateOnly, *s)
	}
	if err != nil {
		o.fault(name, "must be a date-time such as 2022-02-11T11:26:59+00:00")
		return
	}
	*where = s
}

func readParty(o *object, name string, company int64, where **party) {
	p := o.object(name)
	if p == nil {
		return
	}
	var read party
	p.text("identifier", maxText, &read.Identifier)
	p.oneOf("identifier_type", []string{
		"siret", "siren", "vat_number", "name", "nif", "cif", "kvk", "bsn", "hr_nummer",
		"belgium_registration_number", "steuernummer",
	}, &read.IdentifierType)
	p.text("name", maxText, &read.Name)
	p.text("vat_number", maxText, &read.VATNumber)
	// As JSON, so that no two parties run together to the same text.
	known, err := json.Marshal([]any{company, read.Identifier, read.IdentifierType, read.Name, read.VATNumber})
	if read.Identifier != nil {
		known, err = json.Marshal([]any{company, read.Identifier, read.IdentifierType})
	}
	if err != nil {
		panic(err) // strings and integers always encode
	}
	read.ID = uuidFrom(string(known))
	*where = &read
}

// checkDocument makes sure that the document, where there is one, is a PDF in
// base64.
func checkDocument(o *object) {
	var s string
	if !o.member("document", "a string", &s) {
		return
	}
	pdf, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		o.fault("document", "must be a PDF in base64")
	}
}

func readMetadata(o *object, where *json.RawMessage) {
	free := o.object("metadata")
	if free == nil {
		return
	}
	raw := o.members["metadata"]
	if len(raw) > maxMetadata {
		o.fault("metadata", "has more than %d bytes", maxMetadata)
		return
	}
	var s *string
	free.oneOf("scenario", []string{success, successLater, reject, fail}, &s)
	*where = raw
}

func readAccount(o *object, where **account) {
	a := o.object("to_account")
	if a == nil {
		return
	}
	read := account{NumberType: "iban", BankType: "bic"}
	number, numberType, bankType := &read.Number, &read.NumberType, &read.BankType
	a.text("account_number", maxText, &number)
	a.oneOf("account_number_type", []string{"iban", "account_number", "internal_id"}, &numberType)
	a.text("bank_identifier", maxText, &read.Bank)
	a.oneOf("bank_identifier_type", []string{"bic", "routing_number", "name"}, &bankType)
	a.text("account_holder", maxText, &read.Holder)
	if *number == "" {
		a.fault("account_number", "is required")
	}
	*where = &account{Number: *number, NumberType: *numberType, Bank: read.Bank, BankType: *bankType, Holder: read.Holder}
}

// missing notes what an invoice still lacks to be submitted.
func (v *invoice) missing() error {
	var faults []fattorino.Fault
	for _, field := range []struct {
		name  string
		there bool
	}{
		{"buyer", v.Buyer != nil},
		{"seller", v.Seller != nil},
		{"due_at", v.DueAt != nil},
		{"issued_at", v.IssuedAt != nil},
		{"invoice_number", v.Number != nil && *v.Number != ""},
		{"total_amount", v.TotalAmount != nil},
	} {
		if !field.there {
			faults = append(faults, fattorino.Fault{Field: field.name, Msg: "is required to submit the invoice"})
		}
	}
	if faults == nil {
		return nil
	}
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the invoice lacks what is needed to submit it: see invalid_params", Faults: faults}
}

// editable tells whether the invoice may be changed and submitted.
func (v *invoice) editable() bool { return v.Status == toSubmit || v.Status == toEdit }

// The scenarios: how the verification of an invoice ends.
const (
	success      = "SUCCESS"
	successLater = "SUCCESS_ONE_DAY_LATER"
	reject       = "REJECT"
	fail         = "FAIL"
)

// scenario is what metadata.scenario says; SUCCESS where it says nothing.
func (v *invoice) scenario() string {
	var m map[string]json.RawMessage
	if len(v.Metadata) > 0 && json.Unmarshal(v.Metadata, &m) != nil {
		return success
	}
	return orElse(text(m["scenario"]), success)
}

// encode writes the invoice as it is read: the one form of it, in answers and
// in events, byte for byte.
func (v *invoice) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // what was read as JSON always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// A filter says which invoices a list shows; an empty part says nothing.
type filter struct{ ids, statuses, buyers, sellers []string }

// filterOf reads the filters of a list. It fails with Invalid for a status that
// no invoice has, which would pass nothing; whom an id or a party names is not
// known here.
func filterOf(query url.Values) (*filter, error) {
	// Some clients write the name of a list with brackets.
	both := func(name string) []string { return slices.Concat(query[name], query[name+"[]"]) }
	statuses := []string{toSubmit, submitted, verified, toEdit, deleted}
	for _, name := range []string{"status", "status[]"} {
		for _, status := range query[name] {
			if !slices.Contains(statuses, status) {
				return nil, fattorino.InvalidField(name, "must be one of %q", statuses)
			}
		}
	}
	return &filter{ids: both("invoice_id"), statuses: both("status"), buyers: both("buyer"), sellers: both("seller")}, nil
}

func (f *filter) passes(v *invoice) bool {
	return (len(f.ids) == 0 || slices.ContainsFunc(f.ids, func(id string) bool { return strings.EqualFold(id, v.ID) })) &&
		(len(f.statuses) == 0 || slices.Contains(f.statuses, v.Status)) &&
		(len(f.buyers) == 0 || v.Buyer.isOneOf(f.buyers)) &&
		(len(f.sellers) == 0 || v.Seller.isOneOf(f.sellers))
}

// isOneOf tells whether one of the texts names the party: by its id, by its
// identifier, or by type and identifier as in SIREN-899021021.
func (p *party) isOneOf(texts []string) bool {
	return p != nil && slices.ContainsFunc(texts, func(text string) bool {
		switch {
		case strings.EqualFold(text, p.ID):
			return true
		case p.Identifier == nil:
			return false
		}
		typ, identifier, ok := strings.Cut(text, "-")
		return text == *p.Identifier || (ok && p.IdentifierType != nil && identifier == *p.Identifier && strings.EqualFold(typ, *p.IdentifierType))
	})
}
