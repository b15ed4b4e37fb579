package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A sink is the story's subscriber: it answers challenges, checks whoever
// calls, and remembers what it was told. It knows nothing of Fattorino but
// what is published: the key, and the contract.
type sink struct {
	url    string
	server *http.Server

	mu        sync.Mutex
	key       *ecdsa.PublicKey
	failOnce  string // id of a resource whose first notification is answered with 500; empty = none
	challenge *notice
	notices   []notice
	changed   chan struct{} // closed at the next notice
}

// A notice is one notification as it was received.
type notice struct {
	at     time.Time
	id     string // ce-id
	token  string // that it came with
	typ    string // ce-type
	ids    []json.Number
	answer int
	fault  error // why it was refused
}

// describe gives a notice in a line.
func (n notice) describe() string {
	typ := strings.TrimPrefix(n.typ, "it.fattureincloud.webhooks.")
	ids := make([]string, len(n.ids))
	for i, id := range n.ids {
		ids[i] = id.String()
	}
	proof := "signature and claims good"
	if n.fault != nil {
		proof = "refused: " + n.fault.Error()
	}
	return fmt.Sprintf("%-34s id %-4s %s, answered %d", typ, strings.Join(ids, ","), proof, n.answer)
}

// openSink starts a sink on loopback.
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

// ServeHTTP is the subscriber's endpoint.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	claims, err := s.caller(r)
	if r.Method == http.MethodGet {
		s.answerChallenge(w, r, err)
		return
	}
	n := notice{at: time.Now(), id: r.Header.Get("Ce-Id"), typ: r.Header.Get("Ce-Type"), token: r.Header.Get("Authorization"), answer: http.StatusOK}
	var message struct {
		Data struct {
			IDs []json.Number `json:"ids"`
		} `json:"data"`
	}
	body, broken := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = errors.Join(broken, json.Unmarshal(body, &message), claims.match(r.Header))
	}
	n.ids, n.fault = message.Data.IDs, err
	s.receive(&n)
	w.WriteHeader(n.answer)
}

// answerChallenge proves that the sink wants to be notified.
func (s *sink) answerChallenge(w http.ResponseWriter, r *http.Request, fault error) {
	challenge := r.Header.Get("X-Fic-Verification-Challenge")
	if challenge == "" && fault == nil {
		fault = errors.New("there is no challenge in the header")
	}
	s.mu.Lock()
	s.challenge = &notice{at: time.Now(), fault: fault}
	s.mu.Unlock()
	if fault != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge}) // a caller that is gone asks again
}

// receive decides on the answer and remembers the notice.
func (s *sink) receive(n *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n.fault != nil:
		n.answer = http.StatusUnauthorized
	case s.failOnce != "" && slices.Contains(n.ids, json.Number(s.failOnce)):
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

// caller checks the token that a request came with: its signature and the
// claims that do not depend on the message.
func (s *sink) caller(r *http.Request) (*claims, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, errors.New("there is no bearer token")
	}
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	c, err := verifyToken(key, token)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.Audience, s.url) {
		return nil, fmt.Errorf("the token is for %v", c.Audience)
	}
	if now := time.Now().Unix(); now > c.ExpiresAt {
		return nil, errors.New("the token has expired")
	}
	return c, nil
}

// claims are those of a notification's token.
type claims struct {
	ID        string   `json:"jti"`
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  []string `json:"aud"`
	ExpiresAt int64    `json:"exp"`
}

// match compares the claims with the message that the token came with.
func (c *claims) match(h http.Header) error {
	for _, pair := range [][3]string{
		{"jti", c.ID, h.Get("Ce-Id")}, {"iss", c.Issuer, h.Get("Ce-Source")}, {"sub", c.Subject, h.Get("Ce-Subject")},
	} {
		if pair[1] != pair[2] {
			return fmt.Errorf("the token's %s is not the message's", pair[0])
		}
	}
	return nil
}

// parseKey reads a public key as /v1/keys/fic gives it: the base64 of PEM.
func parseKey(text string) (*ecdsa.PublicKey, error) {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(decoded)
	if block == nil {
		return nil, errors.New("the key is not in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not one for ES256")
	}
	return key, nil
}

// verifyToken checks a token's signature (RFC 7515; ES256 is RFC 7518, section
// 3.4) and gives its claims.
func verifyToken(key *ecdsa.PublicKey, token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if key == nil || len(parts) != 3 {
		return nil, errors.New("the token is malformed, or the key is not known")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err := decodePart(parts[0], &header); err != nil || header.Algorithm != "ES256" {
		return nil, errors.New("the token is not signed with ES256")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("the token's signature is malformed")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("the token's signature is wrong")
	}
	var c claims
	return &c, decodePart(parts[1], &c)
}

func decodePart(part string, v any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
