package fattorino_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// day is the unit of expiry dates.
const day = 24 * time.Hour

// house is a small contract with rules like those of the real ones, so that
// the middle is tested without knowing any of them: 200 delivers, 410 ends,
// 5xx and silence are retried after 5, 25 and 125 seconds, anything else is
// refused. A sink may ask to be left alone for some seconds. It proves itself by
// answering with the challenge, and may say how often it wants to be called; one
// that answers 202 will call back.
type house struct {
	name     string
	catalog  *fattorino.Catalog
	trusting bool // it takes every sink at its word
}

const (
	created = "invoice.created"
	paid    = "invoice.paid"
	deleted = "invoice.deleted"
	stock   = "product.stock_updated" // needs two scopes
	all     = "invoice.all"           // the group of the three of invoices
)

// newHouse makes the contract "house", whose vocabulary is the common one.
func newHouse(tb testing.TB) *house {
	tb.Helper()
	return newContract(tb, "house", []fattorino.EventType{
		{Name: created, Common: []string{created}, Scopes: []string{"invoices:r"}},
		{Name: paid, Common: []string{paid}, Scopes: []string{"invoices:r"}},
		{Name: deleted, Common: []string{deleted}, Scopes: []string{"invoices:r"}},
		{Name: stock, Common: []string{stock}, Scopes: []string{"products:r", "stock:r"}},
	}, []fattorino.Group{{Name: all, Types: []string{created, paid, deleted}}})
}

// newVendor makes the contract "vendor", which has words of its own: a payment
// is an update there.
func newVendor(tb testing.TB) *house {
	tb.Helper()
	return newContract(tb, "vendor", []fattorino.EventType{
		{Name: "com.vendor.docs.create", Common: []string{created}},
		{Name: "com.vendor.docs.update", Common: []string{"invoice.updated", paid}},
		{Name: "com.vendor.parcels.sent"},
	}, nil)
}

// newOpen makes the contract "open": any type will do, several subscriptions may
// hold the same, and no sink needs to prove itself.
func newOpen(tb testing.TB) *house {
	tb.Helper()
	h := newContract(tb, "open", []fattorino.EventType{{Name: paid, Common: []string{paid}}}, nil)
	h.catalog.Open, h.catalog.Shared, h.trusting = true, true, true
	return h
}

func newContract(tb testing.TB, name string, types []fattorino.EventType, groups []fattorino.Group) *house {
	tb.Helper()
	c, err := fattorino.NewCatalog(name, types, groups)
	if err != nil {
		tb.Fatal(err)
	}
	return &house{name: name, catalog: c}
}

func (h *house) Name() string                { return h.name }
func (h *house) Catalog() *fattorino.Catalog { return h.catalog }
func (h *house) Expiry() time.Duration       { return 10 * day }

func (h *house) Handshake(*fattorino.Subscription) fattorino.Handshake {
	if h.trusting {
		return nil
	}
	return h
}

func (h *house) Wait(a *fattorino.Answer, _ time.Time) time.Duration {
	return time.Duration(number(a, "Retry-After")) * time.Second
}

// number reads a header field that holds one; 0 where there is none.
func number(a *fattorino.Answer, name string) int {
	for _, h := range a.Header {
		if h.Name == name {
			n, _ := strconv.Atoi(h.Value)
			return n
		}
	}
	return 0
}

func (h *house) Limits() fattorino.HandshakeLimits {
	return fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute, Timeout: 10 * time.Second}
}

func (h *house) Notification(s *fattorino.Subscription, e *fattorino.Event, _ time.Time) (*fattorino.Request, error) {
	typ, ok := h.catalog.TypeOf(e)
	if !ok && !e.Private() {
		return nil, fmt.Errorf("%s has no name under %s", e.Type, h.name)
	}
	return &fattorino.Request{
		Method: http.MethodPost, URL: s.Sink, Body: e.Data,
		Header: []fattorino.Header{{Name: "event", Value: e.ID}, {Name: "type", Value: typ}},
	}, nil
}

func (h *house) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch {
	case a.Failure != "" || a.Status >= 500:
		return fattorino.Retry
	case a.Status == http.StatusGone:
		return fattorino.End
	case a.Status == http.StatusOK:
		return fattorino.Success
	}
	return fattorino.Refuse
}

func (h *house) Retry(_ *fattorino.Subscription, tries int) (time.Duration, bool) {
	waits := []time.Duration{5 * time.Second, 25 * time.Second, 125 * time.Second}
	if tries > len(waits) {
		return 0, false
	}
	return waits[tries-1], true
}

func (h *house) Challenge(s *fattorino.Subscription, challenge string, _ time.Time) (*fattorino.Request, error) {
	return &fattorino.Request{
		Method: http.MethodGet, URL: s.Sink,
		Header: []fattorino.Header{{Name: "challenge", Value: challenge}, {Name: "method", Value: string(s.Handshake.Method)}},
	}, nil
}

func (h *house) Passed(challenge string, a *fattorino.Answer) (int, error) {
	if a.Status == http.StatusAccepted {
		return 0, fattorino.PendingConsentError{}
	}
	if a.Status != http.StatusOK || string(a.Body) != challenge {
		return 0, errors.New("the sink did not answer with the challenge")
	}
	return number(a, "Rate"), nil
}

func (h *house) Welcome(s *fattorino.Subscription, now time.Time) *fattorino.Event {
	return &fattorino.Event{
		ID: fmt.Sprintf("welcome-%d-%d", s.ID, s.Handshake.Round), Source: "/fattorino", Type: "welcome",
		Company: s.Company, Accepted: now,
	}
}
