package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// newServer makes the server. Its timeouts are for clients that are slow on
// purpose; a long poll, of half a minute at most, fits in all of them.
func newServer(log *slog.Logger, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what it reports is the doing of clients
	}
}

// serve answers requests until the server is shut down.
func (a *App) serve() {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		a.failed <- err
	}
}

// finishRequests takes no more requests and waits for those under way; what
// does not end in time, as an upload that has stopped, is cut off.
func (a *App) finishRequests(ctx context.Context) error {
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("requests that did not end in time were cut off")
		return a.server.Close()
	}
	return err
}

// closeServer cuts off what is left: nothing, where requests could be
// finished. The listener is closed as well if it never served.
func (a *App) closeServer() error {
	err := a.server.Close()
	if closed := a.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
