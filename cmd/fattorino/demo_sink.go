package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A sink is one of the story's subscribers: it answers challenges, checks
// whoever calls, and remembers what it was told. It knows nothing of Fattorino
// but what a subscriber is told: the contract, and a key or a secret.
type sink struct {
	url    string
	server *http.Server

	mu         sync.Mutex
	receiver   receiver // nil = nothing is known of the caller yet
	failOnce   string   // what the notification is about that is answered with 500, once; empty = none
	challenged *notice
	notices    []notice
	changed    chan struct{} // closed at the next notice
}

// A receiver is what a subscriber knows of its contract.
type receiver interface {
	// read checks who sent a notification, and gives what it says. What could
	// be read is given beside an error as well.
	read(r *http.Request, body []byte) (message, error)
	// challenge gives the JSON, or text, that answers whether the sink wants to
	// be notified.
	challenge(r *http.Request) (answer []byte, err error)
	// proof says in words what read has checked.
	proof() string
}

var (
	errNoChallenge = errors.New("there is no challenge in the request")
	errNotAsked    = errors.New("the contract has no challenge")
)

// A message is what a notification says.
type message struct {
	id    string // of the delivery, the same on every attempt
	typ   string // its type under the contract
	about string // id of the resource
	token string // that it came with, where the contract has one for each attempt
	state []byte // the resource, where the contract sends it
}

// A notice is one request as it was received.
type notice struct {
	message
	at     time.Time
	body   []byte
	proof  string // what was checked
	answer int
	fault  error // why it was refused
}

// describe gives a notice in a line.
func (n *notice) describe() string {
	typ := strings.TrimPrefix(n.typ, ficPrefix)
	proof := n.proof
	if n.fault != nil {
		proof = "refused: " + n.fault.Error()
	}
	return fmt.Sprintf("%-34s id %-4s %s, answered %d", typ, n.about, proof, n.answer)
}

// openSink starts a sink on loopback. It refuses everything until it has a
// receiver.
func openSink(ctx context.Context) (*sink, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + listener.Addr().String() + "/webhooks", changed: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	return s, nil
}

func (s *sink) close() error { return s.server.Close() }

// know gives the sink what it needs to check its callers.
func (s *sink) know(r receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiver = r
}

// ServeHTTP is the subscriber's endpoint.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	knows := s.receiver
	s.mu.Unlock()
	if knows == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodGet {
		s.answerChallenge(w, r, knows)
		return
	}
	n := notice{at: time.Now(), proof: knows.proof(), answer: http.StatusOK}
	var broken error
	n.body, broken = io.ReadAll(io.LimitReader(r.Body, 1<<20))
	n.message, n.fault = knows.read(r, n.body)
	n.fault = errors.Join(broken, n.fault)
	s.receive(&n)
	w.WriteHeader(n.answer)
}

// answerChallenge proves that the sink wants to be notified.
func (s *sink) answerChallenge(w http.ResponseWriter, r *http.Request, knows receiver) {
	answer, fault := knows.challenge(r)
	s.mu.Lock()
	s.challenged = &notice{at: time.Now(), fault: fault}
	s.mu.Unlock()
	if fault != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // a caller that is gone asks again
}

// challengeSeen fails unless the sink was challenged, rightly.
func (s *sink) challengeSeen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.challenged == nil {
		return errors.New("no challenge came")
	}
	return s.challenged.fault
}

// receive decides on the answer and remembers the notice.
func (s *sink) receive(n *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.fault != nil:
		n.answer = http.StatusUnauthorized
	case s.failOnce != "" && n.about == s.failOnce:
		n.answer, s.failOnce = http.StatusInternalServerError, ""
	}
	s.notices = append(s.notices, *n)
	close(s.changed)
	s.changed = make(chan struct{})
}

// count tells how many notices there are.
func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.notices)
}

// await gives the notice with the number, from 0, when it is there.
func (s *sink) await(ctx context.Context, number int) (notice, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if number < len(s.notices) {
			n := s.notices[number]
			s.mu.Unlock()
			return n, nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return notice{}, fmt.Errorf("nothing arrived: %w", ctx.Err())
		}
	}
}
