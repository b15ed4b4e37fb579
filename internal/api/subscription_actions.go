package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
	"github.com/fattorino-dev/fattorino/internal/samples"
)

// The overlap of secrets, as openapi.yaml states it.
const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 7 * 24 * time.Hour
)

// VerifySubscription has the sink asked again.
func (s *server) VerifySubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID) {
	s.do(w, r, func() error {
		body := VerifyRequest{Method: fattorino.ByHeader}
		if err := decodeOptional(w, r, &body); err != nil {
			return err
		}
		if body.Method != fattorino.ByHeader && body.Method != fattorino.ByQuery {
			return fattorino.InvalidField("method", "%q is none of header, query", body.Method)
		}
		sub, _, err := s.changeable(r, company, subscription)
		if err != nil {
			return err
		}
		sub, err = s.Service.VerifySubscription(r.Context(), callerOf(r), company, sub.Contract, sub.ID, body.Method)
		if err != nil {
			return err
		}
		return s.writeSubscription(w, sub, nil)
	})
}

// decodeOptional reads a body that may be left out.
func decodeOptional(w http.ResponseWriter, r *http.Request, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	return httpjson.Decode(w, r, maxBody, v)
}

// EnableSubscription has a disabled subscription sent to again.
func (s *server) EnableSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID, params EnableSubscriptionParams) {
	s.do(w, r, func() error { return s.setEnabled(w, r, company, subscription, params.IfMatch, true) })
}

// DisableSubscription has nothing sent to a subscription until it is enabled.
func (s *server) DisableSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID, params DisableSubscriptionParams) {
	s.do(w, r, func() error { return s.setEnabled(w, r, company, subscription, params.IfMatch, false) })
}

func (s *server) setEnabled(w http.ResponseWriter, r *http.Request, company, id int64, ifMatch string, enabled bool) error {
	sub, _, err := s.change(r, company, id, ifMatch, func(sub *fattorino.Subscription, _ Chooser) (c fattorino.SubscriptionChange, err error) {
		if !sub.State.Hears() {
			return c, &fattorino.Error{Kind: fattorino.Conflict, Msg: "the subscription is not verified: nothing is sent to it", Fix: "verify it first"}
		}
		c.Enabled = &enabled
		return c, nil
	})
	if err != nil {
		return err
	}
	return s.writeSubscription(w, sub, nil)
}

// RestoreSubscription takes a deletion back.
func (s *server) RestoreSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID) {
	s.do(w, r, func() error {
		sub, err := s.Service.RestoreSubscription(r.Context(), callerOf(r), company, subscription)
		if err != nil {
			return err
		}
		return s.writeSubscription(w, sub, nil)
	})
}

// TestSubscription sends a sample event.
func (s *server) TestSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID) {
	s.do(w, r, func() error {
		var body TestRequest
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		sub, _, err := s.changeable(r, company, subscription)
		if err != nil {
			return err
		}
		if !s.hears(sub, body.Type) {
			return fattorino.InvalidField("type", "%q is no type that the subscription hears, nor one of the contract %s", body.Type, sub.Contract)
		}
		common, _ := s.Service.Catalogs().Common(body.Type)
		d, err := s.Service.SendTest(r.Context(), callerOf(r), company, sub.Contract, sub.ID, samples.Event(company, body.Type, common, time.Now()))
		if err != nil {
			return err
		}
		href := "/v1/companies/" + strconv.FormatInt(company, 10) + "/deliveries/" + strconv.FormatInt(d.ID, 10)
		w.Header().Set("Location", href)
		return httpjson.Write(w, http.StatusAccepted, TestDelivery{Delivery: d.ID, Href: href})
	})
}

// RotateSecret makes a new signing secret and shows it.
func (s *server) RotateSecret(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID, params RotateSecretParams) {
	s.do(w, r, func() error {
		var body RotateRequest
		if err := decodeOptional(w, r, &body); err != nil {
			return err
		}
		overlap := defaultOverlap
		if n := body.OverlapSeconds; n != nil {
			if *n < 0 || int64(*n) > int64(maxOverlap/time.Second) {
				return fattorino.InvalidField("overlap_seconds", "%d is not from 0 to %d", *n, maxOverlap/time.Second)
			}
			overlap = time.Duration(*n) * time.Second
		}
		var shown string
		sub, _, err := s.change(r, company, subscription, params.IfMatch, func(sub *fattorino.Subscription, rules Chooser) (c fattorino.SubscriptionChange, err error) {
			var secrets []fattorino.Secret
			if secrets, shown, err = newSecret(rules, sub.Options.Signature); err != nil {
				return c, err
			}
			if len(secrets) == 0 {
				return c, &fattorino.Error{
					Kind: fattorino.Conflict, Msg: "notifications of this subscription are signed with no secret of its own",
					Fix: "see its signature",
				}
			}
			c.Secret, c.Overlap = &secrets[0], overlap
			return c, nil
		})
		if err != nil {
			return err
		}
		return s.writeSecret(w, http.StatusOK, sub, shown, nil)
	})
}

// GrantHandshake takes a sink's consent that comes by a GET request.
func (s *server) GrantHandshake(w http.ResponseWriter, r *http.Request, subscription SubscriptionID, round int64, key string, params GrantHandshakeParams) {
	s.do(w, r, func() error { return s.grant(w, r, subscription, round, key, params.WebHookAllowedRate) })
}

// GrantHandshakeByPost takes a sink's consent that comes by a POST request.
func (s *server) GrantHandshakeByPost(w http.ResponseWriter, r *http.Request, subscription SubscriptionID, round int64, key string, params GrantHandshakeByPostParams) {
	s.do(w, r, func() error { return s.grant(w, r, subscription, round, key, params.WebHookAllowedRate) })
}

// grant takes consent from whoever knows the key of the round. A wrong key is
// told from a subscription that never was by nothing.
func (s *server) grant(w http.ResponseWriter, r *http.Request, subscription, round int64, key, allowed string) error {
	w.Header().Set("Cache-Control", "no-store")
	unknown := &fattorino.Error{Kind: fattorino.NotFound, Msg: "there is no such handshake", Fix: "call the URL exactly as it was given"}
	if s.Callbacks == nil || !s.Callbacks.CallbackKeyValid(subscription, round, key) {
		return unknown
	}
	rate, err := allowedRate(allowed)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead { // which asks, and says nothing
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := s.Service.GrantByCallback(r.Context(), subscription, round, rate); err != nil {
		if fattorino.KindOf(err) == fattorino.NotFound {
			return unknown
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// allowedRate reads WebHook-Allowed-Rate (CloudEvents HTTP Web Hooks 1.0.2,
// section 4.2.2): 0 for any number, and where the sink leaves it to us.
func allowedRate(text string) (int, error) {
	if text == "" || text == "*" {
		return 0, nil
	}
	rate, err := strconv.Atoi(text)
	if err != nil || rate < 1 || rate > 999_999_999 || text[0] == '+' || text[0] == '0' {
		return 0, badParameter("WebHook-Allowed-Rate", "WebHook-Allowed-Rate is neither * nor a positive integer")
	}
	return rate, nil
}
