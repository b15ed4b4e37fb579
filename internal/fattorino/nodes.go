package fattorino

import (
	"context"
	"errors"
	"fmt"
)

// A Shared store is one that several processes, its nodes, write to. Everything
// of a company lies in one part of it. Any node takes events and changes in; a
// part is leased to one node at a time, which alone sends what is pending there.
type Shared interface {
	// Parts gives how many parts there are, numbered from 0.
	Parts() int
	// PartOf gives the part that a company lies in.
	PartOf(company int64) int
	// Standings tells how every part stands.
	Standings(ctx context.Context) ([]Standing, error)
	// Changed gives the subscriptions of a part that were changed after the
	// version, those that are gone among them, and the version up to which they
	// are; after 0 all that are not gone.
	Changed(ctx context.Context, part int, after int64) (changed []*Subscription, version int64, err error)
	// Arrived gives the deliveries in some spans, all of which were committed,
	// that were never tried, in the order of their ids. Where they are too many
	// to be read at once it gives the greatest id of each subscription's instead.
	Arrived(ctx context.Context, spans []Span) (deliveries []*Delivery, last map[int64]int64, err error)
	// Nudge has the other nodes look at how the parts stand, soon.
	Nudge()
}

// A Standing is how a part stands. Its numbers grow with what is written there,
// by whichever node.
type Standing struct {
	Part    int
	Last    int64 // greatest id given to an event or a delivery
	Version int64 // grows with every change of a subscription
	Resent  int64 // grows when a use case sets a delivery on its way
}

// A Lease is the right to serve a part: to send what is pending there, and to
// say what became of it.
type Lease struct {
	Part  int
	Epoch int64 // a node that has lost its leases gets others under a greater one
}

// A Span is ids in a part: those after From up to To. Those that a commit gives
// are one piece, but do not always follow on those of the same process's last
// commit.
type Span struct {
	Part     int
	From, To int64
}

// ErrLeaseLost says that a batch has outcomes or hints of a node that has lost
// its leases: what they say of deliveries is out of date.
var ErrLeaseLost = errors.New("this node has lost its leases: others serve its parts")

// A StaleError says that a batch was worked out from subscriptions that another
// node has changed since.
type StaleError struct{ Parts []int }

// Error names the parts.
func (e *StaleError) Error() string {
	return fmt.Sprintf("the subscriptions in the parts %v have changed meanwhile", e.Parts)
}
