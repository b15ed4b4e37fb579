package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// idleCost is more than the memory that one idle connection takes: 18 KB were
// measured.
const idleCost = 64 << 10

func TestIdleConnectionsCostLittleAndMakeRoom(t *testing.T) {
	t.Parallel()
	// Given a limit, and many more connections that ask once and then hold on,
	const limit, opened = 1000, 3000
	s := serve(t, "--max-connections", fmt.Sprint(limit))
	before := s.memory(t)
	var held []net.Conn
	for range opened {
		c := s.dial(t)
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if text, err := readAnswer(c); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200") {
			t.Fatalf("a new connection is not answered: %q, %v", text, err)
		}
		held = append(held, c)
	}
	// when a healthy client comes, then it is served,
	s.stillServes(t)
	// those that have waited longest have made room,
	for _, c := range held[:opened-limit] {
		if !closed(t, c) {
			t.Fatal("a connection beyond the limit is still open")
		}
	}
	// and memory stays bounded.
	grown := s.memory(t) - before
	if grown > limit*idleCost {
		t.Errorf("%d idle connections take %d bytes each", limit, grown/limit)
	}
	t.Logf("%d idle connections take %d bytes each", limit, grown/limit)
}

func TestConnectionsThatSayNothingAreClosed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, start := range map[string]string{
		"nothing at all":    "",
		"half a line":       "GET /heal",
		"a header that end": "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t)
			if _, err := io.WriteString(c, start); err != nil {
				t.Fatal(err)
			}
			if !closed(t, c) {
				t.Error("the connection is kept open for a header that does not come")
			}
		})
	}
}

// Slow clients of every kind, two hundred of each, take nothing from a healthy
// one.
func TestSlowClientsTakeNothingFromOthers(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]struct{ start, piece string }{
		"slow headers":  {"GET /healthz HTTP/1.1\r\nHost: a\r\n", "X-Slow: a\r\n"},
		"a slow header": {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", "a"},
		"slow body": {
			"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + adminToken +
				"\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 100000\r\n\r\n{", " ",
		},
		"slow chunks": {
			"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + adminToken +
				"\r\nContent-Type: application/cloudevents+json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n",
		},
		"a large length told, and nothing sent": {
			"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + adminToken +
				"\r\nContent-Type: application/cloudevents-batch+json\r\nContent-Length: 16000000\r\n\r\n[", " ",
		},
		"slow body without a token": {
			"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{", " ",
		},
		"answers that are not read": {strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n", 50), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			before := s.memory(t)
			const clients = 200
			stop := make(chan struct{})
			var dripping sync.WaitGroup
			for range clients {
				c := s.dial(t)
				if _, err := io.WriteString(c, attack.start); err != nil {
					t.Fatal(err)
				}
				dripping.Go(func() { drip(c, attack.piece, stop) })
			}
			s.stillServes(t)
			if grown := s.memory(t) - before; grown > 100<<20 {
				t.Errorf("%d slow clients take %d MiB", clients, grown>>20)
			}
			close(stop)
			dripping.Wait()
		})
	}
}

// drip sends a piece now and then, until it is told to stop or the connection
// ends.
func drip(c net.Conn, piece string, stop <-chan struct{}) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-stop:
			return
		case <-again.C:
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}
}

// Four hundred publishes at once, of a megabyte each, are far more than is held
// at a time: some are asked to come again, and memory stays bounded. It runs by
// itself, for it takes all of a small machine.
func TestParallelPublishesAreBounded(t *testing.T) {
	const budget, clients = 16 << 20, 400
	s := serve(t, "--max-request-bytes", fmt.Sprint(budget))
	before := s.memory(t)
	padding := strings.Repeat("x", 1000<<10)
	var accepted, refused, cut, highest atomic.Int64
	start := make(chan struct{})
	var publishing sync.WaitGroup
	for i := range clients {
		publishing.Go(func() {
			<-start
			body := fmt.Sprintf(`{"specversion":"1.0","id":"p%d","source":"/hostile","type":"invoice.created","companyid":"1","data":{"id":42,"note":%q}}`, i, padding)
			a, err := s.try(t, "POST", "/v1/events", adminToken, body)
			switch {
			case err != nil: // it was still sending when there was no more room
				cut.Add(1)
			case a.status == http.StatusAccepted:
				accepted.Add(1)
			case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
				refused.Add(1)
			default:
				t.Errorf("status %d: %s", a.status, a.body)
			}
			now := s.memory(t)
			for was := highest.Load(); now > was && !highest.CompareAndSwap(was, now); was = highest.Load() {
			}
		})
	}
	close(start)
	publishing.Wait()
	t.Logf("%d accepted, %d asked to come again, %d cut off, memory %d MiB, before %d MiB",
		accepted.Load(), refused.Load(), cut.Load(), highest.Load()>>20, before>>20)
	if accepted.Load() == 0 || refused.Load() == 0 {
		t.Error("want some accepted, and some asked to come again")
	}
	// Each byte is held a few times over: as a body, as an event, and until it
	// is collected.
	if grown := highest.Load() - before; grown > 16*budget {
		t.Errorf("memory grew by %d MiB for a budget of %d MiB", grown>>20, int64(budget)>>20)
	}
	// All that was held has been given back.
	s.stillServes(t)
	a := s.call(t, "POST", "/v1/events", adminToken, strings.Replace(event("after"), `"id":42`, `"id":42,"note":"`+padding+`"`, 1))
	if a.status != http.StatusAccepted {
		t.Errorf("afterwards a large event is answered %d: %s", a.status, a.body)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.dial(t)
	const requests = 500
	go func() {
		for i := range requests {
			body := event(fmt.Sprint("pipelined-", i))
			_, _ = fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n%s",
				adminToken, len(body), body)
		}
	}()
	answers := bufio.NewReader(c)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for i := range requests {
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusAccepted || !strings.Contains(string(text), fmt.Sprintf(`"id":"pipelined-%d"`, i)) {
			t.Fatalf("answer %d: status %d, %v: %s", i, r.StatusCode, err, text)
		}
	}
	s.stillServes(t)
}

// readAnswer reads what comes first.
func readAnswer(c net.Conn) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	text := make([]byte, 4096)
	n, err := c.Read(text)
	return string(text[:n]), err
}

// closed tells whether the server closes the connection; what it still says is
// skipped.
func closed(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
