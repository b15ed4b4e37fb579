package api

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// utc gives the form in which times are shown: to the microsecond, as they are
// kept. The zero time stays zero and is left out.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func showDelivery(d *fattorino.Delivery) Delivery {
	return Delivery{
		ID: d.ID, Subscription: d.Subscription,
		State: DeliveryState(d.State.String()), Reason: d.Reason,
		Attempts: d.Attempts, Status: d.Status,
		DueAt: utc(d.DueAt), FirstErrorAt: utc(d.FirstErrorAt), SettledAt: utc(d.SettledAt),
		Event: EventReference{
			ID: d.Event.ID, Source: d.Event.Source, Type: d.Event.Type, Common: d.Event.Common,
			Entity: d.Event.Entity.String(), Seq: d.Event.Seq, AcceptedAt: utc(d.Event.Accepted),
		},
	}
}

// showAttempt gives an attempt for a subscription in the format.
func showAttempt(f fattorino.Format, a *fattorino.Attempt) Attempt {
	shown := Attempt{
		Number: a.Number, StartedAt: utc(a.StartedAt), BatchOf: a.BatchOf,
		Request: SentRequest{
			Method: a.Request.Method, URL: shownSink(f, a.Request.URL), Headers: showHeader(a.Request.Header),
		},
		Answer: Answer{
			Status: a.Answer.Status, Headers: showHeader(a.Answer.Header), Truncated: a.Answer.Truncated,
			Failure: a.Answer.Failure, Detail: a.Answer.Detail,
		},
		Timing: showTiming(a.Answer.Timing),
	}
	shown.Request.Body, shown.Request.BodyBase64 = showBody(a.Request.Body, false)
	shown.Answer.Body, shown.Answer.BodyBase64 = showBody(a.Answer.Body, a.Answer.Truncated)
	return shown
}

func showHeader(header []fattorino.Header) []HeaderLine {
	lines := make([]HeaderLine, 0, len(header))
	for _, h := range header {
		lines = append(lines, HeaderLine{Name: h.Name, Value: h.Value})
	}
	return lines
}

// showBody gives a body as text where it is text, else as it is. The character
// that a truncated body was cut in is no reason to doubt the text before it.
func showBody(body []byte, truncated bool) (text string, raw []byte) {
	if truncated {
		for cut := 1; cut < utf8.UTFMax && cut <= len(body); cut++ {
			if tail := body[len(body)-cut:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					body = body[:len(body)-cut]
				}
				break
			}
		}
	}
	if utf8.Valid(body) {
		return string(body), nil
	}
	return "", body
}

func showTiming(t fattorino.Timing) Timing {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return Timing{DNSMs: ms(t.DNS), ConnectMs: ms(t.Connect), TLSMs: ms(t.TLS), FirstByteMs: ms(t.FirstByte), TotalMs: ms(t.Total)}
}

// shownSink gives a sink's URL, in the format, to whoever may see that it is
// there: without the parts that can hold secrets. Where a message to people goes,
// whoever knows the path can write.
func shownSink(f fattorino.Format, sink string) string {
	shown := withoutSecrets(sink)
	scheme, rest, ok := strings.Cut(shown, "://")
	if !ok || !slices.Contains([]fattorino.Format{"slack", "teams", "discord"}, f) {
		return shown
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return scheme + "://" + rest + "/…"
}

// withoutSecrets gives a sink's URL without the parts that can hold secrets:
// user and password, query, fragment.
func withoutSecrets(sink string) string {
	end := strings.IndexAny(sink, "?#")
	tail := ""
	if end < 0 {
		end = len(sink)
	} else {
		tail = sink[end:end+1] + "…"
	}
	scheme, rest, ok := strings.Cut(sink[:end], "://")
	if !ok {
		return sink[:end] + tail
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = "…" + authority[at:]
	}
	if hasPath {
		path = "/" + path
	}
	return scheme + "://" + authority + path + tail
}

func showCompany(c *fattorino.Company) Company {
	return Company{ID: c.ID, Name: c.Name, LastSeq: c.LastSeq, CreatedAt: utc(c.CreatedAt)}
}

func showApp(a *fattorino.App) App {
	return App{ID: a.ID, Name: a.Name, CreatedAt: utc(a.CreatedAt)}
}

func showToken(t *fattorino.Token) Token {
	return Token{
		ID: t.ID, Kind: t.Kind, AppID: t.App, Companies: orEmpty(t.Companies), Scopes: orEmpty(t.Scopes), Hint: t.Hint,
		CreatedAt: utc(t.CreatedAt), ExpiresAt: utc(t.ExpiresAt), RevokedAt: utc(t.RevokedAt),
	}
}

func showCatalog(c *fattorino.Catalog) Catalog {
	shown := Catalog{Contract: c.Contract, Types: make([]EventType, 0, len(c.Types)), Groups: make([]TypeGroup, 0, len(c.Groups))}
	for _, t := range c.Types {
		shown.Types = append(shown.Types, showEventType(t))
	}
	for _, g := range c.Groups {
		shown.Groups = append(shown.Groups, TypeGroup{Name: g.Name, Types: orEmpty(g.Types)})
	}
	return shown
}

// orEmpty gives a list that is [] in JSON where there is nothing, never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
