package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// rawPath is where the raw loop posts: it is answered and not noted.
const rawPath = "/raw"

// A sink is a plain net/http server that answers 200 and notes what came when.
// A subscription's notifications go to the path of its lane's number, from 0.
type sink struct {
	*httptest.Server
	*arrivals
	before func(w http.ResponseWriter, r *http.Request) (answered bool) // sees each notification first; nil = nothing
	status func(event int) int                                          // what is answered; nil = always 200
}

// newSink starts a sink that notes in a.
func newSink(a *arrivals) *sink {
	s := &sink{arrivals: a}
	s.Server = httptest.NewServer(s)
	return s
}

// newSecureSink starts a sink that speaks TLS 1.3.
func newSecureSink(a *arrivals) *sink {
	s := &sink{arrivals: a}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.StartTLS()
	return s
}

// trust gives a configuration that takes the sink's certificate; nil for a
// sink without TLS.
func (s *sink) trust() *tls.Config {
	if s.Certificate() == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool}
}

// authority writes the sink's certificate, which signed itself, to a file for
// the server to trust.
func (s *sink) authority() (path string, remove func(), err error) {
	file, err := os.CreateTemp("", "fattorino-bench-*.pem")
	if err != nil {
		return "", nil, err
	}
	err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return file.Name(), func() { _ = os.Remove(file.Name()) }, errors.Join(err, file.Close())
}

// down closes the sink's door, so that it refuses connections, and gives a
// function that opens it again at the same address.
func (s *sink) down() (up func() error) {
	address := s.Listener.Addr().String()
	s.Close()
	return func() error {
		door, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		s.Server = &httptest.Server{Listener: door, Config: &http.Server{Handler: s}}
		s.Start()
		return nil
	}
}

// ServeHTTP answers the challenge of Fatture in Cloud's contract, and takes
// notifications in.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("x-fic-verification-challenge"))
		return
	}
	var room [2048]byte
	body, err := readInto(room[:], r)
	if err != nil || r.URL.Path == rawPath || (s.before != nil && s.before(w, r)) {
		return
	}
	lane, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		return
	}
	event, ok := eventIn(body)
	if !ok {
		return
	}
	s.note(lane, event)
	if s.status != nil {
		w.WriteHeader(s.status(event))
	}
}

// readInto reads a request's body, into b where that has room.
func readInto(b []byte, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > int64(len(b)) {
		return io.ReadAll(r.Body)
	}
	n, err := io.ReadFull(r.Body, b[:r.ContentLength])
	return b[:n], err
}

// eventIn finds the number of the event that a notification is of: its data
// are {"id":7,…}, or {"ids":[7]} in the contract of Fatture in Cloud, for the
// event numbered 6. The welcome of that contract has no ids.
func eventIn(body []byte) (event int, ok bool) {
	for _, before := range []string{`"data":{"id":`, `"data":{"ids":[`} {
		if _, rest, found := bytes.Cut(body, []byte(before)); found {
			end := bytes.IndexAny(rest, ",]}")
			id, err := strconv.Atoi(string(rest[:max(end, 0)]))
			return id - 1, err == nil
		}
	}
	return 0, false
}

// arrivals are when events were published and when they came, by lane.
type arrivals struct {
	sent    []atomic.Int64   // by event: when it was published, ns since 1970
	came    [][]atomic.Int64 // by lane and event: when it came first
	count   atomic.Int64     // what came, each once
	doubled atomic.Int64     // what came again
	last    atomic.Int64     // when something came last
}

func newArrivals(events, lanes int) *arrivals {
	a := &arrivals{sent: make([]atomic.Int64, events), came: make([][]atomic.Int64, lanes)}
	for i := range a.came {
		a.came[i] = make([]atomic.Int64, events)
	}
	return a
}

func (a *arrivals) note(lane, event int) {
	now := time.Now().UnixNano()
	if !a.came[lane][event].CompareAndSwap(0, now) {
		a.doubled.Add(1)
		return
	}
	a.last.Store(now)
	a.count.Add(1)
}

// await returns when n deliveries have come, or nothing has come for the
// patience.
func (a *arrivals) await(n int, patience time.Duration) {
	begun := time.Now()
	for a.count.Load() < int64(n) && time.Since(begun) < patience {
		if last := time.Unix(0, a.last.Load()); last.After(begun) {
			begun = last
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// lastAt gives when something came last.
func (a *arrivals) lastAt() time.Time { return time.Unix(0, a.last.Load()) }

// latencies gives the p50 and p99 in ms from publish to arrival in the lanes
// from first on.
func (a *arrivals) latencies(first int) (p50, p99 float64) {
	var all []int64
	for _, lane := range a.came[first:] {
		for event := range lane {
			if at := lane[event].Load(); at > 0 {
				all = append(all, at-a.sent[event].Load())
			}
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1e6, float64(all[len(all)*99/100]) / 1e6
}
