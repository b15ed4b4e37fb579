package fic

import (
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// subscription is a WebhooksSubscription as it is answered: the fields that
// the documentation shows, in its order. The verification method is not among
// them, for it is not kept.
type subscription struct {
	ID       string        `json:"id"`
	Sink     string        `json:"sink"`
	Verified bool          `json:"verified"`
	Types    []string      `json:"types"` // never null, never a group
	Config   configuration `json:"config"`
}

type configuration struct {
	Mapping fattorino.Format `json:"mapping"`
}

// The bodies of answers. Warnings are null where there are none; a single
// string there, as the OpenAPI examples have it, breaks the Go SDK.
type (
	oneAnswer struct {
		Data subscription `json:"data"`
	}
	listAnswer struct {
		Data []subscription `json:"data"`
	}
	warnedAnswer struct {
		Data     subscription `json:"data"`
		Warnings []string     `json:"warnings"`
	}
)

// shape gives a subscription in the words that the client knows.
func shape(s *fattorino.Subscription, v vocabulary) subscription {
	return subscription{
		ID:       idPrefix + strconv.FormatInt(s.ID, 10),
		Sink:     s.Sink,
		Verified: s.State == fattorino.Active,
		Types:    v.show(s.Types),
		Config:   configuration{Mapping: s.Format},
	}
}

// idPrefix begins the public id of a subscription; its number follows.
const idPrefix = "SUB"

// parseID reads a subscription's id, exactly as it was given out.
func parseID(s string) (int64, bool) {
	number, ok := strings.CutPrefix(s, idPrefix)
	if !ok {
		return 0, false
	}
	return parseNumber(number)
}

// parseNumber reads a positive integer written the one usual way.
func parseNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == s
}
