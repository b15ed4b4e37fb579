package fic

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Content types of notifications. For structured mode the documentation prints
// two; this is the one that CloudEvents demands (HTTP binding 1.0.2, section
// 3.2) and that receivers tell the mode by (A3).
const (
	binaryContentType     = "application/json"
	structuredContentType = "application/cloudevents+json"
)

// challengeField is the header field, or query parameter, that carries a
// challenge to a sink.
const challengeField = "x-fic-verification-challenge"

// A Signer makes the tokens that prove to a receiver who is calling.
type Signer interface {
	// AppendJWT appends a token with the claims to dst: a JWS in compact form,
	// signed with ES256.
	AppendJWT(dst []byte, c Claims) ([]byte, error)
}

// Claims is what a token says. A receiver compares the first four with the
// message that the token came with.
type Claims struct {
	ID        string // jti: the CloudEvents id
	Issuer    string // iss
	Subject   string // sub: the CloudEvents subject
	Audience  string // aud, always a list, with this one member: the sink as registered
	IssuedAt  time.Time
	ExpiresAt time.Time
	AppID     int64 // aid, an integer
}

// told is the text of a notification that header and body are cut from: one
// allocation for all. This runs thousands of times a second.
type told struct{ time, subject, id string }

// tell writes the attributes that differ from one notification to the next.
func (c *Contract) tell(s *fattorino.Subscription, e *fattorino.Event) told {
	var scratch [160]byte
	text := e.Happened().In(c.rome).AppendFormat(scratch[:0], time.RFC3339) // cuts to seconds, as the documentation shows
	endTime := len(text)
	text = appendSubject(text, s.Company)
	endSubject := len(text)
	text = strconv.AppendInt(text, s.ID, 10)
	text = appendUUID(append(text, ':'), e)
	all := string(text)
	return told{time: all[:endTime], subject: all[endTime:endSubject], id: all[endSubject:]}
}

// appendSubject appends the CloudEvents subject, which is the company.
func appendSubject(dst []byte, company int64) []byte {
	return strconv.AppendInt(append(dst, "company:"...), company, 10)
}

// Notification builds the POST that tells the subscription of the event, in
// its format, with a fresh token. An event whose type the catalog does not
// know, and one whose ids are not integers, cannot be told: Invalid.
func (c *Contract) Notification(s *fattorino.Subscription, e *fattorino.Event, now time.Time) (*fattorino.Request, error) {
	typ, ok := c.typeOf(e)
	if !ok {
		return nil, fattorino.Errorf(fattorino.Invalid, "the type %s has no name in the vocabulary of Fatture in Cloud", e.Type)
	}
	t := c.tell(s, e)
	body, err := c.appendBody(s.Format, typ, t, e.Entity.IDs)
	if err != nil {
		return nil, err
	}
	bearer, err := c.bearer(s, t.id, t.subject, now)
	if err != nil {
		return nil, err
	}
	header := make([]fattorino.Header, 0, 10)
	header = c.appendCommon(header, bearer)
	if s.Format == fattorino.Structured {
		header = append(header, fattorino.Header{Name: "Content-Type", Value: structuredContentType})
	} else {
		header = append(
			header,
			fattorino.Header{Name: "Content-Type", Value: binaryContentType},
			fattorino.Header{Name: "ce-type", Value: typ},
			fattorino.Header{Name: "ce-time", Value: t.time},
			fattorino.Header{Name: "ce-subject", Value: t.subject},
			fattorino.Header{Name: "ce-specversion", Value: "1.0"},
			fattorino.Header{Name: "ce-source", Value: c.options.Issuer},
			fattorino.Header{Name: "ce-id", Value: t.id},
		)
	}
	return &fattorino.Request{Method: http.MethodPost, URL: s.Sink, Header: header, Body: body}, nil
}

// typeOf gives the name under which the event is told.
func (c *Contract) typeOf(e *fattorino.Event) (string, bool) {
	if e.Type == welcomeType && e.Private() {
		return welcomeType, true
	}
	return c.catalog.TypeOf(e)
}

// appendBody writes the body. In binary mode the data is an object with a
// member "data" of its own; in structured mode there is one "data" only.
// Nothing but the source can need escaping, and that is escaped once, in New.
func (c *Contract) appendBody(f fattorino.Format, typ string, t told, ids []string) ([]byte, error) {
	if f != fattorino.Structured {
		body := make([]byte, 0, 24+20*len(ids))
		return appendIDs(append(body, `{"data":`...), ids)
	}
	body := make([]byte, 0, 192+len(t.id)+len(c.source)+len(typ)+len(t.subject)+len(t.time)+20*len(ids))
	body = append(append(body, `{"id":"`...), t.id...)
	body = append(append(body, `","source":`...), c.source...)
	body = append(append(body, `,"specversion":"1.0","type":"`...), typ...)
	body = append(append(body, `","subject":"`...), t.subject...)
	body = append(append(body, `","time":"`...), t.time...)
	return appendIDs(append(body, `","datacontenttype":"application/json","data":`...), ids)
}

// appendIDs appends {"ids":[…]} and the brace that closes the body.
func appendIDs(body []byte, ids []string) ([]byte, error) {
	body = append(body, `{"ids":[`...)
	for i, id := range ids {
		if !isInteger(id) {
			return nil, fattorino.Errorf(fattorino.Invalid, "the resource id %q is not an integer, and Fatture in Cloud knows no others", id)
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, id...)
	}
	return append(body, "]}}"...), nil
}

// isInteger tells whether s is a JSON integer that fits in 64 bits.
func isInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || (digits[0] == '0' && s != "0") {
		return false
	}
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// Challenge builds the GET that asks a sink to prove itself. Its token is like
// that of a notification, with an id of its own and the sink as registered for
// audience, also where the challenge travels in the query (A12).
func (c *Contract) Challenge(s *fattorino.Subscription, challenge string, now time.Time) (*fattorino.Request, error) {
	bearer, err := c.bearer(s, randomUUID(), string(appendSubject(nil, s.Company)), now)
	if err != nil {
		return nil, err
	}
	r := &fattorino.Request{Method: http.MethodGet, URL: s.Sink, Header: c.appendCommon(nil, bearer)}
	if s.Handshake.Method == fattorino.ByQuery {
		r.URL = fattorino.WithQuery(s.Sink, challengeField+"="+challenge)
	} else {
		r.Header = append(r.Header, fattorino.Header{Name: challengeField, Value: challenge})
	}
	return r, nil
}

// appendCommon appends the header fields of every request to a sink.
func (c *Contract) appendCommon(header []fattorino.Header, bearer string) []fattorino.Header {
	header = append(
		header,
		fattorino.Header{Name: "User-Agent", Value: c.options.UserAgent},
		fattorino.Header{Name: "Authorization", Value: bearer},
	)
	if c.options.ConnectionClose {
		header = append(header, fattorino.Header{Name: "Connection", Value: "close"})
	}
	return header
}

// bearer mints the token of one attempt.
func (c *Contract) bearer(s *fattorino.Subscription, id, subject string, now time.Time) (string, error) {
	token, err := c.options.Signer.AppendJWT(append(make([]byte, 0, 1024), "Bearer "...), Claims{
		ID: id, Issuer: c.options.Issuer, Subject: subject, Audience: s.Sink,
		IssuedAt: now, ExpiresAt: now.Add(tokenLife), AppID: s.App,
	})
	if err != nil {
		return "", err
	}
	return string(token), nil
}
