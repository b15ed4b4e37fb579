// Package attemptlog packs attempts that are recorded in one commit into pages:
// a list of the texts that occur in them, each once, and the attempts, which
// point into it. Attempts that are recorded together have most of their texts in
// common (header names, URLs, the body of an event that went to ten sinks), so
// that a page is several times smaller than its attempts, and costs a store one
// row. Of a body that has the event's data in it as it was published, and most
// have, a page can hold what is around it alone, if whoever reads it has the data.
//
// A page is a version byte, the texts, and the attempts:
//
//	texts    = count *(length bytes)
//	attempts = count *(length attempt)
//
// Numbers are unsigned LEB128 ([encoding/binary.AppendUvarint]).
package attemptlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// version is the first byte of every page.
const version = 1

// MaxAttempts is how many attempts a page should hold at most: whoever reads
// one reads the whole page.
const MaxAttempts = 256

// Flags of an attempt.
const (
	truncated   = 1 << iota // the answer's body was cut
	hasRequest              // the request has a body, if an empty one
	hasAnswer               // the answer has a body, if an empty one
	withoutData             // of the request's body there is what comes before the event's data and what after
	knownFlags  = 1<<iota - 1
)

// minData is how long data must be to be left out.
const minData = 64

// A Writer packs attempts. Its zero value is an empty page; it may be used
// again after Reset.
type Writer struct {
	count    int
	texts    []byte
	attempts []byte
	seed     maphash.Seed
	known    map[uint64]text // by hash
	next     uint64          // how many texts there are
	before   []text          // those of the attempt before, in their places
	place    int             // of the next text of this one
	one      []byte
	scratch  []byte
}

// A text is one of those that attempts have in common: the how many-th it is, and
// where its bytes are.
type text struct {
	number    uint64
	from, end int
}

// Reset empties the page.
func (w *Writer) Reset() {
	w.count, w.next, w.texts, w.attempts, w.before = 0, 0, w.texts[:0], w.attempts[:0], w.before[:0]
	clear(w.known)
}

// Len gives how many attempts are in the page.
func (w *Writer) Len() int { return w.count }

// Size gives how many bytes the page has, or a few more.
func (w *Writer) Size() int { return 1 + 2*binary.MaxVarintLen32 + len(w.texts) + len(w.attempts) }

// Add packs one attempt. Values that are secret and the query of the URL,
// which can hold secrets, are left out. Times are kept in microseconds. Data is
// what the event's is, if those who read the page have it; else nil.
func (w *Writer) Add(a *fattorino.Attempt, data []byte) {
	if w.known == nil {
		w.known, w.seed = map[uint64]text{}, maphash.MakeSeed()
	}
	t, flags := a.Answer.Timing, flagsOf(a)
	before, after, isCut := cut(a.Request.Body, data)
	if isCut {
		flags |= withoutData
	}
	w.one, w.place = w.one[:0], 0
	w.numbers(
		uint64(a.Delivery), uint64(a.Number), uint64(a.StartedAt.UnixMicro()), uint64(a.BatchOf),
		micros(t.DNS), micros(t.Connect), micros(t.TLS), micros(t.FirstByte), micros(t.Total),
		uint64(a.Answer.Status), flags,
	)
	w.text(a.Request.Method)
	base, _, _ := strings.Cut(a.Request.URL, "?")
	w.text(base)
	w.header(a.Request.Header)
	w.bytes(before)
	if isCut {
		w.bytes(after)
	}
	w.header(a.Answer.Header)
	w.bytes(a.Answer.Body)
	w.text(string(a.Answer.Failure))
	w.text(a.Answer.Detail)
	w.attempts = binary.AppendUvarint(w.attempts, uint64(len(w.one)))
	w.attempts = append(w.attempts, w.one...)
	w.count++
}

// AppendTo appends the page to b.
func (w *Writer) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = binary.AppendUvarint(b, w.next)
	b = append(b, w.texts...)
	b = binary.AppendUvarint(b, uint64(w.count))
	return append(b, w.attempts...)
}

func micros(d time.Duration) uint64 { return uint64(max(0, d.Microseconds())) }

// cut gives what comes before the data in a body, and what after; all of it and
// nothing where it has none that would be worth it.
func cut(body, data []byte) (before, after []byte, ok bool) {
	if len(data) < minData {
		return body, nil, false
	}
	return bytes.Cut(body, data)
}

func flagsOf(a *fattorino.Attempt) (f uint64) {
	for _, flag := range []struct {
		set bool
		bit uint64
	}{{a.Answer.Truncated, truncated}, {a.Request.Body != nil, hasRequest}, {a.Answer.Body != nil, hasAnswer}} {
		if flag.set {
			f |= flag.bit
		}
	}
	return f
}

func (w *Writer) numbers(all ...uint64) {
	for _, n := range all {
		w.one = binary.AppendUvarint(w.one, n)
	}
}

func (w *Writer) header(fields []fattorino.Header) {
	w.numbers(uint64(len(fields)))
	for _, f := range fields {
		w.text(f.Name)
		if f.Secret {
			w.text(fattorino.Hidden)
		} else {
			w.text(f.Value)
		}
	}
}

// text points to s, as bytes does.
func (w *Writer) text(s string) {
	if w.place == len(w.before) || string(w.bytesOf(w.before[w.place])) != s {
		w.scratch = append(w.scratch[:0], s...)
		w.put(w.find(w.scratch))
	}
	w.point()
}

// bytes points to b, which is put among the texts where it is not there yet. Most
// texts are as in the same place of the attempt before: to look there is cheaper.
func (w *Writer) bytes(b []byte) {
	if w.place == len(w.before) || !bytes.Equal(w.bytesOf(w.before[w.place]), b) {
		w.put(w.find(b))
	}
	w.point()
}

// put has the text stand in this place.
func (w *Writer) put(t text) {
	if w.place == len(w.before) {
		w.before = append(w.before, t)
		return
	}
	w.before[w.place] = t
}

func (w *Writer) bytesOf(t text) []byte { return w.texts[t.from:t.end] }

// point points to the text in this place, and goes on to the next.
func (w *Writer) point() {
	w.one = binary.AppendUvarint(w.one, w.before[w.place].number)
	w.place++
}

// find gives the text b, and puts it there if need be. Of two with the same hash
// the later is the one that is found again.
func (w *Writer) find(b []byte) text {
	hash := maphash.Bytes(w.seed, b)
	if t, ok := w.known[hash]; ok && bytes.Equal(w.bytesOf(t), b) {
		return t
	}
	w.texts = binary.AppendUvarint(w.texts, uint64(len(b)))
	w.texts = append(w.texts, b...)
	t := text{w.next, len(w.texts) - len(b), len(w.texts)}
	w.known[hash] = t
	w.next++
	return t
}

// errCorrupt tells of a page that no Writer has made.
var errCorrupt = errors.New("a page of the log of attempts is damaged")

// Find gives an attempt of a page; false where the page does not hold it. Data is
// that of the event, or nil if it was packed so.
func Find(page []byte, delivery int64, number int, data []byte) (*fattorino.Attempt, bool, error) {
	r, err := open(page)
	if err != nil {
		return nil, false, err
	}
	for range r.count {
		one := reader{rest: r.take()}
		if r.failed {
			return nil, false, errCorrupt
		}
		if one.number() != uint64(delivery) || one.number() != uint64(number) {
			continue
		}
		a, at := one.attempt(r.texts)
		a.Delivery, a.Number = delivery, number
		if one.failed || len(one.rest) > 0 {
			return nil, false, errCorrupt
		}
		if err := putBack(a, at, data); err != nil {
			return nil, false, err
		}
		return a, true, nil
	}
	return nil, false, nil
}

// putBack puts the event's data back into the request's body, at a place of it;
// negative = it is whole.
func putBack(a *fattorino.Attempt, at int, data []byte) error {
	if at < 0 {
		return nil
	}
	if len(data) < minData {
		return fmt.Errorf("%w, or without the event of delivery %d", errCorrupt, a.Delivery)
	}
	a.Request.Body = slices.Insert(a.Request.Body, at, data...)
	return nil
}

// Each calls f with every attempt of a page, as they were packed. It calls dataOf
// for the data of a delivery's event where it has to; where that gives none, the
// event is gone, and its attempt is left out. DataOf is nil where none was packed so.
func Each(page []byte, dataOf func(delivery int64) ([]byte, error), f func(*fattorino.Attempt) error) error {
	r, err := open(page)
	if err != nil {
		return err
	}
	for range r.count {
		one := reader{rest: r.take()}
		delivery, number := one.number(), one.number()
		a, at := one.attempt(r.texts)
		a.Delivery, a.Number = int64(delivery), int(number)
		if r.failed || one.failed || len(one.rest) > 0 {
			return errCorrupt
		}
		var data []byte
		if at >= 0 && dataOf != nil {
			if data, err = dataOf(a.Delivery); err != nil {
				return err
			}
			if data == nil {
				continue
			}
		}
		if err := putBack(a, at, data); err != nil {
			return err
		}
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}

// opened is a page with its texts told apart, before the first attempt.
type opened struct {
	reader
	texts [][]byte
	count uint64
}

func open(page []byte) (*opened, error) {
	if len(page) == 0 || page[0] != version {
		return nil, fmt.Errorf("%w, or of a newer version of Fattorino", errCorrupt)
	}
	o := &opened{reader: reader{rest: page[1:]}}
	count := o.number()
	if count > uint64(len(page)) { // each takes a byte at least
		return nil, errCorrupt
	}
	o.texts = make([][]byte, count)
	for i := range o.texts {
		o.texts[i] = o.take()
	}
	o.count = o.number()
	if o.failed {
		return nil, errCorrupt
	}
	return o, nil
}

// A reader reads numbers and texts one after the other. After a failure it
// gives zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// take gives as many bytes as the number before them says.
func (r *reader) take() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// text gives the text that the next number points to.
func (r *reader) text(texts [][]byte) string {
	at := r.number()
	if at >= uint64(len(texts)) {
		r.failed = true
		return ""
	}
	return string(texts[at])
}

func (r *reader) header(texts [][]byte) []fattorino.Header {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	fields := make([]fattorino.Header, n)
	for i := range fields {
		fields[i].Name, fields[i].Value = r.text(texts), r.text(texts)
	}
	return fields
}

// attempt reads what follows the delivery and the number. It gives where in the
// request's body the event's data is missing; -1 = nowhere.
func (r *reader) attempt(texts [][]byte) (a *fattorino.Attempt, at int) {
	a = &fattorino.Attempt{StartedAt: time.UnixMicro(int64(r.number())), BatchOf: int64(r.number())}
	t := &a.Answer.Timing
	for _, phase := range []*time.Duration{&t.DNS, &t.Connect, &t.TLS, &t.FirstByte, &t.Total} {
		*phase = time.Duration(r.number()) * time.Microsecond
	}
	a.Answer.Status = int(r.number())
	flags := r.number()
	a.Request.Method, a.Request.URL = r.text(texts), r.text(texts)
	a.Request.Header = r.header(texts)
	a.Request.Body, at = r.body(texts, flags&hasRequest != 0), -1
	if flags&withoutData != 0 {
		at = len(a.Request.Body)
		a.Request.Body = append(a.Request.Body, r.text(texts)...)
	}
	a.Answer.Header = r.header(texts)
	a.Answer.Body = r.body(texts, flags&hasAnswer != 0)
	a.Answer.Truncated = flags&truncated != 0
	a.Answer.Failure, a.Answer.Detail = fattorino.Failure(r.text(texts)), r.text(texts)
	r.failed = r.failed || flags > knownFlags
	return a, at
}

func (r *reader) body(texts [][]byte, there bool) []byte {
	text := r.text(texts)
	if !there {
		return nil
	}
	return []byte(text)
}
