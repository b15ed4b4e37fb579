package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/schema"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// awaitSink is how long the creation of a subscription waits for the outcome
// of its handshake (A1).
const awaitSink = 2 * time.Second

// Options are what an App is made of besides its settings.
type Options struct {
	Config
	Log     io.Writer // where the log goes
	LogText bool      // what log_format "auto" stands for: text, not JSON

	Warnings []string // what the operator should know besides; logged at the start
}

// An App is the whole program. New binds its address, Start sets it going, and
// Stop ends it.
type App struct {
	config   Config
	lines    *lineWriter
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics

	listener net.Listener
	server   *server
	gate     gate
	failed   chan error

	store   *watchedStore
	shared  fattorino.Shared // nil where the store is this process's alone
	node    *postgres.Node   // likewise
	since   time.Time        // when it was made
	engine  *engine.Engine
	service *fattorino.Service

	firstAdminToken string
	served          bool

	stopping context.Context //nolint:containedctx // ends what would else wait on: long polls
	stopNow  context.CancelFunc
	parts    []part // what is running, in the order of its start
	once     sync.Once
	stopped  error
}

// New checks the settings and takes the address, so that errors in either come
// at once. It fails with a [SettingError] for each setting that is wrong.
func New(ctx context.Context, o Options) (*App, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &App{config: o.Config, lines: newLineWriter(o.Log), registry: prometheus.NewRegistry(), failed: make(chan error, 1), since: time.Now()}
	a.metrics = newMetrics(a.registry)
	a.log = newLog(&a.config, a.lines, o.LogText)
	for _, warning := range o.Warnings {
		a.log.Warn("the environment wants a look", "found", warning)
	}
	a.stopping, a.stopNow = context.WithCancel(context.Background())
	var err error
	if a.listener, err = listen(ctx, o.Listen); err != nil {
		return nil, err
	}
	a.onStop("log", time.Second, func(context.Context) error {
		if a.served {
			a.log.Info("stopped")
		}
		return a.lines.Flush()
	})
	a.server = newServer(a.log, a.harden((&bodies{limit: o.MaxRequestBytes}).bound(&a.gate)), newConnections(o.MaxConnections))
	a.onStop("http server", time.Second, func(context.Context) error { return a.closeServer() })
	return a, nil
}

// listen takes the address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("the address %s is in use by another program", address),
			Fix: "stop that program, or set listen to another address", Err: err,
		}
	}
	if err != nil {
		return nil, &fattorino.Error{
			Kind: fattorino.Invalid, Msg: fmt.Sprintf("cannot listen on %s: %v", address, err),
			Fix: "set listen to an address of this machine", Err: err,
		}
	}
	return l, nil
}

// Addr is the address served on, with the port that was found for port 0.
func (a *App) Addr() netip.AddrPort {
	addr, _ := a.listener.Addr().(*net.TCPAddr) // listen makes no other
	return netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), addr.AddrPort().Port())
}

// URL is where the app is reached on this machine.
func (a *App) URL() string {
	addr := a.Addr()
	if ip := addr.Addr(); ip.IsUnspecified() {
		local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		addr = netip.AddrPortFrom(local, addr.Port())
	}
	return "http://" + addr.String()
}

// FirstAdminToken is the admin token that Start made for a store that had none;
// empty else. It is to be shown once and kept nowhere.
func (a *App) FirstAdminToken() string { return a.firstAdminToken }

// Failed gives the error that made the app stop serving of its own.
func (a *App) Failed() <-chan error { return a.failed }

// Start sets everything going: first the server, which answers that it is up
// and not yet ready, then what it stands on, from the ground up. On an error
// everything that was started is stopped.
func (a *App) Start(ctx context.Context) error {
	go a.serve()
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	where := []any{"url", a.URL(), "data", a.config.Data}
	if a.config.Database != "" {
		where = append(where, "database", a.config.Database) // which has no password in it
	}
	a.log.Info("serving", where...)
	a.served = true
	return nil
}

func (a *App) start(ctx context.Context) error {
	if err := a.openStore(ctx); err != nil {
		return err
	}
	vault, err := a.openVault(ctx)
	if err != nil {
		return err
	}
	keys, err := openKeyring(ctx, a.store, vault)
	if err != nil {
		return err
	}
	policy, err := a.config.policy(a.Addr())
	if err != nil {
		return err
	}
	keychain := sign.NewKeychain(vault)
	contracts, err := a.makeContracts(keys.ring, keychain)
	if err != nil {
		return err
	}
	if err := a.startEngine(ctx, policy, contracts.all()); err != nil {
		return err
	}
	keys.store = a.engine
	if err := a.makeService(policy, contracts.all()); err != nil {
		return err
	}
	if err := a.loadTypes(ctx); err != nil {
		return err
	}
	routes, err := a.routes(keys, &masterKeyring{vault: vault, keychain: keychain, store: a.store, engine: a.engine, alone: a.alone}, contracts)
	if err != nil {
		return err
	}
	// Last, for what fails now would take a token with it that nobody has seen.
	if a.firstAdminToken, err = a.service.FirstAdminToken(ctx); err != nil {
		return fmt.Errorf("make the first admin token: %w", err)
	}
	a.startNode(ctx, keys)
	a.gate.open(routes)
	a.onStop("requests", 10*time.Second, a.finishRequests)
	a.warn()
	return nil
}

// A closingStore is a store that was opened.
type closingStore interface {
	fattorino.Store
	Close() error
}

// openStore opens the database where one is set, and else the file in the data
// folder, which is made: it keeps the master keys in any case.
func (a *App) openStore(ctx context.Context) error {
	if a.config.Database == "" {
		store, err := sqlite.Open(ctx, sqlite.Options{Dir: a.config.Data, Log: a.log})
		if err == nil {
			a.useStore(store)
		}
		return err
	}
	if err := os.MkdirAll(a.config.Data, 0o700); err != nil {
		return &fattorino.Error{Kind: fattorino.Invalid, Msg: fmt.Sprintf("cannot make the data folder: %v", err), Fix: "set data to a folder that can be written to", Err: err}
	}
	o := postgres.Options{URL: a.config.Database, Password: a.config.DatabasePassword, Listen: a.config.DatabaseListen}
	store, err := postgres.Open(ctx, o)
	if err != nil {
		return err
	}
	a.useStore(store)
	return a.joinNodes(ctx, o, store)
}

func (a *App) useStore(store closingStore) {
	a.store = &watchedStore{Store: store}
	a.onStop("store", 5*time.Second, func(context.Context) error { return store.Close() })
}

// startEngine makes the way out and what uses it.
func (a *App) startEngine(ctx context.Context, policy egress.Policy, contracts []fattorino.Contract) error {
	authorities, err := rootCAs(a.config.SinkCAFile)
	if err != nil {
		return err
	}
	client := egress.NewClient(policy, egress.Options{
		ConnectTimeout: time.Duration(a.config.ConnectTimeout), TotalTimeout: time.Duration(a.config.AttemptTimeout),
		RootCAs: authorities, KeepBody: 64 << 10, // an answer to a challenge may be as long (A11)
	})
	a.onStop("connections to sinks", time.Second, func(context.Context) error {
		client.Close()
		return nil
	})
	log := a.log
	if !a.config.LogAttempts {
		log = slog.New(withoutAttempts{log.Handler()})
	}
	a.engine, err = engine.New(engine.Config{
		Store: a.store, Shared: a.shared, Contracts: contracts, CompileFilters: compileFilters, Sender: client, Log: log,
		Limits: engine.Limits{
			Lane: a.config.LaneLimit, Host: a.config.HostLimit, Node: a.config.NodeLimit,
			Window: a.config.Window, WindowBytes: a.config.WindowBytes,
		},
		Retention: time.Duration(a.config.Retention), Metrics: a.registry, Held: a.held(), ProcessorWait: newProcessorWait(),
	})
	if err != nil {
		return err
	}
	if err := a.engine.Start(ctx); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	a.onStop("engine", 15*time.Second, a.engine.Stop)
	return nil
}

func (a *App) makeService(policy egress.Policy, contracts []fattorino.Contract) (err error) {
	exempt, err := parseHostPatterns(a.config.ExemptSinks)
	if err != nil {
		return err
	}
	config := fattorino.Config{
		Store: a.store, Engine: a.engine, Contracts: contracts,
		Limits:    fattorino.Limits{Subscriptions: a.config.SubscriptionLimit, AwaitSink: awaitSink},
		CheckSink: policy.CheckSink, CompileFilters: compileFilters, Exempt: exempt.match,
		OwnContract: native.Name, CompileSchema: schema.Compile,
	}
	if a.config.AdminToken != "" {
		config.AdminTokenHash = fattorino.HashSecret(a.config.AdminToken)
	}
	a.service, err = fattorino.NewService(config)
	return err
}

// loadTypes puts the operator's event types in force: those that are kept, and
// those of the file of types.
func (a *App) loadTypes(ctx context.Context) error {
	if err := a.service.LoadOwnTypes(ctx); err != nil {
		return err
	}
	types, groups, err := readTypes(a.config.TypesFile)
	if err != nil {
		return &SettingError{Key: "types_file", Problem: err.Error()}
	}
	if err := a.service.ApplyOwnTypes(ctx, types, groups); err != nil {
		e := *fattorino.AsError(err)
		e.Msg = "types_file: " + e.Msg
		return &e
	}
	return nil
}

func (a *App) quotas() fic.Quotas {
	return fic.Quotas{Hourly: a.config.FICHourlyQuota, Monthly: a.config.FICMonthlyQuota, Short: a.config.FICShortQuota}
}

func (a *App) apiLimits() api.Limits {
	return api.Limits{EventBytes: a.config.MaxEventBytes, BatchBytes: a.config.MaxBatchBytes, BatchEvents: a.config.MaxBatchEvents}
}

// warn says what an operator should know of the settings.
func (a *App) warn() {
	if a.config.Dev {
		a.log.Warn("dev is on: sinks on this machine and plain http to them are allowed; not for production")
	}
	if a.config.Sandbox {
		a.log.Warn("sandbox is on: its invoices at /invoices are for trials; not for production")
	}
	if a.config.AllowNoHandshake {
		a.log.Warn("allow_no_handshake is on: whoever has a token can have notifications sent to any public URL")
	}
	if a.config.Database != "" && sqlite.LeftBehind(a.config.Data) {
		a.log.Warn("the data folder has a database of its own, from which nothing is sent: fattorino migrate-data moves it", "data", a.config.Data)
	}
	if n := len(a.config.AdminToken); n > 0 && n < 16 {
		a.log.Warn("the admin token is short and could be guessed: use 16 characters or more")
	}
}

// A part is something that runs, and how it is ended.
type part struct {
	name  string
	limit time.Duration // how long its end may take
	stop  func(context.Context) error
}

func (a *App) onStop(name string, limit time.Duration, stop func(context.Context) error) {
	a.parts = append(a.parts, part{name, limit, stop})
}

// Stop ends everything in the reverse order of its start: no request is taken
// any more and those under way are finished, attempts under way end and are
// written, the store is closed. Each step is bounded, all of them by about half
// a minute, so that a supervisor need not kill. It may be called more than
// once, and before Start; not while Start runs, which is ended by its context.
func (a *App) Stop(ctx context.Context) error {
	a.once.Do(func() {
		if a.served {
			a.log.Info("stopping")
		}
		a.gate.close()
		a.stopNow()
		var all []error
		for i := len(a.parts) - 1; i >= 0; i-- {
			p := a.parts[i]
			bounded, cancel := context.WithTimeout(ctx, p.limit)
			if err := p.stop(bounded); err != nil {
				all = append(all, fmt.Errorf("stop %s: %w", p.name, err))
			}
			cancel()
		}
		a.stopped = errors.Join(all...)
	})
	return a.stopped
}
