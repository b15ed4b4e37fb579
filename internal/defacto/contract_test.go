package defacto_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestCatalogHasThe25TypesOfTheAPIDescription(t *testing.T) {
	t.Parallel()
	c := newContract(t).Catalog()
	var names []string
	for _, typ := range c.Types {
		names = append(names, typ.Name)
	}
	want := []string{
		"CreditLine.POOL_AMOUNT_UPDATED", "CreditLine.CREATED", "CreditLimit.UPDATED",
		"Loan.SUBMITTED", "Loan.VALIDATED", "Loan.SCHEDULED", "Loan.INITIATED", "Loan.CANCELED", "Loan.DECLINED",
		"Loan.TO_REPAY", "Loan.TO_REPAY_FEES", "Loan.OVERDUE", "Loan.ISSUE_DETECTED", "Loan.CLOSED", "Loan.DELETED",
		"Payment.SCHEDULED", "Payment.INSTRUCTED", "Payment.IN_TRANSIT", "Payment.PAID", "Payment.CANCELED", "Payment.FAILED",
		"Invoice.SUBMITTED", "Invoice.TO_EDIT", "Invoice.VERIFIED", "Invoice.DELETED",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if !c.Open || !c.Shared {
		t.Error("the catalog must be open to later types, and let a type be held by several")
	}
}

func TestCommonNames(t *testing.T) {
	t.Parallel()
	c := newContract(t).Catalog()
	for name, common := range map[string]string{
		"Invoice.SUBMITTED": "invoice.submitted", "Invoice.VERIFIED": "invoice.verified",
		"Invoice.TO_EDIT": "invoice.rejected", "Invoice.DELETED": "invoice.deleted",
		"Payment.PAID": "payment.paid", "CreditLine.CREATED": "credit_line.created",
	} {
		if got, ok := c.TypeOf(&fattorino.Event{Type: "x", Common: common}); !ok || got != name {
			t.Errorf("%s is told as %s, want %s", common, got, name)
		}
	}
	for _, typ := range c.Types {
		if len(typ.Common) != 1 {
			t.Errorf("%s has the common names %v, want one", typ.Name, typ.Common)
		}
	}
}

func TestMeaningOfAnswers(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for status, want := range map[int]fattorino.Verdict{
		200: fattorino.Success, 201: fattorino.Success, 204: fattorino.Success, 299: fattorino.Success,
		410: fattorino.End,
		0:   fattorino.Retry, 199: fattorino.Retry, 301: fattorino.Retry, 400: fattorino.Retry, 404: fattorino.Retry, 429: fattorino.Retry, 500: fattorino.Retry,
	} {
		if got := c.Judge(&fattorino.Answer{Status: status}); got != want {
			t.Errorf("status %d means %d, want %d", status, got, want)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	var waits []time.Duration
	for tries := 1; ; tries++ {
		wait, again := c.Retry(nil, tries)
		if !again {
			break
		}
		waits = append(waits, wait)
	}
	want := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if _, again := c.Retry(nil, 0); again {
		t.Error("a retry before the first try")
	}
	if c.Expiry() != 0 || c.Handshake(nil) != nil || c.Welcome(nil, time.Now()) != nil || c.Wait(&fattorino.Answer{Status: 429}, time.Now()) != 0 {
		t.Error("want no expiry, handshake, welcome or wait")
	}
}

func TestAUserAgentThatNoHeaderCanHoldIsRefused(t *testing.T) {
	t.Parallel()
	for _, agent := range []string{"a\r\nX: y", "é"} {
		if _, err := defacto.New(defacto.Options{UserAgent: agent}); err == nil {
			t.Errorf("%q was taken", agent)
		}
	}
}
