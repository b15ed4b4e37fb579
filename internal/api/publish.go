package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// PublishEvents takes events in: the hot path.
func (s *server) PublishEvents(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		contentType := r.Header.Get("Content-Type")
		body, err := httpjson.ReadBody(w, r, s.bodyLimit(contentType))
		if err != nil {
			return err
		}
		events, batch, err := cloudevents.Decode(contentType, r.Header, body)
		if err != nil {
			return err
		}
		if batch {
			if err := s.checkBatch(events); err != nil {
				return err
			}
		}
		receipts, err := s.Service.Publish(r.Context(), callerOf(r), events)
		if err != nil {
			return err
		}
		writeReceipts(w, receipts)
		return nil
	})
}

// bodyLimit gives how large a body may be, by whether it holds a batch
// (CloudEvents HTTP binding 1.0.2, section 3).
func (s *server) bodyLimit(contentType string) int64 {
	const batch = "application/cloudevents-batch"
	if len(contentType) >= len(batch) && strings.EqualFold(contentType[:len(batch)], batch) {
		return s.Limits.BatchBytes
	}
	return s.Limits.EventBytes
}

// checkBatch holds a batch to the limits.
func (s *server) checkBatch(events []*fattorino.Event) error {
	if len(events) > s.Limits.BatchEvents {
		return &fattorino.Error{
			Kind: fattorino.TooLarge,
			Msg:  fmt.Sprintf("the batch has %d events, and at most %d are taken at a time", len(events), s.Limits.BatchEvents),
			Fix:  "send the events in several batches",
		}
	}
	for i, e := range events {
		if int64(len(e.Data)) > s.Limits.EventBytes {
			msg := fmt.Sprintf("the data has more than %d bytes", s.Limits.EventBytes)
			return &fattorino.Error{
				Kind: fattorino.TooLarge, Msg: "an event of the batch is too large: nothing was stored",
				Faults: []fattorino.Fault{{Field: fmt.Sprintf("events.%d.data", i), Msg: msg}},
			}
		}
	}
	return nil
}

// writeReceipts answers 202 with the receipts; by hand, as it is on the hot
// path.
func writeReceipts(w http.ResponseWriter, receipts []fattorino.Receipt) {
	body := make([]byte, 0, 16+96*len(receipts))
	body = append(body, `{"events":[`...)
	for i, receipt := range receipts {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"id":`...)
		body = cloudevents.AppendJSONString(body, receipt.ID)
		body = append(body, `,"company":`...)
		body = strconv.AppendInt(body, receipt.Company, 10)
		body = append(body, `,"seq":`...)
		body = strconv.AppendInt(body, receipt.Seq, 10)
		body = append(body, '}')
	}
	body = append(body, ']')
	body = appendWarnings(body, receipts)
	body = append(body, "}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(body) // a caller that has gone away is no error of ours
}

// appendWarnings adds what looks wrong with the events, each thing once.
func appendWarnings(body []byte, receipts []fattorino.Receipt) []byte {
	var warnings []string
	for _, receipt := range receipts {
		if receipt.Warning != "" && !slices.Contains(warnings, receipt.Warning) {
			warnings = append(warnings, receipt.Warning)
		}
	}
	for i, warning := range warnings {
		if i == 0 {
			body = append(body, `,"warnings":[`...)
		} else {
			body = append(body, ',')
		}
		body = cloudevents.AppendJSONString(body, warning)
	}
	if len(warnings) > 0 {
		body = append(body, ']')
	}
	return body
}
