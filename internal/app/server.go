package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/express"
)

// A server is that of net/http, with what takes the connections of publishers
// over from it.
type server struct {
	http    *http.Server
	express *express.Server
}

// newServer makes the server. Its timeouts are for clients that are slow on
// purpose; a long poll, of half a minute at most, fits in all of them.
func newServer(log *slog.Logger, h http.Handler, connections *connections) *server {
	const head, body, write, idle = 10 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute
	publishers := express.New(express.Config{
		Handler: h, Path: publishPath, Changed: connections.changed, Head: head, Body: body, Write: write, Idle: idle,
	})
	return &server{express: publishers, http: &http.Server{
		Handler:           publishers,
		ConnState:         connections.changed,
		ReadHeaderTimeout: head,
		ReadTimeout:       body,
		WriteTimeout:      write,
		IdleTimeout:       idle,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what it reports is the doing of clients
	}}
}

// serve answers requests until the server is shut down, and gives why it ended.
func (s *server) serve(l net.Listener) error {
	returned := s.express.Returned()
	defer returned.Close() //nolint:errcheck // it gives none
	go func() { _ = s.http.Serve(returned) }()
	return s.http.Serve(l)
}

// shutdown takes no more requests and waits for those under way.
func (s *server) shutdown(ctx context.Context) error {
	publishers := make(chan error, 1)
	go func() { publishers <- s.express.Shutdown(ctx) }()
	return errors.Join(s.http.Shutdown(ctx), <-publishers)
}

// close cuts off what is left.
func (s *server) close() error { return errors.Join(s.http.Close(), s.express.Close()) }

// serve answers requests until the server is shut down.
func (a *App) serve() {
	if err := a.server.serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		a.failed <- err
	}
}

// finishRequests takes no more requests and waits for those under way; what
// does not end in time, as an upload that has stopped, is cut off.
func (a *App) finishRequests(ctx context.Context) error {
	err := a.server.shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("requests that did not end in time were cut off")
		return a.server.close()
	}
	return err
}

// closeServer cuts off what is left: nothing, where requests could be
// finished. The listener is closed as well if it never served.
func (a *App) closeServer() error {
	err := a.server.close()
	if closed := a.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
