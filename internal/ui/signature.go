package ui

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

// traces gives the checks of an attempt's signatures as they may be shown.
func (u *UI) traces(sub *fattorino.Subscription, a *fattorino.Attempt) []inspect.Trace {
	list := u.Tracer.Trace(sub, a)
	hide := hideQuery(sub.Sink)
	for _, trace := range list {
		for _, step := range trace.Steps {
			for _, values := range [][]inspect.Value{step.In, step.Out} {
				for i := range values {
					values[i].Text, values[i].Want = hide(values[i].Text), hide(values[i].Want)
				}
			}
		}
	}
	return list
}

// hideQuery gives a function that takes the query of a sink out of a text, for
// it can be secret: as it is, and as it stands in a token.
func hideQuery(sink string) func(string) string {
	at, err := url.Parse(sink)
	if err != nil || at.RawQuery == "" {
		return func(text string) string { return text }
	}
	inToken := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(at.RawQuery) // as tokens are written
	return strings.NewReplacer("?"+at.RawQuery, "?…", "?"+inToken, "?…").Replace
}

// unsigned says why nothing of an attempt is checked: as its contract signs
// nothing, as its subscriber has chosen none, or as the log has kept nothing of
// it. It is the key of a text, without "trace.unsigned.".
func unsigned(sub *fattorino.Subscription, a *fattorino.Attempt) string {
	hidden := slices.ContainsFunc(a.Request.Header, func(h fattorino.Header) bool {
		return strings.EqualFold(h.Name, "Authorization") && h.Value == fattorino.Hidden
	})
	switch {
	case sub.Contract == inspect.Defacto:
		return "defacto"
	case hidden && sub.Options.Signature == "jwt":
		return "lost"
	}
	return "none"
}

// codeFor gives the code that checks the first signature of the newest attempt
// that has any.
func codeFor(sub *fattorino.Subscription, attempts []attemptView) ([]codeSample, error) {
	for _, a := range attempts {
		if len(a.Traces) == 0 {
			continue
		}
		return codeSamples(codeScheme(sub.Contract, a.Traces[0].Scheme))
	}
	return nil, nil
}

// codeScheme gives the name under which the code for a scheme is kept.
func codeScheme(contract, scheme string) string {
	if contract == inspect.FattureInCloud {
		return contract
	}
	return scheme
}
