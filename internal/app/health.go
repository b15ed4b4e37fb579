package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A gate stands before the routes: until it is opened, and once it is closed,
// it says that the app is up and not ready.
type gate struct {
	routes  atomic.Pointer[http.Handler]
	closing atomic.Bool
}

func (g *gate) open(routes http.Handler) { g.routes.Store(&routes) }

// close has /readyz say that the app is stopping. Requests that come in while
// those under way are finished are still answered.
func (g *gate) close() { g.closing.Store(true) }

// ServeHTTP hands on, or answers for an app that is starting.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch routes := g.routes.Load(); {
	case r.URL.Path == "/healthz":
		writeText(w, http.StatusOK, "up")
	case r.URL.Path == "/readyz" && g.closing.Load():
		writeText(w, http.StatusServiceUnavailable, "stopping")
	case routes != nil:
		(*routes).ServeHTTP(w, r)
	default:
		w.Header().Set("Retry-After", "2")
		writeText(w, http.StatusServiceUnavailable, "starting")
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a caller that has gone away is no error of ours
}

// readyWithin is how long the store may take to answer that it is well.
const readyWithin = 2 * time.Second

// ready answers whether the app serves: whether its store can be read, and
// written to.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := a.store.check(ctx); err != nil {
		a.log.WarnContext(ctx, "not ready", "error", err)
		writeText(w, http.StatusServiceUnavailable, "the store fails")
		return
	}
	text := "ready"
	if a.node != nil {
		text = fmt.Sprintf("ready: %d of %d parts", a.node.Parts(), a.shared.Parts())
	}
	writeText(w, http.StatusOK, text)
}

// A watchedStore remembers whether the store took what was last written.
type watchedStore struct {
	fattorino.Store
	failing atomic.Bool
	probing sync.Mutex
}

// Commit implements [fattorino.Store].
func (s *watchedStore) Commit(ctx context.Context, b *fattorino.Batch) error {
	err := s.Store.Commit(ctx, b)
	s.note(err)
	return err
}

// Update implements [fattorino.Store].
func (s *watchedStore) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	err := s.Store.Update(ctx, f)
	s.note(err)
	return err
}

// note tells an error of the store from one of a use case, which is of another
// kind.
func (s *watchedStore) note(err error) {
	if err == nil {
		s.failing.Store(false)
		return
	}
	if kind := fattorino.KindOf(err); kind == fattorino.Unavailable || kind == fattorino.Internal {
		s.failing.Store(true)
	}
}

// check reads from the store. Where the last write failed it writes as well,
// one caller at a time: an app that is not ready is sent nothing by which it
// could find out that it is well again.
func (s *watchedStore) check(ctx context.Context) error {
	if _, err := s.Apps(ctx, 0, 1); err != nil {
		return err
	}
	if !s.failing.Load() {
		return nil
	}
	s.probing.Lock()
	defer s.probing.Unlock()
	return s.Update(ctx, func(tx fattorino.Tx) error {
		return tx.Count(&fattorino.Counter{Name: "readyz", Window: time.Now().Truncate(time.Minute)})
	})
}
