package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A load is events to publish, numbered from first.
type load struct {
	first      int
	events     int
	batch      int // events in a request
	publishers int
	rate       float64                // events/s; 0 = as fast as they are answered
	most       time.Duration          // no more is begun after it; 0 = all events are published
	prefix     string                 // of the events' ids, where a server gets several loads
	company    func(event int) int    // nil = company 1
	kind       func(event int) string // its type; nil = eventType
}

// eventType is what is published and subscribed to: a common name, which every
// contract hears.
const eventType = "invoice.created"

// publish publishes the load on a kept-alive connection for each publisher,
// and notes when each event was sent. It gives how many events were accepted.
func (s *server) publish(ctx context.Context, l load, sent []atomic.Int64) (accepted int, err error) {
	var next, done atomic.Int64
	begun := time.Now()
	errs := make(chan error, l.publishers)
	servers := s.all() // in turn
	for i := range l.publishers {
		go func() { errs <- servers[i%len(servers)].publisher(ctx, l, &next, &done, begun, sent) }()
	}
	var all []error
	for range l.publishers {
		all = append(all, <-errs)
	}
	return int(done.Load()), errors.Join(all...)
}

// publisher publishes one request after the other until there are no more.
func (s *server) publisher(ctx context.Context, l load, next, done *atomic.Int64, begun time.Time, sent []atomic.Int64) error {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	var request, body []byte
	for {
		place := int(next.Add(int64(l.batch))) - l.batch
		if place >= l.events || ctx.Err() != nil || (l.most > 0 && time.Since(begun) > l.most) {
			return ctx.Err()
		}
		if l.rate > 0 {
			time.Sleep(time.Until(begun.Add(time.Duration(float64(place) / l.rate * float64(time.Second)))))
		}
		first, last := l.first+place, l.first+min(place+l.batch, l.events)
		body = l.appendBody(body[:0], first, last)
		request = s.appendRequest(request[:0], l.contentType(), body)
		now := time.Now().UnixNano()
		for event := first; event < last; event++ {
			sent[event].Store(now)
		}
		if _, err := c.Write(request); err != nil {
			return err
		}
		if err := readAccepted(in); err != nil {
			return err
		}
		done.Add(int64(last - first))
	}
}

func (l load) contentType() string {
	if l.batch > 1 {
		return "application/cloudevents-batch+json"
	}
	return "application/cloudevents+json"
}

// appendBody adds the body of one request to b. It is written by hand, for the
// load shares its cores with what it measures.
func (l load) appendBody(b []byte, first, last int) []byte {
	if l.batch == 1 {
		return l.appendEvent(b, first)
	}
	for event := first; event < last; event++ {
		separator := byte(',')
		if event == first {
			separator = '['
		}
		b = l.appendEvent(append(b, separator), event)
	}
	return append(b, ']')
}

// appendEvent adds an event of about 500 bytes.
func (l load) appendEvent(b []byte, event int) []byte {
	company, kind := 1, eventType
	if l.company != nil {
		company = l.company(event)
	}
	if l.kind != nil {
		kind = l.kind(event)
	}
	b = append(b, `{"specversion":"1.0","id":"`...)
	b = strconv.AppendInt(append(b, l.prefix...), int64(event), 10)
	b = append(append(b, `","source":"/bench","type":"`...), kind...)
	b = strconv.AppendInt(append(b, `","subject":"company:`...), int64(company), 10)
	b = append(b, `","time":"2026-03-01T10:00:00Z","datacontenttype":"application/json","data":`...)
	return append(appendData(b, event), '}')
}

// appendData adds the data of an event, by which the sink knows it again.
func appendData(b []byte, event int) []byte {
	b = strconv.AppendInt(append(b, `{"id":`...), int64(event+1), 10)
	b = strconv.AppendInt(append(b, `,"number":"2026/`...), int64(event), 10)
	b = append(b, `","total":12.50,"note":"`...)
	for range 240 {
		b = append(b, 'x')
	}
	return append(b, `"}`...)
}

// appendRequest adds a whole request to b, to be written at once.
func (s *server) appendRequest(b []byte, contentType string, body []byte) []byte {
	b = append(append(b, "POST /v1/events HTTP/1.1\r\nHost: "...), s.address...)
	b = append(append(b, "\r\nAuthorization: Bearer "...), adminToken...)
	b = append(append(b, "\r\nContent-Type: "...), contentType...)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(body)), 10)
	return append(append(b, "\r\n\r\n"...), body...)
}

// readAccepted reads an answer to its end, and fails unless it is 202. It is
// written by hand for the same reason: http.ReadResponse costs 5 µs.
func readAccepted(in *bufio.Reader) error {
	status, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	length, err := readHeader(in)
	if err != nil {
		return err
	}
	body := io.LimitReader(in, int64(length))
	if length < 0 {
		body = httputil.NewChunkedReader(in)
	}
	if !strings.HasPrefix(status, "HTTP/1.1 202 ") {
		text, _ := io.ReadAll(body)
		return fmt.Errorf("events were not accepted: %s%s", status, text)
	}
	if _, err := io.Copy(io.Discard, body); err != nil || length >= 0 {
		return err
	}
	_, err = in.ReadString('\n') // the empty line after the last chunk
	return err
}

// readHeader reads the fields of an answer, and gives the length of its body;
// -1 where it comes in chunks.
func readHeader(in *bufio.Reader) (length int, err error) {
	for length = -1; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= len("\r\n") {
			return length, nil
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); string(name) == "Content-Length" {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}
