package fattorino

import "time"

// A Delivery is one event on its way to one subscription.
type Delivery struct {
	ID           int64
	Subscription int64
	Event        *Event
	State        DeliveryState
	Reason       Reason    // why it was discarded
	Attempts     int       // attempts made in all
	Tries        int       // attempts made since it was last set on its way; a resend starts anew
	DueAt        time.Time // when the next attempt is due; zero = as soon as its lane comes to it
	FirstErrorAt time.Time // its first failed attempt since it was last set on its way
	SettledAt    time.Time // when it was delivered or discarded
	Status       int       // HTTP status of the last answer; 0 = none
	WaitsFor     int64     // of a waiting one: hash of the entity whose earlier delivery it waits for
}

// DeliveryState is a delivery's state; docs/states.md draws how they follow
// each other.
type DeliveryState uint8

// The states of a delivery.
const (
	Pending DeliveryState = iota
	Delivered
	Discarded
	Waiting // an earlier delivery of the same entity is still pending
)

// String gives the state's public name.
func (s DeliveryState) String() string {
	switch s {
	case Pending:
		return "pending"
	case Delivered:
		return "delivered"
	case Discarded:
		return "discarded"
	case Waiting:
		return "waiting"
	}
	return "unknown"
}

// ParseDeliveryState reads the form that [DeliveryState.String] writes.
func ParseDeliveryState(s string) (DeliveryState, bool) {
	for _, state := range []DeliveryState{Pending, Delivered, Discarded, Waiting} {
		if s == state.String() {
			return state, true
		}
	}
	return 0, false
}

// Reason says why a delivery was discarded.
type Reason string

// The reasons.
const (
	Refused   Reason = "refused"   // an answer that the contract does not retry
	Exhausted Reason = "exhausted" // every attempt that the contract allows has failed
	SinkGone  Reason = "gone"      // the subscription ended before it was delivered
	Unfit     Reason = "unfit"     // the contract cannot express the event
	// Superseded: while it waited, something newer about the same entity came in
	// (ordering [Latest]).
	Superseded Reason = "superseded"
)

// An Attempt is one HTTP exchange of a delivery; it never changes once
// written.
type Attempt struct {
	Delivery  int64
	Number    int // from 1
	StartedAt time.Time
	Request   Request
	Answer    Answer
	// BatchOf is the delivery whose attempt, with the same start, holds the
	// request of the batch that this one went out in; 0 = this one's own.
	BatchOf int64
}

// MaxAttempts bounds the attempts of one delivery, resends included.
const MaxAttempts = 1000

// Hidden stands in the log for the value of a header field that is secret.
const Hidden = "[hidden]"

// A Header is one header field as it goes over the wire; order and spelling
// are kept.
type Header struct {
	Name, Value string
	Secret      bool // the log keeps the name alone
}

// A Request is what goes to a sink in one attempt.
type Request struct {
	Method string
	URL    string
	Header []Header
	Body   []byte
}

// An Answer is what came back, or why nothing did.
type Answer struct {
	Status    int // 0 where no status line came
	Header    []Header
	Body      []byte  // as far as it was kept: 64 KiB of one just received, 4 KiB of one in the log
	Truncated bool    // there was more body than was kept, or its rest did not come
	Failure   Failure // empty where a complete status line and header came
	Detail    string  // the failure in words, free of secrets and of inner addresses
	Timing    Timing
}

// Failure is the class of an exchange that brought no answer.
type Failure string

// The classes of failure.
const (
	FailedDNS      Failure = "dns"      // the host name has no address
	FailedAddress  Failure = "address"  // the egress guard refused the address
	FailedConnect  Failure = "connect"  // no connection
	FailedTLS      Failure = "tls"      // no trusted, modern enough TLS
	FailedTimeout  Failure = "timeout"  // too slow
	FailedReset    Failure = "reset"    // the connection broke before the answer
	FailedProtocol Failure = "protocol" // what came back is no HTTP answer, or too large a header
)

// Timing is how long each phase of an exchange took; 0 = did not happen, as on
// a kept-alive connection.
type Timing struct {
	DNS       time.Duration
	Connect   time.Duration
	TLS       time.Duration
	FirstByte time.Duration // from the request's last byte to the answer's first
	Total     time.Duration
}
