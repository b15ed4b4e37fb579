package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// nativeContract is the contract of subscriptions that name none.
const nativeContract = "native"

// A Chooser knows what a subscriber may choose under one contract, and keeps
// the secrets that come of it. Subscriptions are made and changed here under
// the contracts that have one.
type Chooser interface {
	// CheckOptions fails with Invalid, each fault naming a member of the
	// request, where the contract does not offer what is wished. What is left
	// out is the contract's to choose, and never a fault.
	CheckOptions(n *fattorino.NewSubscription) error
	// NewSecret makes a signing secret for the scheme ("" = the contract's
	// own): as it is kept, as it is shown to the subscriber this once, and the
	// public half. Shown is empty where there is nothing that the subscriber
	// must keep secret, the sealed form where the scheme has no secret of the
	// subscription.
	NewSecret(signature string) (s fattorino.Secret, shown, public string, err error)
	// PublicKey gives the public half of a secret that NewSecret made; empty
	// where its scheme has none.
	PublicKey(s fattorino.Secret) (string, error)
	// SealHeaders encrypts the header fields that a subscriber asks for, for
	// [fattorino.Options]; none give nil.
	SealHeaders([]fattorino.Header) ([]byte, error)
	// OpenHeaders gives the header fields that SealHeaders sealed.
	OpenHeaders(sealed []byte) ([]fattorino.Header, error)
}

// A Defaulter is a [Chooser] under which it depends on the format which
// signature a subscription has that chose none.
type Defaulter interface {
	// DefaultSignature gives that signature; "" leaves it to NewSecret.
	DefaultSignature(f fattorino.Format) string
}

// newSecret makes the secrets of a subscription under the scheme: one, or none
// where it signs with none.
func newSecret(rules Chooser, signature string) (secrets []fattorino.Secret, shown string, err error) {
	secret, shown, _, err := rules.NewSecret(signature)
	if err != nil || len(secret.Sealed) == 0 {
		return nil, "", err
	}
	return []fattorino.Secret{secret}, shown, nil
}

// Callbacks knows the keys of the challenges that a sink may answer by a
// request of its own (CloudEvents HTTP Web Hooks 1.0.2, section 4).
type Callbacks interface {
	// CallbackKeyValid tells, in constant time, whether the key is that of the
	// challenge of the round.
	CallbackKeyValid(subscription, round int64, key string) bool
}

// rules gives the chooser of a contract. It fails with Conflict, saying where to
// go, for a contract whose subscriptions are made and changed elsewhere.
func (s *server) rules(contract string) (Chooser, error) {
	if c, ok := s.Contracts[contract]; ok {
		return c, nil
	}
	if s.catalog(contract) == nil {
		return nil, fattorino.InvalidField("contract", "there is no contract %q", contract)
	}
	e := &fattorino.Error{
		Kind: fattorino.Conflict, Code: "other_api",
		Msg: fmt.Sprintf("subscriptions under the contract %q are only shown here", contract),
		Fix: "make and change them by the API that its subscribers know",
	}
	if where := s.Elsewhere[contract]; where != "" {
		e.Fix += ": " + where
	}
	return nil, e
}

// catalog gives the catalog of a contract; nil for one that is not here.
func (s *server) catalog(contract string) *fattorino.Catalog {
	all := s.Service.Catalogs().All()
	i := slices.IndexFunc(all, func(c *fattorino.Catalog) bool { return c.Contract == contract })
	if i < 0 {
		return nil
	}
	return all[i]
}

// checkTypes fails with Invalid for names that stand for no type of the
// contract, each with its place.
func (s *server) checkTypes(contract string, names []string) error {
	catalog := s.catalog(contract)
	var faults []fattorino.Fault
	for i, name := range names {
		if len(catalog.Explode(name)) > 0 {
			continue
		}
		fault := fattorino.Fault{Field: fmt.Sprintf("types.%d", i), Msg: fmt.Sprintf("%q is no type of the contract %s", name, contract)}
		if near := s.Service.Catalogs().Nearest(name); near != "" {
			fault.Msg += fmt.Sprintf("; did you mean %q?", near)
		}
		faults = append(faults, fault)
	}
	if len(faults) == 0 {
		return nil
	}
	return &fattorino.Error{
		Kind: fattorino.Invalid, Msg: "some of the types do not exist", Faults: faults,
		Fix: "see /v1/catalogs/" + contract + " for those there are",
	}
}

// doubts says what looks wrong with types that were taken, and which were not.
func (s *server) doubts(types []string, refused []fattorino.TypeRefusal) []string {
	var warnings []string
	for _, r := range refused {
		warnings = append(warnings, fmt.Sprintf("the type %q was left out: another subscription of this app holds it", r.Type))
	}
	catalogs := s.Service.Catalogs()
	for _, t := range types {
		if deprecation := catalogs.Deprecation(t); deprecation != "" {
			warnings = append(warnings, deprecation)
		}
		if strings.HasSuffix(t, "*") {
			if !catalogs.Matches(t) {
				warnings = append(warnings, fmt.Sprintf("%q matches no type in any catalog", t))
			}
			continue
		}
		if _, known := catalogs.Common(t); known {
			continue
		}
		warning := fmt.Sprintf("the type %q is in no catalog", t)
		if near := catalogs.Nearest(t); near != "" {
			warning += fmt.Sprintf("; did you mean %q?", near)
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// hears tells whether a subscription would be notified of the type, or could
// be: it holds it, or the type is one of its contract's catalog.
func (s *server) hears(sub *fattorino.Subscription, typ string) bool {
	if _, ok := s.catalog(sub.Contract).Type(typ); ok {
		return true
	}
	return slices.ContainsFunc(sub.Types, func(held string) bool {
		prefix, wild := strings.CutSuffix(held, "*")
		return held == typ || (wild && strings.HasPrefix(typ, prefix))
	})
}
