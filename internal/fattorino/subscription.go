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
	State    State

	Handshake HandshakeState

	FirstErrorAt time.Time // first failed attempt of the notification that set ExpiresAt
	ExpiresAt    time.Time // the first error after it ends the subscription; zero = no expiry pending
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// HandshakeState is how far a subscription is in proving its sink.
type HandshakeState struct {
	Method  Method    // how the challenge now pending is carried
	Pending bool      // a challenge has been asked for and has no outcome yet
	Round   int64     // grows with each challenge, so that a late outcome of an earlier one is told apart
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
const (
	Unverified       State = "unverified"        // the sink has not proved itself; nothing is sent
	Active           State = "active"            // hears events
	Deleted          State = "deleted"           // its owner deleted it
	GoneByAnswer     State = "gone_410"          // its sink answered that it is gone
	Expired          State = "expired"           // it failed for longer than the contract allows
	VerificationLost State = "verification_lost" // its sink never proved itself
)

// Gone tells whether the state is an end.
func (s State) Gone() bool { return s != Unverified && s != Active }

// Clone gives a copy that can be changed without touching s.
func (s *Subscription) Clone() *Subscription {
	c := *s
	c.Types = slices.Clone(s.Types)
	return &c
}
