package egress

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// errUnsent is an exchange that failed before a byte of the request was
// written, on a connection that was kept too long.
var errUnsent = errors.New("the connection was closed while it was idle")

// longBody is from how many bytes on a request is written while its answer is
// awaited. The system takes what is shorter without the sink reading any of
// it; of a longer one the sink may read a part, answer, and wait for us to read
// that.
const longBody = 64 << 10

// An exchange is one request and its answer, on one connection at a time. Its
// memory is used again for others.
type exchange struct {
	request  *fattorino.Request
	start    time.Time
	deadline time.Time
	close    bool // the request asks to close the connection

	conn   *conn  // nil = none yet
	reused bool   // conn is one that was kept
	watch  *watch // under which it is, in place; nil = none
	place  int
	rest   chan sent // tells when a long request is written; nil = it is a short one

	partly bool // not all of the request was written

	wrote, first time.Time // when the request was written, when the answer began

	out requestWriter
	in  answerReader
}

// sent is the end of writing a request.
type sent struct {
	at  time.Time
	err error
}

func newExchange() *exchange {
	return &exchange{in: answerReader{from: bufio.NewReaderSize(nil, 4<<10)}}
}

// end makes x forget what it was for.
func (x *exchange) end() {
	x.request, x.conn, x.in.last = nil, nil, nil
	if cap(x.in.text)+cap(x.in.long) > keptHeader { // an uncommonly large header
		x.in.text, x.in.long = nil, nil
	}
}

// begin makes x ready for a request.
func (x *exchange) begin(ctx context.Context, r *fattorino.Request, total time.Duration) {
	x.request, x.start = r, time.Now()
	x.wrote, x.first = time.Time{}, time.Time{}
	x.conn, x.reused = nil, false
	deadline, bounded := ctx.Deadline()
	if !bounded {
		deadline = x.start.Add(total)
	}
	x.deadline = deadline
}

// run sends the request on the connection and reads the head of the answer,
// unless the context ends, over which w watches.
func (x *exchange) run(ctx context.Context, w *watcher) (head, error) {
	c := x.conn
	x.reused, c.used = c.used, true
	if err := c.endBy(x.deadline); err != nil {
		return head{}, err
	}
	if x.reused && (c.expired() || !c.quiet()) {
		return head{}, errUnsent
	}
	if x.watch = w.over(ctx); x.watch != nil {
		x.watch.add(x)
	}
	return x.converse()
}

// converse sends the request and reads the head of the answer.
func (x *exchange) converse() (head, error) {
	c := x.conn
	before := c.written.Load()
	err := x.send()
	if x.partly = err != nil; x.partly {
		if isTimeout(err) {
			return head{}, err
		}
		if x.reused && c.written.Load() == before {
			return head{}, errUnsent
		}
		// The sink closed the connection before it had read the request to its
		// end; it may have answered first.
	}
	h, err := x.receive()
	if err != nil && x.rest != nil {
		c.cut()
		x.await()
	}
	failed := cmp.Or(c.failed, err)
	x.partly = x.partly || c.failed != nil
	if failed != nil && !isTimeout(failed) && x.reused && c.written.Load() == before {
		return head{}, errUnsent
	}
	return h, err
}

// send writes the request, with a short body in one go. A long one is written
// while the answer is awaited.
func (x *exchange) send() error {
	body := x.request.Body
	switch {
	case len(body) > longBody:
		x.rest = make(chan sent, 1)
		go func() {
			err := x.out.send(x.conn.stream, body)
			x.rest <- sent{time.Now(), err}
		}()
		return nil
	case len(body) <= shortBody && x.conn.canAsk():
		x.conn.unsaid, x.wrote = x.out.whole(body), time.Time{}
		return nil
	}
	err := x.out.send(x.conn.stream, body)
	x.wrote = time.Now()
	return err
}

// await waits until nothing is written any more, and tells whether the request
// was written to its end.
func (x *exchange) await() bool {
	if x.rest == nil {
		return true
	}
	s := <-x.rest
	x.rest, x.wrote = nil, s.at
	return s.err == nil
}

// receive reads the head of the answer.
func (x *exchange) receive() (head, error) {
	x.in.from.Reset(x.conn.stream)
	x.in.last = &x.conn.last
	_, err := x.in.from.Peek(1)
	if x.rest == nil && x.wrote.IsZero() {
		x.wrote = x.conn.socket.asked
	}
	if err != nil {
		return head{}, err
	}
	x.first = time.Now()
	return x.in.head()
}

// answering tells whether something came from the sink.
func (x *exchange) answering() bool { return !x.first.IsZero() }

// take fills a from the answer and ends the exchange. It tells whether the
// connection can be kept; otherwise it is closed.
func (x *exchange) take(a *fattorino.Answer, h head, keep int) bool {
	a.Status = h.status
	a.Header = x.in.header()
	ended := false
	if failed := statusFailure(h.status); failed != nil {
		fail(a, failed)
	} else {
		a.Body, a.Truncated, ended = x.in.body(h, x.request.Method, keep)
	}
	if !ended {
		x.breakOff()
		return false
	}
	x.conn.keepFor(h.patience)
	return x.finish(h.keep && !x.close)
}

// finish ends an exchange whose answer was read to its end.
func (x *exchange) finish(keep bool) bool {
	// The last of a long request is on its way at best: its writer is not
	// waited for any longer than the last words of TLS would be.
	if x.rest != nil {
		_ = x.conn.SetWriteDeadline(x.deadline)
	}
	sent := x.await() && !x.partly
	undisturbed := x.unwatched()
	more := x.in.from.Buffered() > 0
	x.in.from.Reset(nil)
	switch {
	case !sent || !undisturbed:
		x.conn.cut()
	case !keep || more:
		x.conn.close()
	default:
		return true
	}
	return false
}

// breakOff ends an exchange that did not come to its end.
func (x *exchange) breakOff() {
	if x.conn != nil {
		x.conn.cut()
		x.await()
	}
	x.unwatched()
	x.in.from.Reset(nil)
}

// unwatched ends the watch for the context's end, and tells whether it did
// nothing.
func (x *exchange) unwatched() bool {
	if x.watch == nil {
		return true
	}
	undisturbed := x.watch.remove(x)
	x.watch = nil
	return undisturbed
}

// timing gives how long each phase took, up to now.
func (x *exchange) timing() fattorino.Timing {
	t := fattorino.Timing{Total: time.Since(x.start)}
	if x.conn != nil && !x.reused {
		t.DNS, t.Connect, t.TLS = x.conn.dns, x.conn.connect, x.conn.tls
	}
	if x.answering() {
		t.FirstByte = max(0, x.first.Sub(x.wrote)) // an early answer took no time
	}
	return t
}
