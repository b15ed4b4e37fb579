// Package samples makes events to try subscriptions with: such as a platform
// would publish, and marked so that nobody takes one for a fact.
package samples

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// source is the source of sample events, so that nobody takes one for a
// fact.
const source = "/fattorino/test"

// id is that of the resource that sample events speak of.
const id = 42

// Event gives an event as a platform would publish it: of the type, whose
// common name tells what it is about. It is the company's, but in none of its
// lists.
func Event(company int64, typ, common string, now time.Time) *fattorino.Event {
	name := common
	if name == "" {
		name = typ
	}
	noun, verb := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		noun, verb = name[:dot], name[dot+1:]
	}
	noun = noun[strings.LastIndexByte(noun, '.')+1:]
	data, _ := json.Marshal(dataOf(noun, verb, now)) // strings, numbers and lists of them can always be encoded
	e := &fattorino.Event{
		ID: "test-" + rand.Text(), Source: source, Type: typ, Time: now.UTC().Truncate(time.Second),
		DataContentType: "application/json", Data: data, Form: fattorino.JSONData,
		Extensions: map[string]any{"companyid": strconv.FormatInt(company, 10), "test": true},
		Company:    company, Common: common, Accepted: now,
	}
	if !strings.Contains(noun, "/") {
		e.Entity = fattorino.Entity{Type: noun, IDs: []string{strconv.Itoa(id)}}
	}
	return e
}

// members are those of a JSON object.
type members = map[string]any

// dataOf gives the data of an event about noun. Of what was deleted its id
// is left; of what is not listed here nobody but the platform knows more.
func dataOf(noun, verb string, now time.Time) members {
	data := members{"id": id}
	if verb == "deleted" {
		return data
	}
	switch noun {
	case "invoice", "quote", "proforma", "order", "credit_note", "delivery_note", "work_report", "sales_receipt",
		"self_own_invoice", "self_supplier_invoice":
		document(data, "customer", party("Rossi Costruzioni S.r.l.", "IT01234567890"), now)
	case "supplier_order", "received_document":
		document(data, "supplier", party("Forniture Bianchi S.p.A.", "IT09876543210"), now)
	case "customer":
		return party("Rossi Costruzioni S.r.l.", "IT01234567890")
	case "supplier":
		return party("Forniture Bianchi S.p.A.", "IT09876543210")
	case "product":
		data["code"], data["name"] = "P-042", "Cement, 25 kg"
		data["net_price"], data["currency"], data["vat_rate"] = amount("8.20"), "EUR", amount("22")
		data["stock"] = 118
	case "receipt", "cash_receipt":
		data["invoice_id"], data["number"] = 17, "R-2026-042"
		data["amount"], data["currency"] = amount("122.00"), "EUR"
		data["due_date"], data["paid"] = day(now), verb == "paid"
	}
	if verb == "paid" {
		data["paid"], data["paid_on"], data["payment_method"] = true, day(now), "bank transfer"
	}
	return data
}

// document adds what a commercial document holds.
func document(data members, role string, party members, now time.Time) {
	data["number"], data["date"], data["due_date"] = "2026/42", day(now), day(now.AddDate(0, 0, 30))
	data[role] = party
	data["lines"] = []members{{"description": "Cement, 25 kg", "quantity": 10, "net_price": amount("10.00"), "vat_rate": amount("22")}}
	data["net_total"], data["vat_total"], data["total"], data["currency"] = amount("100.00"), amount("22.00"), amount("122.00"), "EUR"
	data["paid"] = false
}

func party(name, vat string) members {
	return members{
		"id": id, "name": name, "vat_number": vat, "email": "accounts@example.com",
		"address": members{"street": "Via Roma 1", "postal_code": "20121", "city": "Milano", "country": "IT"},
	}
}

// amount is a decimal number whose digits are kept as they are written.
func amount(digits string) json.Number { return json.Number(digits) }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
