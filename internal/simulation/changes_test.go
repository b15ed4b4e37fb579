package simulation_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// modify changes a subscription and notes that it was changed.
func (l *life) modify(s *fattorino.Subscription, what string, c fattorino.SubscriptionChange, holds func(*fattorino.Subscription) bool) {
	_, _, err := l.service.ModifySubscription(context.Background(), l.kit.admin, s.Company, s.Contract, s.ID, c)
	l.ack(l, s.ID, what, err, holds)
}

func (l *life) disable(s *fattorino.Subscription) {
	l.modify(s, "disabled", fattorino.SubscriptionChange{Enabled: new(false)}, func(s *fattorino.Subscription) bool { return s.State != fattorino.Active })
}

func (l *life) enable(s *fattorino.Subscription) {
	l.modify(s, "enabled", fattorino.SubscriptionChange{Enabled: new(true)}, func(s *fattorino.Subscription) bool { return s.State != fattorino.Disabled })
}

// moveTo gives a subscription another sink.
func (l *life) moveTo(s *fattorino.Subscription, sink string) {
	l.own(sink, s)
	l.modify(s, "moved to "+sink, fattorino.SubscriptionChange{Sink: &sink, Method: fattorino.ByHeader}, func(s *fattorino.Subscription) bool { return s.Sink == sink })
}

func (l *life) remove(s *fattorino.Subscription) {
	err := l.service.DeleteSubscription(context.Background(), l.kit.admin, s.Company, s.Contract, s.ID)
	l.ack(l, s.ID, "deleted", err, func(s *fattorino.Subscription) bool { return s.State == fattorino.Deleted })
}

// rotateSecret gives a subscription another secret, where it has any.
func (l *life) rotateSecret(s *fattorino.Subscription, of ...any) {
	if len(s.Secrets) == 0 {
		return
	}
	next := pick(l.chance, l.kit.secrets, "next secret", of...)
	l.modify(s, "rotated", fattorino.SubscriptionChange{Secret: &next.Secret, Overlap: next.overlap}, func(s *fattorino.Subscription) bool {
		return l.kit.number(s.Secrets[0]) == l.kit.number(next.Secret)
	})
}

// anyhow is of a change that leaves nothing to look for.
func anyhow(*fattorino.Subscription) bool { return true }

// change makes one change of a subscription.
func (w *world) change(l *life, s *fattorino.Subscription, i, k int) {
	kind := w.chance.draw(14, "kind", i, k)
	if s.Contract != "native" && kind < 5 {
		kind += 6 // what only the native contract has
	}
	switch kind {
	case 0, 1, 2:
		l.disable(s)
	case 3, 4:
		l.enable(s)
	case 5, 6:
		l.rotateSecret(s, i, k)
	case 7, 8:
		l.moveTo(s, w.sink(i, k, 1))
	case 9, 10:
		w.test(l, s, i, k)
	default:
		w.resend(l, s, i, k)
	}
}

// test sends a subscription an event that nobody published.
func (w *world) test(l *life, s *fattorino.Subscription, i, k int) {
	e := w.event(9, i*50+k, 0, 0)
	e.Company, e.Entity = s.Company, fattorino.Entity{Type: "invoice", IDs: []string{"1"}}
	if e.Type = "invoice.created"; s.Contract == "defacto" {
		e.Type = "Invoice.DELETED"
	}
	e.Common = strings.ToLower(e.Type)
	_, err := l.service.SendTest(context.Background(), w.kit.admin, s.Company, s.Contract, s.ID, e)
	l.ack(l, s.ID, "sent a test", err, anyhow)
}

// meddle has the owner of a sink change the subscription now and then, while a
// notification is on its way to it.
func (s *sender) meddle(sink string) {
	nth := s.count("notified " + sink)
	of := []any{sink, nth}
	if s.healed.Load() || !s.chance.oneIn(40, "meddles", of...) {
		return
	}
	s.world.mu.Lock()
	sub := s.owned[sink]
	s.world.mu.Unlock()
	if sub == nil {
		return
	}
	go func() {
		pass(s.chance.between(0, time.Second, "a moment", of...))
		switch s.chance.draw(6, "meddling", of...) {
		case 0, 1:
			s.call(func(l *life) { l.disable(sub) })
			pass(s.chance.between(0, time.Minute, "disabled for", of...))
			s.call(func(l *life) { l.enable(sub) })
		case 2, 3:
			s.call(func(l *life) {
				l.moveTo(sub, fmt.Sprintf("https://h%d.example/in/%d-%d", s.chance.draw(4, "host", of...), sub.ID, nth))
			})
		case 4:
			s.call(func(l *life) { l.rotateSecret(sub, of...) })
		case 5:
			s.removeFor(sub, of...)
		}
	}()
}
