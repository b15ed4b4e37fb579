package facturascripts

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// DefaultUserAgent is what requests to sinks are made as where [Options] say
// nothing else.
const DefaultUserAgent = "Fattorino"

// Options are the settings of a [Contract].
type Options struct {
	// Keychain opens the secrets that notifications are signed with. It is
	// needed.
	Keychain *sign.Keychain
	// UserAgent is what requests to sinks are made as; [DefaultUserAgent]
	// where empty.
	UserAgent string
}

// A Contract is the FacturaScripts contract as the engine needs it. It does not
// change once made.
type Contract struct {
	keychain  *sign.Keychain
	userAgent string
	catalog   *fattorino.Catalog
}

var _ fattorino.Contract = (*Contract)(nil)

// New makes the contract. It fails without a keychain, and on a user agent that
// no header can hold.
func New(o Options) (*Contract, error) {
	if o.Keychain == nil {
		return nil, errors.New("facturascripts: a keychain is needed")
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("facturascripts: the user agent %q cannot stand in a header", o.UserAgent)
	}
	catalog, err := newCatalog()
	if err != nil {
		return nil, fmt.Errorf("facturascripts: %w", err)
	}
	return &Contract{keychain: o.Keychain, userAgent: o.UserAgent, catalog: catalog}, nil
}

// Name is "facturascripts".
func (c *Contract) Name() string { return Name }

// Catalog gives the nine documented types and those that the page's list lacks.
func (c *Contract) Catalog() *fattorino.Catalog { return c.catalog }

// Judge says what an answer means. The page says no more than that failed
// deliveries are tried again, so that the rest is of Standard Webhooks (SW-12):
//
//	2xx          delivered
//	410          delivered to nobody ever again: the subscription ends
//	all others   tried again; redirects are never followed
//	none         tried again
func (c *Contract) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch {
	case a.Status == http.StatusGone:
		return fattorino.End
	case a.Status >= 200 && a.Status <= 299:
		return fattorino.Success
	}
	return fattorino.Retry
}

// Wait is nothing: the schedule of the page knows no Retry-After.
func (c *Contract) Wait(*fattorino.Answer, time.Time) time.Duration { return 0 }

// maxRetries is how often a delivery is tried again where the subscription
// chose no schedule. "Maximum retries: 5 attempts", says the page, after it has
// numbered the retries: it is five retries, and six attempts in all.
const maxRetries = 5

// Retry gives the waits of the schedule that the subscription chose, or those
// of the page, where the nth retry comes after 5ⁿ seconds: 5 s, 25 s, 125 s,
// 625 s, 3125 s, which is 1 h 5 min 5 s in all. Who reads the page as five
// attempts in all chooses the first four.
func (c *Contract) Retry(s *fattorino.Subscription, tries int) (time.Duration, bool) {
	if chosen := s.Options.Schedule; len(chosen) > 0 {
		if tries < 1 || tries > len(chosen) {
			return 0, false
		}
		return chosen[tries-1], true
	}
	if tries < 1 || tries > maxRetries {
		return 0, false
	}
	wait := time.Second
	for range tries {
		wait *= 5
	}
	return wait, true
}

// Expiry is 0: failures never end a subscription, for the page has its owner
// disable it by hand. What it could not be told is kept, and can be sent again.
func (c *Contract) Expiry() time.Duration { return 0 }

// Handshake is nil: a URL is registered by hand and taken at its owner's word,
// as in the page's management UI. The egress guard alone says where requests
// may go.
func (c *Contract) Handshake(*fattorino.Subscription) fattorino.Handshake { return nil }

// Welcome is nil: nothing is sent that nobody published. To test a webhook is
// an action of its own.
func (c *Contract) Welcome(*fattorino.Subscription, time.Time) *fattorino.Event { return nil }
