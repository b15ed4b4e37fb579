package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// app makes an app and a token that speaks for it to every company.
func (s *server) app() (token string, err error) {
	var app struct{ ID int64 }
	if err := s.call("POST", "/v1/apps", adminToken, map[string]any{"name": "bench"}, &app); err != nil {
		return "", err
	}
	var made struct{ Token string }
	err = s.call("POST", "/v1/tokens", adminToken, map[string]any{"kind": "api", "app_id": app.ID, "scopes": []string{"*"}}, &made)
	return made.Token, err
}

// A contract is what subscriptions are made under.
type contract string

const (
	hmac  contract = "HMAC"  // native: Standard Webhooks v1
	es256 contract = "ES256" // Fatture in Cloud
)

// notification gives the body of a notification, as it is posted by the raw
// loop.
func (c contract) notification() []byte {
	if c == es256 {
		return []byte(`{"data":{"ids":[3062300]}}`)
	}
	return append(appendData([]byte(`{"type":"`+eventType+`","timestamp":"2026-03-01T10:00:00Z","data":`), 3062300), '}')
}

// subscribe makes n subscriptions to company 1, each to its own lane of the
// sink.
func (s *server) subscribe(c contract, n int, sink string) error {
	if c == hmac {
		return s.subscribeEach(n, func(i int) (company int, wish map[string]any) {
			return 1, map[string]any{"sink": fmt.Sprintf("%s/%d", sink, i), "types": []string{eventType}}
		})
	}
	for i := range n { // an app hears a type once
		token, err := s.app()
		if err != nil {
			return err
		}
		wish := map[string]any{"data": map[string]any{
			"sink": fmt.Sprintf("%s/%d", sink, i), "types": []string{"it.fattureincloud.webhooks.issued_documents.invoices.create"},
		}}
		var made struct{ Data struct{ Verified bool } }
		if err := s.call("POST", "/c/1/subscriptions", token, wish, &made); err != nil {
			return err
		}
		if !made.Data.Verified {
			return fmt.Errorf("subscription %d is not verified", i)
		}
	}
	return nil
}

// subscribeEach makes n native subscriptions of one app without a handshake,
// signed by Standard Webhooks v1, as wish has them.
func (s *server) subscribeEach(n int, wish func(i int) (company int, wish map[string]any)) error {
	token, err := s.app()
	if err != nil {
		return err
	}
	const connections = 16
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, connections)
	for range connections {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				company, w := wish(i)
				w["format"], w["signature"], w["handshake"] = "standard", "v1", "none"
				if err := s.call("POST", fmt.Sprintf("/v1/companies/%d/subscriptions", company), token, w, nil); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}
