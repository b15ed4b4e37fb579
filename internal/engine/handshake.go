package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// handshakes asks the sinks of new subscriptions to prove themselves. That a
// challenge is pending is in the store, so one that is cut off by a crash is
// asked again at the next start.
type handshakes struct {
	*Engine
	slots   chan struct{} // bounds the challenges under way
	running sync.WaitGroup

	mu   sync.Mutex
	runs map[int64]*handshake // by subscription
}

// handshake is one challenge under way.
type handshake struct {
	round int64
	done  chan struct{} // closed when its outcome is written

	elsewhere bool // another process sends it
}

// concurrentHandshakes bounds the challenges under way.
const concurrentHandshakes = 64

func newHandshakes(e *Engine) *handshakes {
	return &handshakes{Engine: e, slots: make(chan struct{}, concurrentHandshakes), runs: map[int64]*handshake{}}
}

// start begins the challenge that is pending for the subscription, unless it
// is under way already.
func (h *handshakes) start(s *fattorino.Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.runs[s.ID]
	if now != nil && now.round >= s.Handshake.Round && !now.elsewhere {
		return
	}
	select {
	case <-h.stopping:
		return // asked again at the next start
	default:
	}
	run := &handshake{round: s.Handshake.Round, done: make(chan struct{})}
	if now != nil && now.elsewhere {
		run.done = now.done // whoever waits for it goes on waiting
	}
	h.runs[s.ID] = run
	h.running.Go(func() {
		h.challenge(s)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.runs[s.ID] == run {
			delete(h.runs, s.ID)
		}
		close(run.done)
	})
}

// expect takes note that another process is to challenge the sink.
func (h *handshakes) expect(s *fattorino.Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.runs[s.ID]; now == nil {
		h.runs[s.ID] = &handshake{round: s.Handshake.Round, done: make(chan struct{}), elsewhere: true}
	}
}

// heard takes note that no challenge of the subscription is pending.
func (h *handshakes) heard(s *fattorino.Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.runs[s.ID]; now != nil && now.elsewhere {
		delete(h.runs, s.ID)
		close(now.done)
	}
}

// await returns when no challenge of the subscription is under way, or with
// ctx.
func (h *handshakes) await(ctx context.Context, subscription int64) {
	h.mu.Lock()
	run := h.runs[subscription]
	h.mu.Unlock()
	if run == nil {
		return
	}
	select {
	case <-run.done:
	case <-ctx.Done():
	}
}

// challenge asks the sink once and has the outcome written.
func (h *handshakes) challenge(s *fattorino.Subscription) {
	select {
	case h.slots <- struct{}{}:
	case <-h.work.Done():
		return
	}
	defer func() { <-h.slots }()
	if !h.maySend() {
		return // asked again at the next start
	}
	rate, failure := 0, error(nil)
	if rules := h.contract(s).Handshake(s); rules != nil {
		rate, failure = h.ask(rules, s)
	}
	if h.work.Err() != nil && failure != nil {
		return // cut off by the program's stop: asked again at the next start
	}
	for {
		err := h.Update(h.work, func(tx fattorino.Tx) error { return h.settle(tx, s, rate, failure) })
		if err == nil {
			return
		}
		h.log.Error("the outcome of a handshake could not be written: trying again", "subscription", s.ID, "error", err)
		select {
		case <-time.After(retryCommit):
		case <-h.work.Done():
			return
		}
	}
}

// ask sends the challenge; nil means that the sink has proved itself.
func (h *handshakes) ask(rules fattorino.Handshake, s *fattorino.Subscription) (rate int, failure error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	challenge := hex.EncodeToString(raw)
	request, err := rules.Challenge(s, challenge, time.Now())
	if err != nil {
		h.log.Error("a challenge could not be built", "subscription", s.ID, "error", err)
		return 0, errors.New("the challenge could not be built")
	}
	answer := h.sender.Send(h.work, request)
	rate, failure = rules.Passed(challenge, answer)
	outcome := "verified"
	if failure != nil {
		outcome = failure.Error()
	}
	h.log.Info("handshake", "subscription", s.ID, "company", s.Company, "host", hostOf(s.Sink), "status", answer.Status, "outcome", outcome)
	return rate, failure
}

// settle writes the outcome of the challenge, unless the subscription has gone
// on since.
func (h *handshakes) settle(tx fattorino.Tx, asked *fattorino.Subscription, rate int, failure error) error {
	found, err := tx.Subscription(asked.ID)
	if err != nil {
		return err
	}
	if !found.Handshake.Pending || found.Handshake.Round != asked.Handshake.Round {
		return nil // among them one that another process has asked, too, as its part went there
	}
	s, now := found.Clone(), time.Now()
	rules := h.contract(s)
	limits := fattorino.HandshakeLimits{}
	if handshake := rules.Handshake(s); handshake != nil {
		limits = handshake.Limits()
	} else {
		failure = nil // its owner has chosen meanwhile to do without
	}
	fattorino.SettleHandshake(limits, s, rate, failure, now)
	if err := tx.PutSubscription(s); err != nil || failure != nil {
		return err
	}
	return fattorino.PutWelcome(tx, rules, s, now)
}
