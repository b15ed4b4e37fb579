package fattorino

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is what the use cases need of the engine: the one way to write, and
// word of what happened.
type Engine interface {
	// Publish commits the events, all or none, with their deliveries, and
	// returns once they are durable.
	Publish(ctx context.Context, events []*Event) ([]Receipt, error)
	// Update runs f in a transaction of the committer. Subscriptions changed in
	// it are in force for the next event committed.
	Update(ctx context.Context, f func(Tx) error) error
	// AwaitHandshake returns when no challenge of the subscription is pending
	// any more, or when ctx ends.
	AwaitHandshake(ctx context.Context, subscription int64)
	// Committed gives a channel that is closed at the company's next event.
	Committed(company int64) <-chan struct{}
}

// A Receipt is the proof that an event was accepted.
type Receipt struct {
	ID      string
	Company int64
	Seq     int64
	Warning string // what looks wrong with the event; empty = nothing
}

// Limits are the operator's limits on use.
type Limits struct {
	Subscriptions int           // of one app in one company
	AwaitSink     time.Duration // how long create waits for the handshake's outcome
}

// Config is what a Service is made of.
type Config struct {
	Store     Store
	Engine    Engine
	Contracts []Contract
	Limits    Limits
	// CheckSink judges a sink at registration; its error is an Error for the caller.
	CheckSink func(sink string) error
	// CompileFilters reads a JSON array of CloudEvents filters; its error is an
	// Error for the caller.
	CompileFilters func(filters []byte) (func(*Event) bool, error)
	// OwnContract names the contract whose catalog the operator may add types
	// and groups to; empty = none.
	OwnContract string
	// CompileSchema reads a JSON Schema and gives what finds the faults of data,
	// each with the JSON Pointer of the value (RFC 6901), empty for the whole,
	// as its Field; none where the data matches. It may be called at the same
	// time from several goroutines. Its error is an Error for the caller, with
	// faults in the field "schema".
	CompileSchema func(schema []byte) (func(data []byte) []Fault, error)
	// Exempt tells whether a sink needs no handshake; nil = none is exempt.
	Exempt func(sink string) bool
	// AdminTokenHash is the SHA-256 of the admin token that the operator set;
	// nil = none.
	AdminTokenHash []byte
}

// A Service is every use case. Doors call it with the token of the caller; it
// checks what the token may do.
type Service struct {
	Config
	contracts map[string]Contract
	operator  *Token // that AdminTokenHash stands for
	tokens    tokenCache
	resends   resends
	pruning   pruning

	vocabulary atomic.Pointer[vocabulary]
	changing   sync.Mutex // held while the vocabulary is changed, so that none puts an older one in place
}

// NewService makes a Service. It fails on a contract given twice, and on an own
// contract that is not among them.
func NewService(c Config) (*Service, error) {
	operator := &Token{Kind: AdminToken, Scopes: []string{"*"}, Hash: c.AdminTokenHash}
	s := &Service{Config: c, contracts: map[string]Contract{}, operator: operator}
	var catalogs []*Catalog
	for _, contract := range c.Contracts {
		if _, twice := s.contracts[contract.Name()]; twice {
			return nil, fmt.Errorf("contract %s twice", contract.Name())
		}
		s.contracts[contract.Name()] = contract
		catalogs = append(catalogs, contract.Catalog())
	}
	if c.OwnContract != "" && s.contracts[c.OwnContract] == nil {
		return nil, fmt.Errorf("there is no contract %s whose catalog could be added to", c.OwnContract)
	}
	s.vocabulary.Store(&vocabulary{catalogs: NewCatalogs(catalogs...)})
	return s, nil
}

// Catalogs gives the catalogs of all contracts, as they now stand.
func (s *Service) Catalogs() *Catalogs { return s.vocabulary.Load().catalogs }

// catalog gives a contract's catalog as it now stands.
func (s *Service) catalog(contract Contract) *Catalog {
	return s.Catalogs().byContract[contract.Name()]
}

// HashSecret gives the form in which a token's secret is kept.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// need checks that the caller's token is of one of the kinds and reaches the
// company (0 = no company is meant).
func need(caller *Token, company int64, kinds ...TokenKind) error {
	allowed := false
	for _, k := range kinds {
		allowed = allowed || caller.Kind == k
	}
	if !allowed {
		return &Error{
			Kind: Denied, Code: "NO_PERMISSION",
			Msg: fmt.Sprintf("a token of kind %q may not do this", caller.Kind),
			Fix: fmt.Sprintf("use a token of kind %q", kinds[0]),
		}
	}
	if company != 0 && !caller.Reaches(company) {
		return &Error{
			Kind: Denied, Code: "NO_PERMISSION",
			Msg: fmt.Sprintf("this token is not associated with company %d", company),
			Fix: "use a token made for this company",
		}
	}
	return nil
}

// noSuch is the answer about a thing that is not there, and about one that the
// caller may not see: the two must not be told apart.
func noSuch(what string) error { return Errorf(NotFound, "there is no such %s", what) }

// hide makes a store's NotFound the answer of noSuch.
func hide(what string, err error) error {
	if KindOf(err) == NotFound {
		return noSuch(what)
	}
	return err
}

func notACompany(id int64) error {
	return InvalidField("company", "company %d is not a positive integer", id)
}
