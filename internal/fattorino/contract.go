package fattorino

import (
	"strings"
	"time"
)

// A Contract is the bundle of rules that a subscriber relies on. Each door
// hands one to the engine, which knows none by name.
type Contract interface {
	// Name is the contract's name in the store and in the API, as "fic".
	Name() string
	// Catalog holds the types that its subscriptions can name.
	Catalog() *Catalog
	// Notification builds the request of one attempt at now. An error means
	// that the event cannot be told under this contract, now or later.
	Notification(s *Subscription, e *Event, now time.Time) (*Request, error)
	// Judge says what an answer to a notification means.
	Judge(a *Answer) Verdict
	// Wait is how long the sink asks, by its answer, not to be called again; 0
	// where it does not ask or the contract does not listen.
	Wait(a *Answer, now time.Time) time.Duration
	// Retry gives the wait after the given number of failed tries (from 1),
	// before jitter; false when no further attempt is allowed. It is pure.
	Retry(s *Subscription, tries int) (time.Duration, bool)
	// Expiry is how long a subscription may go on failing before the next
	// error ends it; 0 = for ever.
	Expiry() time.Duration
	// Handshake proves that a sink wants the notifications; nil where the
	// contract, or the subscription under it, needs no proof.
	Handshake(s *Subscription) Handshake
	// Welcome gives the private event that tells a newly verified
	// subscription so; nil where the contract has none.
	Welcome(s *Subscription, now time.Time) *Event
}

// A Batcher is a contract that can tell of several events in one notification.
// One answer counts for all of them.
type Batcher interface {
	// Batch says how many events go into one notification at most, and how long
	// the first of them waits for others; 1 for a subscription that wants each
	// by itself.
	Batch(s *Subscription) (size int, linger time.Duration)
	// BatchNotification is Notification for several events.
	BatchNotification(s *Subscription, events []*Event, now time.Time) (*Request, error)
}

// Verdict is what an answer means to a delivery and its subscription.
type Verdict uint8

// The verdicts.
const (
	Success Verdict = iota // delivered
	Retry                  // failed, and worth another attempt
	Refuse                 // failed for good
	End                    // the subscriber is gone: so is the subscription
)

// A Handshake is a contract's way to make sure of a sink.
type Handshake interface {
	// Challenge builds the request that asks the sink.
	Challenge(s *Subscription, challenge string, now time.Time) (*Request, error)
	// Passed checks the answer; no error means that the sink has proved itself,
	// and may be called so many times a minute (0 = as often as we like). The
	// error's text is shown to the owner. A [PendingConsentError] means that the
	// sink will give its consent later, by a request of its own.
	Passed(challenge string, a *Answer) (rate int, err error)
	// Limits says how often a sink may be asked.
	Limits() HandshakeLimits
}

// WithQuery appends a parameter, as a challenge that travels in the query, to a sink.
// A sink has no fragment.
func WithQuery(sink, parameter string) string {
	_, query, ok := strings.Cut(sink, "?")
	switch {
	case !ok:
		return sink + "?" + parameter
	case query == "":
		return sink + parameter
	}
	return sink + "&" + parameter
}

// PendingConsentError says that a sink has neither given nor refused its consent yet.
type PendingConsentError struct{}

// Error says what is waited for.
func (PendingConsentError) Error() string { return "the sink has not called back yet" }

// HandshakeLimits bounds the attempts to verify one sink.
type HandshakeLimits struct {
	Attempts int           // in all, the first included; the subscription is lost with the last
	Every    time.Duration // between one retry asked for and the next
	Timeout  time.Duration // how long one attempt may take; a retry is not to be asked for before
}
