package fattorino

import (
	"slices"
	"time"
)

// A Subscription is an app's wish to hear some types of one company at one
// sink, under one contract.
type Subscription struct {
	ID       int64 // the subscription's number; its public id is the contract's affair
	Company  int64
	App      int64
	Contract string
	Sink     string   // the subscriber's URL, byte for byte as registered; its query can hold secrets
	Types    []string // concrete types of the contract's catalog
	Format   Format
	Filters  []byte // a JSON array of CloudEvents filters, all of which must pass; empty = none
	Options  Options
	Secrets  []Secret // newest first; those before the newest are in force until they end
	State    State
	Before   State // of a deleted one that can be restored: the state that it was deleted in

	Handshake HandshakeState

	FirstErrorAt time.Time // first failed attempt of the notification that set ExpiresAt
	ExpiresAt    time.Time // the first error after it ends the subscription; zero = no expiry pending
	CreatedAt    time.Time
	UpdatedAt    time.Time

	// Version is that of its part in a [Shared] store when this was last changed;
	// the store stamps it.
	Version int64
}

// Options are what a subscriber may choose, as far as its contract lets it.
// The zero value of each leaves it to the contract.
type Options struct {
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Handshake   string            `json:"handshake,omitempty"` // how the sink proves itself
	Signature   string            `json:"signature,omitempty"` // scheme
	Ordering    Ordering          `json:"ordering,omitempty"`  // cannot change once the subscription is made
	Thin        bool              `json:"thin,omitempty"`      // ids in place of the state
	Headers     []byte            `json:"headers,omitempty"`   // encrypted: header fields sent with each notification
	Template    string            `json:"template,omitempty"`  // what a message to people says, in the formats that are one
	BatchSize   int               `json:"batch_size,omitempty"`
	BatchLinger time.Duration     `json:"batch_linger,omitempty"` // how long an event waits for others
	Rate        int               `json:"rate,omitempty"`         // attempts in a minute
	Concurrency int               `json:"concurrency,omitempty"`
	Schedule    []time.Duration   `json:"schedule,omitempty"` // waits between attempts
	Timeout     time.Duration     `json:"timeout,omitempty"`  // of one attempt
	EndsAt      time.Time         `json:"ends_at,omitzero"`   // when the subscription ends unless it is renewed
}

// A Secret is a signing secret as it is kept.
type Secret struct {
	Sealed []byte    `json:"sealed"`           // encrypted
	EndsAt time.Time `json:"ends_at,omitzero"` // when it stops signing; zero = it is the current one
}

// HandshakeState is how far a subscription is in proving its sink.
type HandshakeState struct {
	Method  Method    // how the challenge now pending is carried
	Pending bool      // a challenge has been asked for and has no outcome yet
	Round   int64     // grows with each challenge, so that a late outcome of an earlier one is told apart
	AskedAt time.Time // when the challenge of this round was asked for
	Rate    int       // attempts in a minute that the sink has consented to; 0 = any number
	Failed  int       // failed attempts for this sink
	RetryAt time.Time // no retry may be asked for before; zero = now
	Error   string    // why the last attempt failed; for the owner, free of secrets
}

// Format is the form of a subscription's notifications.
type Format string

// The formats (CloudEvents HTTP binding 1.0.2, section 1.3).
const (
	Binary     Format = "binary"
	Structured Format = "structured"
	Batched    Format = "batch"    // several events in one notification (section 3.3)
	Standard   Format = "standard" // the body of Standard Webhooks: type, timestamp, data
)

// Keeps tells whether any delivery waits for another.
func (o Ordering) Keeps() bool { return o != "" && o != Unordered }

// Ordering says which deliveries of a subscription wait for which.
type Ordering string

// The orderings. Empty is Unordered.
const (
	Unordered Ordering = "none"
	ByEntity  Ordering = "entity" // those about one entity, as invoice/42, in the order of seq
	Latest    Ordering = "latest" // as ByEntity, but what waits is skipped once there is something newer about the entity
	Strict    Ordering = "strict" // all of them, one at a time
)

// Method says how a challenge travels to the sink.
type Method string

// The methods.
const (
	ByHeader Method = "header"
	ByQuery  Method = "query"
)

// State is a subscription's state; docs/states.md draws how they follow each
// other.
type State string

// The states. The last four are ends: a subscription in one of them is gone.
// EndsAt of the options ends one as expired.
const (
	Unverified       State = "unverified"        // the sink has not proved itself; nothing is sent
	Active           State = "active"            // hears events
	Disabled         State = "disabled"          // hears events, and is sent them once it is enabled again
	Deleted          State = "deleted"           // its owner deleted it, and may take that back for a while
	GoneByAnswer     State = "gone_410"          // its sink answered that it is gone
	Expired          State = "expired"           // it failed for longer than the contract allows
	VerificationLost State = "verification_lost" // its sink never proved itself
)

// Gone tells whether the state is an end.
func (s State) Gone() bool { return s != Unverified && s != Active && s != Disabled }

// Hears tells whether events are put on their way to a subscription in this
// state, now or once it is enabled.
func (s State) Hears() bool { return s == Active || s == Disabled }

// replaceSecret makes a secret the newest. The others go on signing beside it
// for the overlap at most, and those whose time is over are forgotten: without
// an overlap, all of them.
func (s *Subscription) replaceSecret(newest Secret, now time.Time, overlap time.Duration) {
	kept := []Secret{newest}
	for _, old := range s.Secrets {
		if end := now.Add(overlap); old.EndsAt.IsZero() || end.Before(old.EndsAt) {
			old.EndsAt = end
		}
		if now.Before(old.EndsAt) {
			kept = append(kept, old)
		}
	}
	s.Secrets = kept
}

// Clone gives a copy that can be changed without touching s.
func (s *Subscription) Clone() *Subscription {
	c := *s
	c.Types = slices.Clone(s.Types)
	c.Secrets = slices.Clone(s.Secrets)
	return &c
}
