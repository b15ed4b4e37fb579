package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxSubscription bounds the body of a subscription: filters may have 64 KiB.
const maxSubscription = 128 << 10

// ListSubscriptions lists the caller's subscriptions to a company by id.
func (s *server) ListSubscriptions(w http.ResponseWriter, r *http.Request, company CompanyID, params ListSubscriptionsParams) {
	s.do(w, r, func() error {
		limit, err := pageLimit(params.Limit)
		if err != nil {
			return err
		}
		if err := pageAfter(params.After); err != nil {
			return err
		}
		all, err := s.Service.Subscriptions(r.Context(), callerOf(r), company, params.Contract)
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b *fattorino.Subscription) int { return cmp.Compare(a.ID, b.ID) })
		rest := slices.IndexFunc(all, func(sub *fattorino.Subscription) bool { return sub.ID > params.After })
		if rest < 0 {
			rest = len(all)
		}
		return s.writeSubscriptions(w, r, all[rest:], limit)
	})
}

// writeSubscriptions answers with a page of a list of which there may be more.
func (s *server) writeSubscriptions(w http.ResponseWriter, r *http.Request, list []*fattorino.Subscription, limit int) error {
	list, more := cut(list, limit)
	page := SubscriptionPage{Subscriptions: make([]Subscription, 0, len(list))}
	for _, sub := range list {
		shown, err := s.showSubscription(sub)
		if err != nil {
			return err
		}
		shown.Sink = shownSink(sub.Format, shown.Sink)
		page.Subscriptions = append(page.Subscriptions, shown)
	}
	if more {
		page.Next = linkAfter(w, r, list[limit-1].ID)
	}
	return httpjson.Write(w, http.StatusOK, page)
}

// ListAllSubscriptions lists the subscriptions of all companies by id.
func (s *server) ListAllSubscriptions(w http.ResponseWriter, r *http.Request, params ListAllSubscriptionsParams) {
	s.do(w, r, func() error {
		limit, err := pageLimit(params.Limit)
		if err != nil {
			return err
		}
		if err := pageAfter(params.After); err != nil {
			return err
		}
		for name, id := range map[string]int64{"company": params.Company, "app_id": params.AppID} {
			if id < 0 {
				return badParameter(name, "%s is %d: ids are positive", name, id)
			}
		}
		found, err := s.Service.AllSubscriptions(r.Context(), callerOf(r), fattorino.SubscriptionQuery{
			Company: params.Company, App: params.AppID, Contract: params.Contract, State: fattorino.State(params.State), Text: params.Search,
			After: params.After, Limit: limit + 1, // one more tells whether there is a next page
		})
		if err != nil {
			return err
		}
		return s.writeSubscriptions(w, r, found, limit)
	})
}

// GetSubscription shows one subscription.
func (s *server) GetSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID) {
	s.do(w, r, func() error {
		sub, err := s.Service.Subscription(r.Context(), callerOf(r), company, "", subscription)
		if err != nil {
			return err
		}
		return s.writeSubscription(w, sub, nil)
	})
}

// CreateSubscription subscribes the caller's app.
func (s *server) CreateSubscription(w http.ResponseWriter, r *http.Request, company CompanyID) {
	s.do(w, r, func() error {
		var body NewSubscription
		if err := httpjson.Decode(w, r, maxSubscription, &body); err != nil {
			return err
		}
		if body.Contract == "" {
			body.Contract = nativeContract
		}
		rules, err := s.rules(body.Contract)
		if err != nil {
			return err
		}
		if d, ok := rules.(Defaulter); ok && body.Signature == "" {
			body.Signature = d.DefaultSignature(body.Format)
		}
		if !slices.Contains([]string{"", "v1", "v1a", "httpsig", "jwt", "none"}, body.Signature) {
			return fattorino.InvalidField("signature", "%q is none of v1, v1a, httpsig, jwt, none", body.Signature)
		}
		secrets, shown, err := newSecret(rules, body.Signature)
		if err != nil {
			return err
		}
		wish, err := s.accept(rules, &body, company, secrets)
		if err != nil {
			return err
		}
		sub, refused, err := s.Service.Subscribe(r.Context(), callerOf(r), *wish)
		if err != nil {
			return err
		}
		w.Header().Set("Location", fmt.Sprintf("/v1/companies/%d/subscriptions/%d", company, sub.ID))
		return s.writeSecret(w, http.StatusCreated, sub, shown, s.doubts(sub.Types, refused))
	})
}

// accept reads a whole subscription and holds it to the rules of its contract.
func (s *server) accept(rules Chooser, body *NewSubscription, company int64, secrets []fattorino.Secret) (*fattorino.NewSubscription, error) {
	wish, headers, err := body.wish(company)
	if err != nil {
		return nil, err
	}
	if err := s.checkTypes(wish.Contract, wish.Types); err != nil {
		return nil, err
	}
	if wish.Options.Headers, err = rules.SealHeaders(headers); err != nil {
		return nil, err
	}
	wish.Secrets = secrets
	return wish, rules.CheckOptions(wish)
}

// ChangeSubscription applies a merge patch.
func (s *server) ChangeSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID, params ChangeSubscriptionParams) {
	s.do(w, r, func() error {
		var patch map[string]json.RawMessage
		if err := httpjson.Decode(w, r, maxSubscription, &patch); err != nil {
			return err
		}
		if patch == nil {
			return fattorino.InvalidField("body", "a JSON null is not what belongs here")
		}
		sub, refused, err := s.change(r, company, subscription, params.IfMatch, func(sub *fattorino.Subscription, rules Chooser) (fattorino.SubscriptionChange, error) {
			return s.patched(sub, rules, patch)
		})
		if err != nil {
			return err
		}
		var warnings []string
		if patch["types"] != nil {
			warnings = s.doubts(sub.Types, refused)
		}
		return s.writeSubscription(w, sub, warnings)
	})
}

// patched gives the change that a patch makes of a subscription: the whole of
// it as it shall be, read and checked like a new one.
func (s *server) patched(sub *fattorino.Subscription, rules Chooser, patch map[string]json.RawMessage) (c fattorino.SubscriptionChange, err error) {
	headers, err := rules.OpenHeaders(sub.Options.Headers)
	if err != nil {
		return c, err
	}
	before, err := json.Marshal(choices(sub, headers))
	if err != nil {
		return c, err
	}
	var target map[string]json.RawMessage
	if err := json.Unmarshal(before, &target); err != nil {
		return c, err
	}
	if err := mergePatch(target, patch); err != nil {
		return c, err
	}
	after, err := json.Marshal(target)
	if err != nil {
		return c, err
	}
	var body NewSubscription
	if err := httpjson.Unmarshal(after, &body); err != nil {
		return c, err
	}
	if body.Contract != sub.Contract || body.Signature != sub.Options.Signature {
		return c, &fattorino.Error{
			Kind: fattorino.Invalid, Msg: "contract and signature of a subscription cannot be changed",
			Fix: "create another subscription, and delete this one",
		}
	}
	wish, err := s.accept(rules, &body, sub.Company, sub.Secrets)
	if err != nil {
		return c, err
	}
	if _, given := patch["headers"]; !given {
		wish.Options.Headers = sub.Options.Headers
	}
	c = fattorino.SubscriptionChange{Format: &wish.Format, Method: wish.Method, Filters: &wish.Filters, Options: &wish.Options}
	if _, given := patch["sink"]; given {
		c.Sink = &wish.Sink
	}
	if _, given := patch["types"]; given {
		c.Types = wish.Types
	}
	return c, nil
}

// DeleteSubscription ends a subscription.
func (s *server) DeleteSubscription(w http.ResponseWriter, r *http.Request, company CompanyID, subscription SubscriptionID, params DeleteSubscriptionParams) {
	s.do(w, r, func() error {
		sub, _, err := s.changeable(r, company, subscription)
		if err != nil {
			return err
		}
		err = s.Service.DeleteSubscriptionUnless(r.Context(), callerOf(r), company, sub.Contract, sub.ID, func(now *fattorino.Subscription) error {
			if params.IfMatch == "" {
				return nil
			}
			return s.unchanged(now, params.IfMatch)
		})
		if err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// changeable reads a subscription of the caller that is changed by this API.
func (s *server) changeable(r *http.Request, company, id int64) (*fattorino.Subscription, Chooser, error) {
	sub, err := s.Service.Subscription(r.Context(), callerOf(r), company, "", id)
	if err != nil {
		return nil, nil, err
	}
	rules, err := s.rules(sub.Contract)
	return sub, rules, err
}

// maxRaces bounds how often a change is prepared anew because another came
// between.
const maxRaces = 5

// change changes a subscription as prepare says, from the state that prepare
// saw and from no other. With If-Match that state must be the one it names;
// without, a change that came between is no reason to fail.
func (s *server) change(r *http.Request, company, id int64, ifMatch string, prepare func(*fattorino.Subscription, Chooser) (fattorino.SubscriptionChange, error)) (*fattorino.Subscription, []fattorino.TypeRefusal, error) {
	for race := 1; ; race++ {
		sub, rules, err := s.changeable(r, company, id)
		if err != nil {
			return nil, nil, err
		}
		seen, err := s.tagOf(sub)
		if err != nil {
			return nil, nil, err
		}
		if ifMatch != "" && !matches(ifMatch, seen) {
			return nil, nil, stale()
		}
		c, err := prepare(sub, rules)
		if err != nil {
			return nil, nil, err
		}
		c.Unless = func(now *fattorino.Subscription) error { return s.unchanged(now, seen) }
		sub, refused, err := s.Service.ModifySubscription(r.Context(), callerOf(r), company, sub.Contract, id, c)
		if fattorino.KindOf(err) == fattorino.Stale && ifMatch == "" && race < maxRaces {
			continue
		}
		return sub, refused, err
	}
}

// unchanged fails with Stale where a subscription is in no state that If-Match
// names.
func (s *server) unchanged(sub *fattorino.Subscription, ifMatch string) error {
	tag, err := s.tagOf(sub)
	if err == nil && !matches(ifMatch, tag) {
		return stale()
	}
	return err
}

func stale() error {
	return &fattorino.Error{Kind: fattorino.Stale, Msg: "the subscription is not any more as it was read", Fix: "read it again, and decide anew"}
}

// tagOf gives the entity tag of a subscription.
func (s *server) tagOf(sub *fattorino.Subscription) (string, error) {
	shown, err := s.showSubscription(sub)
	if err != nil {
		return "", err
	}
	return entityTag(shown)
}

// writeSubscription answers with a subscription.
func (s *server) writeSubscription(w http.ResponseWriter, sub *fattorino.Subscription, warnings []string) error {
	shown, err := s.tagged(w, sub)
	if err != nil {
		return err
	}
	shown.Warnings = warnings
	return httpjson.Write(w, http.StatusOK, shown)
}

// writeSecret answers with a subscription and the secret that is shown this
// once.
func (s *server) writeSecret(w http.ResponseWriter, status int, sub *fattorino.Subscription, secret string, warnings []string) error {
	shown, err := s.tagged(w, sub)
	if err != nil {
		return err
	}
	shown.Warnings = warnings
	return httpjson.Write(w, status, withSecret(shown, secret))
}

// tagged shows a subscription and sets its ETag.
func (s *server) tagged(w http.ResponseWriter, sub *fattorino.Subscription) (Subscription, error) {
	shown, err := s.showSubscription(sub)
	if err != nil {
		return shown, err
	}
	tag, err := entityTag(shown)
	w.Header().Set("ETag", tag)
	return shown, err
}
