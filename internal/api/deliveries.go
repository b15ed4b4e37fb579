package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// ListDeliveries lists the deliveries of a company, newest first.
func (s *server) ListDeliveries(w http.ResponseWriter, r *http.Request, company CompanyID, params ListDeliveriesParams) {
	s.do(w, r, func() error {
		q, err := deliveryQuery(params)
		if err != nil {
			return err
		}
		limit := q.Limit
		q.Limit++ // one more tells whether there is a next page
		deliveries, err := s.Service.Deliveries(r.Context(), callerOf(r), company, q)
		if err != nil {
			return err
		}
		deliveries, more := cut(deliveries, limit)
		page := DeliveryPage{Deliveries: make([]Delivery, 0, len(deliveries))}
		for _, d := range deliveries {
			page.Deliveries = append(page.Deliveries, showDelivery(d))
		}
		if more {
			page.Next = strconv.FormatInt(deliveries[limit-1].ID, 10)
			linkNext(w, r, "cursor", page.Next)
		}
		return httpjson.Write(w, http.StatusOK, page)
	})
}

// deliveryQuery reads the filters.
func deliveryQuery(params ListDeliveriesParams) (q fattorino.DeliveryQuery, err error) {
	q = fattorino.DeliveryQuery{Types: params.Type, Entity: params.Entity, From: params.From, To: params.To}
	if q.Limit, err = pageLimit(params.Limit); err != nil {
		return q, err
	}
	for _, list := range params.Subscription {
		for text := range strings.SplitSeq(list, ",") {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil || id < 1 {
				return q, badParameter("subscription", "subscription %q is not a positive integer", text)
			}
			q.Subscriptions = append(q.Subscriptions, id)
		}
	}
	if params.State != "" {
		state, ok := fattorino.ParseDeliveryState(string(params.State))
		if !ok {
			return q, badParameter("state", "state %q is none of pending, delivered, discarded, waiting", params.State)
		}
		q.State = &state
	}
	if params.Entity != "" {
		if entity, err := fattorino.ParseEntity(params.Entity); err != nil {
			return q, badParameter("entity", "%v", err)
		} else if len(entity.IDs) != 1 {
			return q, badParameter("entity", "entity %q names more than one id", params.Entity)
		}
	}
	if params.Cursor != "" {
		if q.Before, err = strconv.ParseInt(params.Cursor, 10, 64); err != nil || q.Before < 1 {
			return q, badParameter("cursor", "the cursor is none that a page gave as next")
		}
	}
	return q, nil
}

// GetDelivery shows one delivery with every attempt.
func (s *server) GetDelivery(w http.ResponseWriter, r *http.Request, company CompanyID, delivery DeliveryID) {
	s.do(w, r, func() error {
		d, sub, attempts, err := s.Service.Delivery(r.Context(), callerOf(r), company, delivery)
		if err != nil {
			return err
		}
		detail := DeliveryDetail{
			Delivery: showDelivery(d),
			Subscription: SubscriptionReference{
				ID: sub.ID, Contract: sub.Contract, State: string(sub.State), Sink: shownSink(sub.Format, sub.Sink),
			},
			Attempts: make([]Attempt, 0, len(attempts)),
		}
		for _, a := range attempts {
			detail.Attempts = append(detail.Attempts, showAttempt(sub.Format, a))
		}
		return httpjson.Write(w, http.StatusOK, detail)
	})
}

// ResendDelivery sets a delivery on its way again.
func (s *server) ResendDelivery(w http.ResponseWriter, r *http.Request, company CompanyID, delivery DeliveryID) {
	s.do(w, r, func() error {
		d, err := s.Service.Resend(r.Context(), callerOf(r), company, delivery)
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusAccepted, showDelivery(d))
	})
}
