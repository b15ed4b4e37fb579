package inspect

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// ServeHTTP takes whatever is sent to a bin's URL. Nobody needs to sign in for
// that: the URL cannot be guessed.
func (b *Bins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	shield(w.Header())
	at := time.Now()
	bin, err := b.find(r.Context(), r.PathValue("bin"), at)
	if err == nil {
		err = bin.take(at) // what is too much is not read; record sees to it for all
	}
	if err != nil {
		refuse(w, err)
		return
	}
	request, err := b.read(w, r, at)
	if err != nil {
		refuse(w, err)
		return
	}
	if err := b.record(r.Context(), bin.ID, request); err != nil {
		refuse(w, err)
		return
	}
	if !b.wait(r.Context(), request.Given.Delay) {
		refuse(w, &fattorino.Error{Kind: fattorino.Unavailable, Msg: "too many answers wait at the moment", Fix: "try again", RetryAfter: time.Second})
		return
	}
	request.Given.send(w)
}

// refuse says in text why a request is not taken.
func refuse(w http.ResponseWriter, err error) {
	e := fattorino.AsError(err)
	status := http.StatusInternalServerError
	switch e.Kind { //nolint:exhaustive // the others are our own fault
	case fattorino.NotFound:
		status = http.StatusNotFound
	case fattorino.TooMany:
		status = http.StatusTooManyRequests
	case fattorino.Unavailable:
		status = http.StatusServiceUnavailable
	case fattorino.Malformed:
		status = http.StatusBadRequest
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, e.Msg, status)
}

// read reads a request, as far as it is kept.
func (b *Bins) read(w http.ResponseWriter, r *http.Request, at time.Time) (*Request, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_, long := errors.AsType[*http.MaxBytesError](err)
	switch told, ok := errors.AsType[*fattorino.Error](err); {
	case ok:
		return nil, told
	case err != nil && !long:
		return nil, &fattorino.Error{Kind: fattorino.Malformed, Msg: "the request broke off", Err: err}
	case long:
		body = body[:min(len(body), keptOfLong)]
	}
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		remote = r.RemoteAddr
	}
	return &Request{
		At: at, ReadIn: time.Since(at), Remote: remote, Method: r.Method, URL: b.base(r) + r.URL.RequestURI(), Path: below(r),
		Query: r.URL.RawQuery, Proto: r.Proto, Header: fields(r), Body: body, Cut: long,
	}, nil
}

// URL gives the address of a bin, as who made the request knows the service.
func (b *Bins) URL(r *http.Request, id string) string { return b.base(r) + Path + id }

// base gives the URL of the service, as who sent the request knows it: as it is
// set, else as the request says. Of one that has come through a proxy without a
// word about it, a host without a port tells: that is the one of https, where
// this service itself does not listen.
func (b *Bins) base(r *http.Request) string {
	if b.BaseURL != "" {
		return strings.TrimSuffix(b.BaseURL, "/")
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	address, err := netip.ParseAddr(host)
	here := host == "localhost" || (err == nil && address.IsLoopback())
	switch proto := r.Header.Get("X-Forwarded-Proto"); {
	case proto == "http" || proto == "https":
		return proto + "://" + r.Host
	case r.TLS != nil, port == "" && !here:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// below gives the path below the bin's URL.
func below(r *http.Request) string {
	_, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	if !found {
		return ""
	}
	return "/" + rest
}

// fields gives the header by name; those of one name in the order that they
// came in.
func fields(r *http.Request) []fattorino.Header {
	list := []fattorino.Header{{Name: "Host", Value: r.Host}}
	for name, values := range r.Header {
		for _, value := range values {
			list = append(list, fattorino.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(list, func(a, b fattorino.Header) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// record writes a request, with the answer that it gets, and tells who looks.
func (b *Bins) record(ctx context.Context, id string, r *Request) error {
	reading := Read(r)
	r.Token = b.checkToken(r, reading)
	err := b.Store.Update(ctx, func(tx fattorino.Tx) error {
		d, err := tx.Document(binKind, 0, id)
		now := time.Now()
		bin, err := inForce(d, err, now)
		if err != nil {
			return err
		}
		if err := bin.take(now); err != nil {
			return err
		}
		if r.Given = bin.next(reading); r.Cut {
			r.Given = Given{Why: TooLarge, Status: http.StatusRequestEntityTooLarge, Body: "The body is longer than a bin takes.\n"}
		}
		if err := putRequest(tx, bin, r); err != nil {
			return err
		}
		return putBin(tx, bin)
	})
	if err == nil {
		b.announce(id)
	}
	return err
}

// wait lets the time pass, or until nobody waits for the answer any more. It
// tells false where too many wait already.
func (b *Bins) wait(ctx context.Context, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	select {
	case b.waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-b.waiting }()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
	}
	return true
}
