package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxWait bounds how long a reader is kept waiting for an event.
const maxWait = 30 * time.Second

// ListEvents gives a company's events after a seq.
func (s *server) ListEvents(w http.ResponseWriter, r *http.Request, company CompanyID, params ListEventsParams) {
	s.do(w, r, func() error {
		limit, err := pageLimit(params.Limit)
		if err != nil {
			return err
		}
		if err := pageAfter(params.After); err != nil {
			return err
		}
		wait, err := parseWait(params.Wait)
		if err != nil {
			return err
		}
		q := fattorino.EventQuery{Company: company, After: params.After, Types: params.Types, Limit: limit}
		events, next, err := s.Service.Pull(r.Context(), callerOf(r), q, wait)
		if err != nil {
			return err
		}
		return writeEvents(w, events, next, params.Fields)
	})
}

// parseWait reads seconds, or a number with the unit s or ms.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if last := text[len(text)-1]; last >= '0' && last <= '9' {
		text += "s"
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, badParameter("wait", "wait must be from 0 to %d seconds, as 10, 1500ms or 30s", int(maxWait.Seconds()))
	}
	return wait, nil
}

// writeEvents answers with a page of events.
func writeEvents(w http.ResponseWriter, events []*fattorino.Event, next int64, fields []string) error {
	size := 64
	for _, e := range events {
		size += e.Size()
	}
	body := append(make([]byte, 0, size), `{"events":[`...)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = appendEvent(body, e, fields); err != nil {
			return err
		}
	}
	body = append(body, `],"next":`...)
	body = strconv.AppendInt(body, next, 10)
	body = append(body, "}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a caller that has gone away is no error of ours
	return nil
}

// appendEvent appends the event in the JSON format, seq before its members;
// with fields, these alone, and id.
func appendEvent(dst []byte, e *fattorino.Event, fields []string) ([]byte, error) {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendInt(dst, e.Seq, 10)
	dst = append(dst, ',')
	if len(fields) > 0 {
		return appendFields(dst, e, fields)
	}
	brace := len(dst)
	dst = cloudevents.AppendStructured(dst, withoutSeq(e))
	return slices.Delete(dst, brace, brace+1), nil // ours is there already
}

// appendFields appends id and the named members of the event, in the order
// named. What the event does not have is left out.
func appendFields(dst []byte, e *fattorino.Event, fields []string) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(cloudevents.AppendStructured(nil, withoutSeq(e)), &members); err != nil {
		return nil, err
	}
	dst = append(dst, `"id":`...)
	dst = append(dst, members["id"]...)
	delete(members, "id")
	add := func(name string) {
		value, has := members[name]
		if !has {
			return
		}
		dst = append(dst, ',')
		dst = cloudevents.AppendJSONString(dst, name)
		dst = append(dst, ':')
		dst = append(dst, value...)
		delete(members, name) // once, however often it is named
	}
	for _, name := range fields {
		add(name)
		if name == "data" {
			add("data_base64")
		}
	}
	return append(dst, '}'), nil
}

// withoutSeq gives the event without an extension attribute that its producer
// called seq, in whose place ours stands.
func withoutSeq(e *fattorino.Event) *fattorino.Event {
	if _, clash := e.Extensions["seq"]; !clash {
		return e
	}
	c := *e
	c.Extensions = maps.Clone(e.Extensions)
	delete(c.Extensions, "seq")
	return &c
}
