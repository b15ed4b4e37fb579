package egress

import (
	"context"
	"sync"
	"sync/atomic"
)

// A watch aborts the exchanges under a context when it ends. They share it: a
// [context.AfterFunc] for each would cost as much as its signature does.
type watch struct {
	done <-chan struct{} // the context's
	stop func() bool     // ends the watch with its only exchange; nil = it goes on

	mu        sync.Mutex
	exchanges []*exchange
	ended     bool
}

// add has the exchange aborted when the context ends.
func (w *watch) add(x *exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.place = len(w.exchanges)
	w.exchanges = append(w.exchanges, x)
	if w.ended {
		x.conn.abort()
	}
}

// remove ends that, and tells whether the exchange was left alone.
func (w *watch) remove(x *exchange) (undisturbed bool) {
	if w.stop != nil {
		w.stop()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.exchanges) - 1
	w.exchanges[x.place], w.exchanges[last].place = w.exchanges[last], x.place
	w.exchanges[last] = nil
	w.exchanges = w.exchanges[:last]
	return !w.ended
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, x := range w.exchanges {
		x.conn.abort()
	}
}

// A watcher keeps the watch over the context that most exchanges have: the one
// without a deadline that came last.
type watcher struct{ kept atomic.Pointer[watch] }

// over gives the watch over a context; nil where it never ends.
func (w *watcher) over(ctx context.Context) *watch {
	done := ctx.Done()
	if done == nil {
		return nil
	}
	if kept := w.kept.Load(); kept != nil && kept.done == done {
		return kept
	}
	fresh := &watch{done: done}
	stop := context.AfterFunc(ctx, fresh.end)
	if _, bounded := ctx.Deadline(); bounded {
		fresh.stop = stop
	} else {
		w.kept.Store(fresh)
	}
	return fresh
}
