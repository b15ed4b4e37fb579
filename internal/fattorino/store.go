package fattorino

import (
	"context"
	"fmt"
	"time"
)

// A Store keeps everything. Two implementations are proven by one suite,
// storetest. What it returns may be kept and read, never changed.
//
// Errors: NotFound where a thing asked for by its id is not there; Unavailable
// where nothing can be written at the moment (the disk is full); Internal else.
type Store interface {
	Reader
	// Commit writes a batch in one transaction and returns once it is durable.
	// It stamps what it gave: each event's Key, Seq and Accepted, the ids of
	// the new deliveries. On an error nothing was written and the same batch
	// may be committed again.
	Commit(ctx context.Context, b *Batch) error
	// Update runs f in one transaction and returns once it is durable. When f
	// fails nothing is written and its error is returned as it is. Where another
	// transaction stood in the way, f may be run again: it must begin anew.
	Update(ctx context.Context, f func(Tx) error) error

	// LiveSubscriptions calls f with every subscription that is not gone, or
	// that is gone and still has pending deliveries: those in the parts of a
	// [Shared] store, or for none all.
	LiveSubscriptions(ctx context.Context, f func(*Subscription), parts ...int) error
	// Backlogs tells what is left to do, in the parts or for none everywhere, as
	// far as it was written.
	Backlogs(ctx context.Context, parts ...int) ([]Backlog, error)
	// Fresh gives pending deliveries never tried yet, oldest first, with ids
	// above after, events included.
	Fresh(ctx context.Context, subscription, after int64, limit int) ([]*Delivery, error)
	// Due gives pending deliveries that have a due date, soonest first, events
	// included.
	Due(ctx context.Context, subscription int64, limit int) ([]*Delivery, error)
	// Waiting gives waiting deliveries, oldest first, events included: those
	// that wait for the entity with the hash, or, for 0, all.
	Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*Delivery, error)
	// WaitedFor gives the hashes of the entities that deliveries wait for.
	WaitedFor(ctx context.Context, subscription int64, limit int) ([]int64, error)
}

// A Batch is what the committer writes in one transaction.
type Batch struct {
	Now           time.Time
	Publishes     []*Publish
	Outcomes      []Outcome
	Subscriptions []*Subscription // changed by the outcomes
	Settled       []Settled
	Tallies       []Tally // of minutes; added to what was counted of them before
	Pulses        []Pulse

	// What follows is for a [Shared] store. Commit fails with a [StaleError] where
	// the subscriptions of a part that is published to, or has subscriptions in
	// the batch, are of another version; and with [ErrLeaseLost] where there are
	// outcomes or hints and the epoch is over.
	Versions []int64 // by part; nil = nobody else changes subscriptions
	Epoch    int64   // of the leases of the parts that the outcomes and hints are in; 0 = none are needed
	Late     []LateAttempt
	Spans    []Span // stamped: the ids given
}

// A LateAttempt was made under a lease that is lost. Nothing but the log hears of
// it: what becomes of its delivery is another node's affair.
type LateAttempt struct {
	*Attempt
	Epoch int64 // of that lease
}

// A Publish is the events of one request: all of them are written, or none.
type Publish struct {
	Events  []*Event
	Targets [][]int64 // Targets[i]: the subscriptions that hear Events[i]

	First    []int64 // First[i]: id of the delivery to Targets[i][0]; the rest follow one by one
	Repeated []bool  // Repeated[i]: the event was there before; nothing was written for it
	Err      error   // why nothing of this publish was written; Conflict for an id with other content
}

// Contradiction is the Err of a publish whose event i has an id that was used
// for another.
func (p *Publish) Contradiction(i int) error {
	field := fmt.Sprintf("events.%d.id", i)
	if len(p.Events) == 1 {
		field = "id"
	}
	return &Error{
		Kind: Conflict, Code: "event_id_reused",
		Msg:    fmt.Sprintf("event %d: an event with id %q and this source was accepted before with other content: nothing was stored", i, p.Events[i].ID),
		Fix:    "give every event its own id; send the very same event to repeat it",
		Faults: []Fault{{Field: field, Msg: "was used for another event"}},
	}
}

// An Outcome is a delivery as it stands after an attempt, or after being
// discarded without one; its subscription and event are those it was made with.
type Outcome struct {
	Delivery *Delivery
	Attempt  *Attempt // nil where there was none
}

// Settled is a hint for the next start: every delivery of the subscription up
// to the id has been settled or has a due date.
type Settled struct {
	Subscription int64
	Delivery     int64
}

// A Backlog is what one subscription has left to do.
type Backlog struct {
	Subscription int64
	Settled      int64     // see Settled; deliveries never tried have greater ids
	Last         int64     // greatest id of its deliveries
	NextDue      time.Time // soonest due date; zero = none
	Waiting      bool      // there are waiting deliveries
}

// A Counter is what was counted under a name in a window of time.
type Counter struct {
	Name   string
	Window time.Time // its start
	Count  int64
}

// A CounterTx counts, for all processes that share the store.
type CounterTx interface {
	// Count adds one to each of the counters, which have different names, and
	// sets their Count; it forgets what was counted under a name in other
	// windows.
	Count(counters ...*Counter) error
	// Counters gives those of the names that there are, as they were counted
	// last.
	Counters(names ...string) ([]Counter, error)
}

// Tx is the store inside one transaction of the committer.
type Tx interface {
	ResealTx
	TallyTx
	CounterTx

	// EnsureCompany makes the company if it is not there.
	EnsureCompany(id int64, now time.Time) error
	NameCompany(id int64, name string) error
	// PutApp inserts the app and sets its ID.
	PutApp(*App) error
	App(id int64) (*App, error)
	// PutToken inserts the token and sets its ID, or updates it where it has one.
	PutToken(*Token) error
	Token(id int64) (*Token, error)

	Subscription(id int64) (*Subscription, error)
	// OwnSubscriptions gives those of the app and company that are not gone,
	// oldest first.
	OwnSubscriptions(company, app int64) ([]*Subscription, error)
	// PutSubscription inserts the subscription and sets its ID, or updates it
	// where it has one.
	PutSubscription(*Subscription) error

	// PutPrivate inserts a private event and its one delivery.
	PutPrivate(e *Event, subscription int64) (*Delivery, error)
	Delivery(id int64) (*Delivery, error)
	// PutDelivery updates a delivery.
	PutDelivery(*Delivery) error

	// PutKey inserts a signing key.
	PutKey(*Key) error
	// RetireKeys marks the keys of the name as replaced, all but the one with
	// the kid.
	RetireKeys(name, kid string, now time.Time) error
	// Document reads a document as it stands in this transaction.
	Document(kind string, company int64, id string) (*Document, error)
	// PutDocument inserts the document, or replaces the one with its kind,
	// company and id.
	PutDocument(*Document) error
	// DeleteDocument deletes a document; that there is none is no error.
	DeleteDocument(kind string, company int64, id string) error
	// PutOwnType inserts the type, or replaces the one with its name.
	PutOwnType(*OwnType) error
	// DeleteOwnType deletes a type; that there is none is no error.
	DeleteOwnType(name string) error
	// PutOwnGroup inserts the group, or replaces the one with its name.
	PutOwnGroup(Group) error
	// DeleteOwnGroup deletes a group; that there is none is no error.
	DeleteOwnGroup(name string) error
	// Prune deletes events accepted before the time, with their deliveries and
	// attempts, where none is pending: at most limit events with keys above
	// after. It gives the last key looked at, 0 when there is nothing more.
	Prune(before time.Time, after int64, limit int) (last int64, deleted int, err error)
}

// A Reader answers the questions of the use cases.
type Reader interface {
	ResealReader
	TallyReader
	OverseerReader

	Companies(ctx context.Context, after int64, limit int) ([]*Company, error)
	Company(ctx context.Context, id int64) (*Company, error)
	Apps(ctx context.Context, after int64, limit int) ([]*App, error)
	Tokens(ctx context.Context, after int64, limit int) ([]*Token, error)
	TokenByHash(ctx context.Context, hash []byte) (*Token, error)

	Subscription(ctx context.Context, id int64) (*Subscription, error)
	// Subscriptions gives those of the company that are not gone, oldest
	// first; app 0 = of all apps.
	Subscriptions(ctx context.Context, company, app int64) ([]*Subscription, error)
	// SubscriptionIDs gives the ids of all that the company ever had and that
	// are still kept; app 0 = of all apps.
	SubscriptionIDs(ctx context.Context, company, app int64) ([]int64, error)

	Events(ctx context.Context, q EventQuery) ([]*Event, error)
	// RecentEvents calls f with the newest events of the type, of all companies,
	// newest first: at most limit of them, among the newest reach of any type.
	// An error of f ends it and is returned as it is.
	RecentEvents(ctx context.Context, typ string, reach, limit int, f func(*Event) error) error
	// OldestSeq gives the Seq of the oldest event still kept; 0 = none.
	OldestSeq(ctx context.Context, company int64) (int64, error)
	Deliveries(ctx context.Context, q DeliveryQuery) ([]*Delivery, error)
	Delivery(ctx context.Context, id int64) (*Delivery, error)
	Attempts(ctx context.Context, delivery int64) ([]*Attempt, error)

	// Keys gives the signing keys of the name, newest first.
	Keys(ctx context.Context, name string) ([]*Key, error)

	// OwnTypes gives the types of the operator's, by name.
	OwnTypes(ctx context.Context) ([]*OwnType, error)
	// OwnGroups gives the groups of the operator's, by name.
	OwnGroups(ctx context.Context) ([]Group, error)

	Document(ctx context.Context, kind string, company int64, id string) (*Document, error)
	// Documents gives those of the kind and company with ids above after, by
	// id: byte by byte, whatever the language.
	Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*Document, error)
	// DueDocuments gives those of the kind, of all companies, that have a due
	// date, soonest first.
	DueDocuments(ctx context.Context, kind string, limit int) ([]*Document, error)
}

// A Document is a record that a door keeps for itself, in a form that only the
// door knows.
type Document struct {
	Kind    string // what it is and whose, as "defacto_invoice"
	Company int64
	ID      string    // unique in its kind and company
	DueAt   time.Time // when there is something to do about it; zero = nothing
	Body    []byte
}

// EventQuery asks for a company's events in the order of Seq.
type EventQuery struct {
	Company int64
	After   int64    // events with a greater Seq
	Types   []string // contract type names or common names; empty = all
	Limit   int
}

// DeliveryQuery asks for deliveries, newest first.
type DeliveryQuery struct {
	Subscriptions []int64
	State         *DeliveryState
	Types         []string // event types or common names; empty = all
	Entity        string   // as Entity.String writes it, one id; empty = all
	From, To      time.Time
	Before        int64 // deliveries with a smaller id; 0 = from the newest
	Limit         int
}

// A Key is a signing key as it is kept.
type Key struct {
	Name      string // what it signs for, as "fic"
	KID       string
	Sealed    []byte // the private key, encrypted
	CreatedAt time.Time
	RetiredAt time.Time // when another took its place; zero = current
}
