package native

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The handshakes that a subscriber can choose, as [fattorino.Options] has them;
// empty stands for the first.
const (
	HandshakeChallenge = "challenge" // the sink repeats a random text
	HandshakeOptions   = "options"   // the abuse protection of CloudEvents HTTP Web Hooks 1.0.2, section 4
	HandshakeNone      = "none"      // the sink is taken at its owner's word, where the operator allows it
)

// challengeField is the header field, or query parameter, that carries a
// challenge to a sink.
const challengeField = "webhook-challenge"

// challengeBytes is the most that is looked at of the answer to a challenge.
const challengeBytes = 64 << 10

// callbackPath is where a sink gives its consent later, below the base URL:
// the subscription's number, the round and the key follow.
const callbackPath = "/v1/handshakes/"

func chosenHandshake(s *fattorino.Subscription) string {
	if s.Options.Handshake == "" {
		return HandshakeChallenge
	}
	return s.Options.Handshake
}

// Handshake gives the one that the subscription chose. Where the operator does
// not allow "none", or no longer, it is a challenge. The chat formats have none,
// as long as the sink is the tool's own or the operator allows it.
func (c *Contract) Handshake(s *fattorino.Subscription) fattorino.Handshake {
	switch chosen := chosenHandshake(s); {
	case c.needsNoProof(s.Format, s.Sink):
		return nil
	case chosen == HandshakeOptions && c.options.Origin != "":
		return &consent{limits{}, c, s.Options.Rate}
	case chosen == HandshakeNone && c.options.AllowNoHandshake:
		return nil
	}
	return &challenge{limits{}, c}
}

// limits are the same for both handshakes.
type limits struct{}

// Limits are ten attempts in all, one retry in a minute, ten seconds for an
// attempt.
func (limits) Limits() fattorino.HandshakeLimits {
	return fattorino.HandshakeLimits{Attempts: 10, Every: time.Minute, Timeout: 10 * time.Second}
}

// common gives the header fields of every request that asks a sink.
func (c *Contract) common(s *fattorino.Subscription) ([]fattorino.Header, error) {
	custom, err := c.options.Keychain.OpenHeaders(s.Options.Headers)
	if err != nil {
		return nil, err
	}
	return append([]fattorino.Header{{Name: "User-Agent", Value: c.options.UserAgent}}, custom...), nil
}

// challenge is the handshake by a random text.
type challenge struct {
	limits
	*Contract
}

// Challenge builds a GET that carries the text in the header field
// webhook-challenge, or in the query parameter of that name.
func (h *challenge) Challenge(s *fattorino.Subscription, text string, _ time.Time) (*fattorino.Request, error) {
	header, err := h.common(s)
	if err != nil {
		return nil, err
	}
	r := &fattorino.Request{Method: http.MethodGet, URL: s.Sink, Header: header}
	if s.Handshake.Method == fattorino.ByQuery {
		r.URL = fattorino.WithQuery(s.Sink, challengeField+"="+text)
	} else {
		r.Header = append(r.Header, fattorino.Header{Name: challengeField, Value: text})
	}
	return r, nil
}

// Passed wants status 200 exactly, and for body either the text itself, white
// space around it aside, or a JSON object whose member "challenge" is the text.
// Other members, and any content type, are as good.
func (h *challenge) Passed(text string, a *fattorino.Answer) (rate int, err error) {
	switch {
	case a.Status == 0:
		return 0, noAnswer(a)
	case a.Status != http.StatusOK:
		return 0, fmt.Errorf("the sink answered with status %d: 200 is needed", a.Status)
	case a.Truncated || len(a.Body) > challengeBytes:
		return 0, errors.New("the sink's answer was too long, or broke off")
	}
	answered := strings.TrimSpace(string(a.Body))
	var members map[string]json.RawMessage // a map, for struct fields match in any case
	if json.Unmarshal(a.Body, &members) == nil {
		answered = ""
		if json.Unmarshal(members["challenge"], &answered) != nil {
			return 0, errors.New(`the sink's answer has no member "challenge" that is a string`)
		}
	}
	if subtle.ConstantTimeCompare([]byte(answered), []byte(text)) != 1 {
		return 0, errors.New(`the sink's answer is not the challenge: the text itself is needed, or {"challenge":"<text>"}`)
	}
	return 0, nil
}

func noAnswer(a *fattorino.Answer) error {
	return fmt.Errorf("the sink gave no answer (%s): %s", a.Failure, a.Detail)
}

// consent is the handshake by CloudEvents' abuse protection.
type consent struct {
	limits
	*Contract
	rate int // attempts in a minute that are asked for; 0 = none is named
}

// Challenge builds the OPTIONS request (AP-1 to AP-4): with the origin, with
// the rate where the subscriber chose one, and with a URL for a later consent
// where the base URL is safe to call. The challenge's text is not needed: the
// callback has a key of its own.
func (h *consent) Challenge(s *fattorino.Subscription, _ string, _ time.Time) (*fattorino.Request, error) {
	header, err := h.common(s)
	if err != nil {
		return nil, err
	}
	header = append(header, fattorino.Header{Name: fieldRequestOrigin, Value: h.options.Origin})
	if h.rate > 0 {
		header = append(header, fattorino.Header{Name: "WebHook-Request-Rate", Value: strconv.Itoa(h.rate)})
	}
	if h.callsBack() {
		address, err := h.callback(s.ID, s.Handshake.Round)
		if err != nil {
			return nil, err
		}
		header = append(header, fattorino.Header{Name: "WebHook-Request-Callback", Value: address, Secret: true})
	}
	return &fattorino.Request{Method: http.MethodOptions, URL: s.Sink, Header: header}, nil
}

// callsBack tells whether sinks are offered to consent later, which they are to
// do by https (AP-3).
func (c *Contract) callsBack() bool {
	u, err := url.Parse(c.options.BaseURL)
	return err == nil && c.options.BaseURL != "" && isSafe(u)
}

// callback gives the URL by which the sink can consent to a round.
func (c *Contract) callback(subscription, round int64) (string, error) {
	key, err := c.options.Keychain.NewTicket(callbackPurpose(subscription, round))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s%d/%d/%s", c.options.BaseURL, callbackPath, subscription, round, key), nil
}

// CallbackKeyValid tells whether a callback's key is one that the sink of this
// subscription was given in this round.
func (c *Contract) CallbackKeyValid(subscription, round int64, key string) bool {
	return c.options.Keychain.TicketValid(key, callbackPurpose(subscription, round))
}

func callbackPurpose(subscription, round int64) string {
	return fmt.Sprintf("callback/%d/%d", subscription, round)
}

// Passed looks for the sink's consent (AP-5): WebHook-Allowed-Origin must name
// our origin, or be "*". The status proves nothing (AP-6), except that a
// redirect is no answer.
//
// Without that field a sink that was offered to consent later, and answers 2xx,
// is waited for (AP-7): the error is [fattorino.PendingConsentError].
func (h *consent) Passed(_ string, a *fattorino.Answer) (rate int, err error) {
	origins := fieldValues(a.Header, "WebHook-Allowed-Origin")
	switch {
	case a.Status == 0:
		return 0, noAnswer(a)
	case a.Status/100 == 3:
		return 0, fmt.Errorf("the sink answered with the redirect %d, which is not followed", a.Status)
	case len(origins) == 0 && a.Status/100 == 2 && h.callsBack():
		return 0, fattorino.PendingConsentError{}
	case len(origins) == 0:
		return 0, fmt.Errorf("the sink answered OPTIONS with status %d and without the field WebHook-Allowed-Origin", a.Status)
	case len(origins) > 1:
		return 0, errors.New("the sink's answer has several fields WebHook-Allowed-Origin")
	case origins[0] != "*" && !strings.EqualFold(origins[0], h.options.Origin): // DNS knows no case
		return 0, fmt.Errorf("the sink does not allow the origin %s", h.options.Origin)
	}
	rates := fieldValues(a.Header, "WebHook-Allowed-Rate")
	if len(rates) > 1 {
		return 0, errors.New("the sink's answer has several fields WebHook-Allowed-Rate")
	}
	if len(rates) == 0 { // as of a callback without it (AP-7)
		return h.rate, nil
	}
	return allowedRate(rates[0])
}

// allowedRate reads the value of WebHook-Allowed-Rate: a whole number of
// attempts in a minute, from 1 to 999,999,999, or "*" for any number (AP-9),
// which gives 0. Any other value is no consent: what was meant by it cannot be
// known.
func allowedRate(value string) (rate int, err error) {
	if value == "*" {
		return 0, nil
	}
	rate, err = strconv.Atoi(value)
	if err != nil || strconv.Itoa(rate) != value || rate < 1 || rate > 999_999_999 {
		return 0, errors.New(`the sink's WebHook-Allowed-Rate is neither a whole number of attempts in a minute nor "*"`)
	}
	return rate, nil
}
