package fic

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	_ "time/tzdata" // Europe/Rome must be known on machines without zone files too

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Defaults of [Options]: the values of Fatture in Cloud, which receivers
// compare with.
const (
	DefaultIssuer    = "https://api-v2.fattureincloud.it"
	DefaultUserAgent = "FattureInCloud/API-WEBHOOK"
)

// The rules in numbers.
const (
	expiry         = 10 * 24 * time.Hour // from the first error to the date after which any error ends a subscription
	tokenLife      = 3 * time.Hour
	challengeBytes = 64 << 10 // most that is looked at of the answer to a challenge (A11)
)

// Options are the settings of a [Contract].
type Options struct {
	// Signer signs the tokens that notifications and challenges carry.
	Signer Signer
	// Issuer is the CloudEvents source of every notification and the issuer
	// of every token: an absolute URL; [DefaultIssuer] where empty.
	Issuer string
	// UserAgent is what requests to sinks are made as; [DefaultUserAgent]
	// where empty.
	UserAgent string
	// ConnectionClose adds the header Connection: close that the documentation
	// prints. It concerns one connection only and is gone behind any proxy
	// (RFC 9110, section 7.6.1), so that no receiver can rely on it; left out,
	// connections can be kept, which is many times faster.
	ConnectionClose bool
}

// A Contract is the Fatture in Cloud contract as the engine needs it, its own
// handshake included. It does not change once made.
type Contract struct {
	options Options
	catalog *fattorino.Catalog
	rome    *time.Location
	source  string // the issuer as a JSON string
}

var (
	_ fattorino.Contract  = (*Contract)(nil)
	_ fattorino.Handshake = (*Contract)(nil)
)

// New makes the contract. It fails without a signer and on an issuer or user
// agent that no header can hold.
func New(o Options) (*Contract, error) {
	if o.Signer == nil {
		return nil, errors.New("fic: a signer is needed")
	}
	if o.Issuer == "" {
		o.Issuer = DefaultIssuer
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if u, err := url.Parse(o.Issuer); err != nil || !u.IsAbs() || !printable(o.Issuer) {
		return nil, fmt.Errorf("fic: the issuer %q is not an absolute URL", o.Issuer)
	}
	if !printable(o.UserAgent) {
		return nil, fmt.Errorf("fic: the user agent %q cannot stand in a header", o.UserAgent)
	}
	source, err := json.Marshal(o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("fic: issuer: %w", err)
	}
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("fic: %w", err)
	}
	catalog, err := newCatalog()
	if err != nil {
		return nil, fmt.Errorf("fic: %w", err)
	}
	return &Contract{options: o, catalog: catalog, rome: rome, source: string(source)}, nil
}

// printable tells whether s is ASCII that can stand in a header as it is.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Name is "fic".
func (c *Contract) Name() string { return name }

// Catalog gives the 71 types and 7 groups.
func (c *Contract) Catalog() *fattorino.Catalog { return c.catalog }

// Judge follows the documented lists of statuses: five that count as
// delivered, 500 to 599 to be retried, 410 that ends the subscription; what is
// in none of them is final, redirects and 429 as well. No answer at all counts
// like a 5xx (A4).
func (c *Contract) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusProcessing:
		return fattorino.Success
	case http.StatusGone:
		return fattorino.End
	case 0:
		return fattorino.Retry
	}
	if a.Status >= 500 && a.Status <= 599 {
		return fattorino.Retry
	}
	return fattorino.Refuse
}

// Retry gives the growing intervals between the documented four attempts: 5 s,
// 25 s and 125 s (A4).
func (c *Contract) Retry(_ *fattorino.Subscription, tries int) (time.Duration, bool) {
	switch tries {
	case 1:
		return 5 * time.Second, true
	case 2:
		return 25 * time.Second, true
	case 3:
		return 125 * time.Second, true
	}
	return 0, false
}

// Wait is nothing: Retry-After means nothing under this contract.
func (c *Contract) Wait(*fattorino.Answer, time.Time) time.Duration { return 0 }

// Expiry is ten days.
func (c *Contract) Expiry() time.Duration { return expiry }

// Handshake gives the contract itself.
func (c *Contract) Handshake(*fattorino.Subscription) fattorino.Handshake { return c }

// Limits are five attempts in all, one retry in ten minutes (A5), ten seconds
// for an attempt (A4).
func (c *Contract) Limits() fattorino.HandshakeLimits {
	return fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute, Timeout: 10 * time.Second}
}

// Passed holds the answer to the rule: status 200 exactly, and a body that is
// a JSON object whose member "verification" is the challenge (A11). Other
// members, and any content type, are as good.
func (c *Contract) Passed(challenge string, a *fattorino.Answer) (rate int, err error) {
	if a.Status == 0 {
		return 0, fmt.Errorf("the sink gave no answer (%s): %s", a.Failure, a.Detail)
	}
	if a.Status != http.StatusOK {
		return 0, fmt.Errorf("the sink answered with status %d: 200 is needed", a.Status)
	}
	if a.Truncated || len(a.Body) > challengeBytes {
		return 0, errors.New("the sink's answer was too long, or broke off")
	}
	var members map[string]json.RawMessage // a map, for struct fields match in any case
	if err := json.Unmarshal(a.Body, &members); err != nil {
		return 0, errors.New(`the sink's answer is no JSON object: {"verification":"<challenge>"} is needed`)
	}
	raw, ok := members["verification"]
	if !ok {
		return 0, errors.New(`the sink's answer has no member "verification"`)
	}
	var answered *string
	if err := json.Unmarshal(raw, &answered); err != nil || answered == nil {
		return 0, errors.New(`the member "verification" of the sink's answer is no string`)
	}
	if subtle.ConstantTimeCompare([]byte(*answered), []byte(challenge)) != 1 {
		return 0, errors.New(`the member "verification" of the sink's answer is not the challenge`)
	}
	return 0, nil
}

// Welcome gives the event that tells a newly verified subscription so. It has
// the form of any other and carries no ids (A2).
func (c *Contract) Welcome(s *fattorino.Subscription, now time.Time) *fattorino.Event {
	return &fattorino.Event{
		ID:              randomUUID(),
		Source:          c.options.Issuer,
		Type:            welcomeType,
		Subject:         string(appendSubject(nil, s.Company)),
		Time:            now,
		DataContentType: "application/json",
		Data:            []byte(`{"ids":[]}`),
		Form:            fattorino.JSONData,
		Company:         s.Company,
	}
}
