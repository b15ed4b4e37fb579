package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

func ask(t *testing.T, h http.Handler, path string) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return w.Code
}

func TestTheGateSaysHowFarTheAppIs(t *testing.T) {
	t.Parallel()
	g := &gate{}
	expect := func(when string, healthz, readyz, other int) {
		t.Helper()
		if a, b, c := ask(t, g, "/healthz"), ask(t, g, "/readyz"), ask(t, g, "/v1/apps"); a != healthz || b != readyz || c != other {
			t.Errorf("%s: healthz %d, readyz %d, else %d", when, a, b, c)
		}
	}
	expect("starting", http.StatusOK, http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	g.open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	expect("serving", http.StatusOK, http.StatusNoContent, http.StatusNoContent)
	g.close()
	expect("stopping", http.StatusOK, http.StatusServiceUnavailable, http.StatusNoContent)
}

// breakable is a store whose disk can be full.
type breakable struct {
	fattorino.Store
	full   atomic.Bool
	writes atomic.Int64
}

func (b *breakable) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	b.writes.Add(1)
	if b.full.Load() {
		return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "nothing can be stored at the moment"}
	}
	return b.Store.Update(ctx, f)
}

func openStore(t *testing.T) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestReadyFollowsTheStore(t *testing.T) {
	t.Parallel()
	disk := &breakable{Store: openStore(t)}
	a := &App{store: &watchedStore{Store: disk}, log: slog.New(slog.DiscardHandler)}
	ready := http.HandlerFunc(a.ready)
	write := func() error {
		return a.store.Update(t.Context(), func(tx fattorino.Tx) error { return tx.EnsureCompany(1, time.Now()) })
	}

	if got := ask(t, ready, "/"); got != http.StatusOK || disk.writes.Load() != 0 {
		t.Errorf("got %d with %d writes; a store that is well is only read", got, disk.writes.Load())
	}
	refused := a.store.Update(t.Context(), func(fattorino.Tx) error { return fattorino.Errorf(fattorino.Invalid, "no") })
	if refused == nil || ask(t, ready, "/") != http.StatusOK {
		t.Error("a use case that refuses passes for a store that fails")
	}
	disk.full.Store(true)
	if ask(t, ready, "/") != http.StatusOK {
		t.Error("nobody has written since the disk is full")
	}
	if write() == nil || ask(t, ready, "/") != http.StatusServiceUnavailable {
		t.Error("the store cannot write, and the app says that it is ready")
	}
	disk.full.Store(false) // and nothing else is written
	if ask(t, ready, "/") != http.StatusOK {
		t.Error("the store can write again, and the app says that it is not ready")
	}
}

func TestAStoreThatCannotBeReadIsNotReady(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	a := &App{store: &watchedStore{Store: store}, log: slog.New(slog.DiscardHandler)}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if ask(t, http.HandlerFunc(a.ready), "/") != http.StatusServiceUnavailable {
		t.Error("a closed store is ready")
	}
}
