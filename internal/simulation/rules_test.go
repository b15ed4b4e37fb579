package simulation_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The rules of the contracts as their documents have them (docs/contracts,
// docs/states.md, docs/catalogs.md), written a second time: the checker judges
// by these and calls no code of the contracts.

const ficPrefix = "it.fattureincloud.webhooks."

// A published is a type that the publishers of the simulation use, and its
// common name.
type published struct{ name, common string }

func publishedTypes() []published {
	return []published{
		{"invoice.created", "invoice.created"},
		{"invoice.paid", "invoice.paid"},
		{"invoice.paid", "invoice.paid"},
		{"customer.updated", "customer.updated"},
		{"Invoice.DELETED", "invoice.deleted"},
		{ficPrefix + "issued_documents.invoices.create", "invoice.created"},
		{"acme.thing", ""},
	}
}

// linked gives the common names that a type of a contract is linked to.
func linked(contract, typ string) []string {
	switch contract {
	case "native", "facturascripts":
		return []string{typ}
	case "fic":
		return map[string][]string{
			ficPrefix + "issued_documents.invoices.create": {"invoice.created"},
			ficPrefix + "issued_documents.invoices.delete": {"invoice.deleted"},
			ficPrefix + "issued_documents.invoices.update": {"invoice.updated", "invoice.paid", "invoice.verified"},
			ficPrefix + "entities.clients.update":          {"customer.updated"},
		}[typ]
	case "defacto":
		return map[string][]string{"Invoice.DELETED": {"invoice.deleted"}, "Invoice.VERIFIED": {"invoice.verified"}}[typ]
	}
	return nil
}

// hears tells whether a subscription, as it stands at now, hears an event.
func hears(s *fattorino.Subscription, e *fattorino.Event, now time.Time) bool {
	if s.Company != e.Company || (s.State != fattorino.Active && s.State != fattorino.Disabled) {
		return false
	}
	if ends := s.Options.EndsAt; !ends.IsZero() && !now.Before(ends) {
		return false
	}
	common := ""
	for _, p := range publishedTypes() {
		if p.name == e.Type {
			common = p.common
		}
	}
	named := slices.ContainsFunc(s.Types, func(t string) bool {
		if prefix, wild := strings.CutSuffix(t, "*"); wild {
			return strings.HasPrefix(e.Type, prefix) || (common != "" && strings.HasPrefix(common, prefix))
		}
		return t == e.Type || (common != "" && slices.Contains(linked(s.Contract, t), common))
	})
	return named && passes(string(s.Filters), e)
}

// The filters that the simulation's subscribers choose.
const (
	filterPaid  = `[{"exact": {"type": "invoice.paid"}}]`
	filterLarge = `[{"data": {"pointer": "/total", "greater": 50}}]`
	filterNot   = `[{"not": {"prefix": {"type": "customer."}}}]`
)

func passes(filters string, e *fattorino.Event) bool {
	var data struct {
		Total int `json:"total"`
	}
	_ = json.Unmarshal(e.Data, &data) // ours, and always JSON
	switch filters {
	case filterPaid:
		return e.Type == "invoice.paid"
	case filterLarge:
		return data.Total > 50
	case filterNot:
		return !strings.HasPrefix(e.Type, "customer.")
	}
	return true
}

// unfit tells whether the contract has no form for the event: Fatture in Cloud
// knows no ids but integers.
func unfit(s *fattorino.Subscription, e *fattorino.Event) bool {
	return s.Contract == "fic" && slices.ContainsFunc(e.Entity.IDs, func(id string) bool {
		_, err := strconv.ParseInt(id, 10, 64)
		return err != nil
	})
}

// A meaning is what an answer means under a contract.
type meaning uint8

const (
	well meaning = iota
	again
	final
	over
)

func meaningOf(contract string, a *fattorino.Answer) meaning {
	switch {
	case a.Status == http.StatusGone:
		return over
	case a.Status == 0:
		return again
	case contract == "fic":
		switch {
		case slices.Contains([]int{200, 201, 202, 204, 102}, a.Status):
			return well
		case a.Status >= 500 && a.Status <= 599:
			return again
		}
		return final
	case a.Status >= 200 && a.Status <= 299:
		return well
	case contract == "native" && (a.Status/100 == 3 || slices.Contains([]int{413, 414, 415, 431, 501}, a.Status)):
		return final
	}
	return again
}

// waits gives the schedule of a subscription: the wait after each failed try.
func waits(s *fattorino.Subscription) []time.Duration {
	seconds := map[string][]int{
		"fic":            {5, 25, 125},
		"facturascripts": {5, 25, 125, 625, 3125},
		"defacto":        {5, 300, 1800, 7200, 18000, 36000, 36000},
		"native":         {5, 300, 1800, 7200, 18000, 36000, 36000},
	}[s.Contract]
	if chosen := s.Options.Schedule; len(chosen) > 0 && s.Contract != "fic" && s.Contract != "defacto" {
		return chosen
	}
	all := make([]time.Duration, len(seconds))
	for i, n := range seconds {
		all[i] = time.Duration(n) * time.Second
	}
	return all
}

// asked is how long an answer asks not to be called: what Retry-After says, to
// native subscriptions, with 429 and 503.
func asked(contract string, a *fattorino.Answer, now time.Time) time.Duration {
	if contract != "native" || (a.Status != 429 && a.Status != 503) || len(a.Header) == 0 {
		return 0
	}
	value := a.Header[0].Value
	if n, err := strconv.Atoi(value); err == nil {
		return min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	if date, err := time.Parse(http.TimeFormat, value); err == nil {
		return min(max(0, date.Sub(now)), 24*time.Hour)
	}
	return 0
}

// expiry is how long a subscription may go on failing; 0 = for ever.
func expiry(contract string) time.Duration {
	if contract == "fic" {
		return 10 * 24 * time.Hour
	}
	return 0
}

// proofs is how many challenges a sink may fail in all; 0 = none is made.
func proofs(s *fattorino.Subscription) int {
	switch {
	case s.Contract == "fic":
		return 5
	case s.Contract == "native" && s.Options.Handshake != "none":
		return 10
	}
	return 0
}
