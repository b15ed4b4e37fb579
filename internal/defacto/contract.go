package defacto

import (
	"fmt"
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// DefaultUserAgent is what requests to sinks are made as where [Options] say
// nothing else. What Defacto's own are made as is not published.
const DefaultUserAgent = "Fattorino"

// Options are the settings of a [Contract].
type Options struct {
	UserAgent string // [DefaultUserAgent] where empty
}

// A Contract is the Defacto contract as the engine needs it. It does not
// change once made.
type Contract struct {
	userAgent string
	catalog   *fattorino.Catalog
}

var _ fattorino.Contract = (*Contract)(nil)

// New makes the contract. It fails on a user agent that no header can hold.
func New(o Options) (*Contract, error) {
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	for i := range len(o.UserAgent) {
		if o.UserAgent[i] < ' ' || o.UserAgent[i] > '~' {
			return nil, fmt.Errorf("defacto: the user agent %q cannot stand in a header", o.UserAgent)
		}
	}
	catalog, err := newCatalog()
	if err != nil {
		return nil, fmt.Errorf("defacto: %w", err)
	}
	return &Contract{userAgent: o.UserAgent, catalog: catalog}, nil
}

// Name is "defacto".
func (c *Contract) Name() string { return name }

// Catalog gives the 25 types; it is open and shared.
func (c *Contract) Catalog() *fattorino.Catalog { return c.catalog }

// Judge takes any 2xx for delivered and 410 for the end of the subscription.
// Everything else can be well again, and is retried.
func (c *Contract) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch {
	case a.Status >= 200 && a.Status <= 299:
		return fattorino.Success
	case a.Status == http.StatusGone:
		return fattorino.End
	}
	return fattorino.Retry
}

// Retry gives the waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h: eight
// attempts in a little more than a day.
func (c *Contract) Retry(_ *fattorino.Subscription, tries int) (time.Duration, bool) {
	waits := [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	}
	if tries < 1 || tries > len(waits) {
		return 0, false
	}
	return waits[tries-1], true
}

// Wait is nothing: this contract does not listen to Retry-After.
func (c *Contract) Wait(*fattorino.Answer, time.Time) time.Duration { return 0 }

// Expiry is never: no failure but 410 ends a subscription.
func (c *Contract) Expiry() time.Duration { return 0 }

// Handshake is none: Defacto takes a sink at its owner's word.
func (c *Contract) Handshake(*fattorino.Subscription) fattorino.Handshake { return nil }

// Welcome is none.
func (c *Contract) Welcome(*fattorino.Subscription, time.Time) *fattorino.Event { return nil }
