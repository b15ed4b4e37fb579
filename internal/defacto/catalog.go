package defacto

import (
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// name is the contract's name in the store and in the API.
const name = "defacto"

// The types that the sandbox tells of.
const (
	typeSubmitted = "Invoice.SUBMITTED"
	typeToEdit    = "Invoice.TO_EDIT"
	typeVerified  = "Invoice.VERIFIED"
	typeDeleted   = "Invoice.DELETED"
)

// newCatalog makes the catalog: the 25 types of the API description, in its
// order. It is open, for the list has grown before; and a type can be held by
// any number of subscriptions.
func newCatalog() (*fattorino.Catalog, error) {
	c, err := fattorino.NewCatalog(name, []fattorino.EventType{
		eventType("CreditLine.POOL_AMOUNT_UPDATED", "credit_line.pool_amount_updated"),
		eventType("CreditLine.CREATED", "credit_line.created"),
		eventType("CreditLimit.UPDATED", "credit_limit.updated"),
		eventType("Loan.SUBMITTED", "loan.submitted"),
		eventType("Loan.VALIDATED", "loan.validated"),
		eventType("Loan.SCHEDULED", "loan.scheduled"),
		eventType("Loan.INITIATED", "loan.initiated"),
		eventType("Loan.CANCELED", "loan.canceled"),
		eventType("Loan.DECLINED", "loan.declined"),
		eventType("Loan.TO_REPAY", "loan.to_repay"),
		eventType("Loan.TO_REPAY_FEES", "loan.to_repay_fees"),
		eventType("Loan.OVERDUE", "loan.overdue"),
		eventType("Loan.ISSUE_DETECTED", "loan.issue_detected"),
		eventType("Loan.CLOSED", "loan.closed"),
		eventType("Loan.DELETED", "loan.deleted"),
		// A payment is money of a loan on its way; that an invoice was paid is
		// another matter, which this vocabulary has no word for.
		eventType("Payment.SCHEDULED", "payment.scheduled"),
		eventType("Payment.INSTRUCTED", "payment.instructed"),
		eventType("Payment.IN_TRANSIT", "payment.in_transit"),
		eventType("Payment.PAID", "payment.paid"),
		eventType("Payment.CANCELED", "payment.canceled"),
		eventType("Payment.FAILED", "payment.failed"),
		// An invoice that was created is a draft still, which this vocabulary
		// does not tell of: to submit it is a step of its own.
		eventType(typeSubmitted, "invoice.submitted"),
		eventType(typeToEdit, "invoice.rejected"),
		eventType(typeVerified, "invoice.verified"),
		eventType(typeDeleted, "invoice.deleted"),
	}, nil)
	if err != nil {
		return nil, err
	}
	c.Open, c.Shared, c.Scopes = true, true, []string{readScope}
	return c, nil
}

// eventType makes an entry of the catalog.
func eventType(name, common string) fattorino.EventType {
	return fattorino.EventType{Name: name, Common: []string{common}}
}

// namesAction tells the types whose second part is something that happened,
// and not the status that the entity is in now.
func namesAction(typ string) bool {
	switch typ {
	case "CreditLine.POOL_AMOUNT_UPDATED", "CreditLine.CREATED", "CreditLimit.UPDATED":
		return true
	}
	return false
}

// maxType bounds the length of a type's name, in bytes.
const maxType = 100

// isType tells whether s has the form of a type, Entity.STATUS: two words of
// ASCII letters, digits and underscores with a dot between, the first in
// PascalCase. There are no wildcards.
func isType(s string) bool {
	entity, status, ok := strings.Cut(s, ".")
	return ok && len(s) <= maxType && entity != "" && entity[0] >= 'A' && entity[0] <= 'Z' && isWord(entity) && isWord(status)
}

// isWord tells whether s begins with a letter and has letters, digits and
// underscores only.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
		if !letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return s != ""
}

// snake gives the entity_type of a type's first part, as credit_line of
// CreditLine. For CreditLimit none is published; it follows the same rule.
func snake(pascal string) string {
	var b strings.Builder
	for i := range len(pascal) {
		c := pascal[i]
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}
