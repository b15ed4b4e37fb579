package simulation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// A world is one run: a store, the program on it, one life after another, its
// users and the sinks.
type world struct {
	*testing.T
	chance  chance
	kit     *kit
	dir     string
	history *history
	sinks   *sinks
	calm    bool // a seed without faults of the program's own side
	healed  atomic.Bool
	outages [][2]time.Time // when the store cannot write
	keeps   time.Duration  // how long events are kept; 0 = for ever

	mu      sync.Mutex
	live    *life                              // nil while the program is down
	changed chan struct{}                      // closed when live changes
	owned   map[string]*fattorino.Subscription // by sink
}

// A life is the program from a start to its stop or crash.
type life struct {
	*world
	number  int
	dir     string
	clock   clock
	ring    *sign.Ring
	store   *sqlite.Store
	engine  *engine.Engine
	service *fattorino.Service
	limits  engine.Limits
	full    bool // its disk is, or will be

	writing       sync.Mutex // held during a write of the real store, and while its files are copied
	dead          atomic.Bool
	doomed        atomic.Bool    // its store writes no more
	calls         sync.WaitGroup // of users, under way
	crashed       chan struct{}  // closed when it has crashed
	doomedC       chan struct{}  // closed when it is to crash soon
	writes, reads atomic.Int64
}

func newWorld(t *testing.T, seed uint64, k *kit) *world {
	w := &world{
		T: t, chance: chance(seed), kit: k, dir: k.folder(t),
		history: &history{begun: time.Now()}, changed: make(chan struct{}), owned: map[string]*fattorino.Subscription{},
	}
	w.keeps = pick(w.chance, []time.Duration{0, 0, 0, time.Minute, 15 * time.Minute, 3 * time.Hour}, "retention")
	w.calm = w.chance.oneIn(6, "calm")
	w.sinks = &sinks{world: w, seen: map[string]int{}}
	at := time.Now()
	for i := range w.chance.draw(4, "outages") {
		at = at.Add(w.chance.between(5*time.Second, 15*time.Minute, "outage", i))
		end := at.Add(w.chance.between(time.Second, 3*time.Minute, "outage lasts", i))
		w.outages = append(w.outages, [2]time.Time{at, end})
	}
	return w
}

// faults tells whether the program and its store may fail now.
func (w *world) faults() bool { return !w.calm && !w.healed.Load() }

// down tells whether the store cannot write at the time.
func (w *world) down(at time.Time) bool {
	for _, o := range w.outages {
		if w.faults() && !at.Before(o[0]) && at.Before(o[1]) {
			return true
		}
	}
	return false
}

// start opens the store of the folder and starts the program on it.
func (w *world) start(number int, dir string) *life {
	l := &life{
		world: w, number: number, dir: dir, clock: w.clock(number), crashed: make(chan struct{}), doomedC: make(chan struct{}),
		limits: engine.Limits{
			Lane:   pick(w.chance, []int{1, 2, 8}, "lane", number),
			Host:   pick(w.chance, []int{2, 64}, "host", number),
			Node:   pick(w.chance, []int{4, 2048}, "node", number),
			Window: pick(w.chance, []int{2, 5, 1024}, "window", number),
		},
	}
	options := sqlite.Options{Dir: dir, RecentIDs: pick(w.chance, []int{1, 9, 40, 0}, "recent", number)}
	if w.faults() && w.chance.oneIn(6, "full disk", number) {
		l.full = true
		options.MaxPages = pages(dir) + w.chance.draw(12, "free pages", number)
	}
	var err error
	if l.store, err = sqlite.Open(context.Background(), options); err != nil {
		w.Fatalf("open: %v", err)
	}
	if l.ring, err = w.kit.ring(l.store); err != nil {
		w.Fatal(err)
	}
	ofFIC, err := fic.New(fic.Options{Signer: ficSigner{l.ring}})
	if err != nil {
		w.Fatal(err)
	}
	contracts := append([]fattorino.Contract{ofFIC}, w.kit.contracts...)
	before := &store{Store: &dated{l.store, l.clock}, world: w, life: l}
	l.engine, err = engine.New(engine.Config{
		Store: before, Contracts: contracts, CompileFilters: compileFilters, Retention: w.keeps,
		Sender: &sender{w.sinks, l}, Log: slog.New(slog.NewTextHandler(&logNotes{l}, &slog.HandlerOptions{Level: slog.LevelWarn})), Limits: l.limits,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.history.add(l, &started{l.limits.Lane, l.clock, w.keeps})
	if err := l.engine.Start(context.Background()); err != nil {
		w.Fatalf("start: %v", err)
	}
	l.service, err = fattorino.NewService(fattorino.Config{
		Store: before, Engine: l.engine, Contracts: contracts,
		Limits:         fattorino.Limits{Subscriptions: 100, AwaitSink: 2 * time.Second},
		CheckSink:      func(string) error { return nil },
		CompileFilters: compileFilters,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.set(l)
	return l
}

func compileFilters(filters []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(filters)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}

// pages gives how many pages the database has.
func pages(dir string) int {
	info, err := os.Stat(filepath.Join(dir, "fattorino.db"))
	if err != nil {
		return 1
	}
	return int(info.Size() / 4096)
}

func (w *world) set(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = l
	close(w.changed)
	w.changed = make(chan struct{})
}

// call has a user call the program, once it is up.
func (w *world) call(f func(*life)) {
	for {
		w.mu.Lock()
		l, changed := w.live, w.changed
		if l != nil {
			l.calls.Add(1)
		}
		w.mu.Unlock()
		if l != nil {
			defer l.calls.Done()
			f(l)
			return
		}
		<-changed
	}
}

// stop stops the program as a signal does, and gives the folder to go on from.
func (l *life) stop() string {
	l.set(nil)
	if l.faults() {
		l.calls.Wait() // as the program waits for its HTTP server
	}
	l.history.add(l, &stopping{})
	ctx, cancel := context.WithTimeout(context.Background(), pick(l.chance, []time.Duration{0, time.Second, 15 * time.Second}, "patience", l.number))
	defer cancel()
	err := l.engine.Stop(ctx)
	select {
	case <-l.crashed:
	default:
		l.history.add(l, &stopped{err})
	}
	l.dead.Store(true)
	if err := l.store.Close(); err != nil {
		l.Errorf("close: %v", err)
	}
	select {
	case <-l.crashed:
		return l.next()
	default:
		return l.dir
	}
}

// crash abandons the program: what its files hold at this moment is what is
// left of it.
func (l *life) crash(where string) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.crashLocked(where)
}

// crashLocked is crash for who holds l.writing.
func (l *life) crashLocked(where string) {
	l.crashWith(where, func(wal []byte) []byte { return wal })
}

func (l *life) crashWith(where string, cut func(wal []byte) []byte) {
	l.history.mu.Lock() // nothing happens between the copy and the end
	defer l.history.mu.Unlock()
	if l.dead.Load() {
		return
	}
	l.history.put(l, &crashed{where})
	l.dead.Store(true)
	l.copyTo(l.next(), cut)
	close(l.crashed)
}

// next is the folder that a crash leaves its files in.
func (l *life) next() string { return filepath.Join(l.world.dir, fmt.Sprint(l.number+1)) }

func (l *life) copyTo(dir string, cut func(wal []byte) []byte) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		l.Errorf("crash: %v", err)
	}
	for _, name := range []string{"fattorino.db", "fattorino.db-wal"} {
		content, err := os.ReadFile(filepath.Join(l.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if strings.HasSuffix(name, "-wal") {
			content = cut(content)
		}
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600)); err != nil {
			l.Errorf("crash: %v", err)
		}
	}
}

// fileSizes tells how far the database and its log have got.
type fileSizes struct {
	wal     int64
	touched time.Time // when the database itself was last written
}

func (l *life) sizes() (s fileSizes) {
	if info, err := os.Stat(filepath.Join(l.dir, "fattorino.db-wal")); err == nil {
		s.wal = info.Size()
	}
	if info, err := os.Stat(filepath.Join(l.dir, "fattorino.db")); err == nil {
		s.touched = info.ModTime()
	}
	return s
}

// crashTorn crashes in the middle of the COMMIT that has made the log grow
// since before. It gives false where the log did not simply grow: then there is
// nothing to tear.
func (l *life) crashTorn(before fileSizes) bool {
	now := l.sizes()
	if now.wal <= before.wal || !now.touched.Equal(before.touched) {
		return false
	}
	length := before.wal + int64(l.chance.draw(int(now.wal-before.wal), "torn", l.number))
	l.crashWith("inside a COMMIT", func(wal []byte) []byte { return wal[:length] })
	return true
}

// waitForWrite returns when a write that is under way has been noted.
func (l *life) waitForWrite() {
	l.writing.Lock()
	defer l.writing.Unlock()
}

// doom has every further write fail until the program crashes, which it does
// soon.
func (l *life) doom() {
	if !l.doomed.Swap(true) {
		close(l.doomedC)
	}
}

// bury ends what an abandoned program still does, and gives the folder to go on
// from.
func (l *life) bury() string {
	l.set(nil)
	l.calls.Wait() // they fail
	at, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.engine.Stop(at) // it is dead: its store fails
	if err := l.store.Close(); err != nil {
		l.Errorf("close: %v", err)
	}
	return l.next()
}

// supervise lets the program live one life after another until done, and gives
// the last.
func (w *world) supervise(done <-chan struct{}) *life {
	l := w.start(1, w.dir)
	defer time.AfterFunc(200*24*time.Hour, func() { panic("the users wait for ever") }).Stop()
	for {
		var stop, crash <-chan time.Time
		after := time.After(w.chance.between(time.Second, 12*time.Minute, "life", l.number))
		switch {
		case l.number > 5:
		case w.chance.oneIn(2, "stops", l.number):
			stop = after
		case w.faults():
			crash = after
		}
		var dir string
		select {
		case <-done:
			return w.last(l)
		case <-l.crashed:
			dir = l.bury()
		case <-l.doomedC:
			pass(w.chance.between(0, 20*time.Second, "doomed", l.number))
			l.crash("after a failed COMMIT that was written")
			dir = l.bury()
		case <-crash:
			l.crash("at a time")
			dir = l.bury()
		case <-stop:
			dir = l.stop()
		}
		pass(w.chance.between(time.Millisecond, time.Minute, "downtime", l.number))
		l = w.start(l.number+1, dir)
	}
}

// last gives the life that is there when the users have gone. One that cannot
// write any more gives way to another.
func (w *world) last(l *life) *life {
	w.healed.Store(true)
	w.history.add(l, note("all faults end here"))
	synctest.Wait() // for the last write that a fault was drawn for
	well := !l.doomed.Load() && !l.dead.Load()
	if well && !l.full {
		return l // what it has forgotten is not read anew
	}
	if well {
		return w.start(l.number+1, l.stop()) // with room on the disk
	}
	l.crash("after a failed COMMIT that was written")
	return w.start(l.number+1, l.bury())
}

// logNotes puts what the program logs into the history.
type logNotes struct{ *life }

func (n *logNotes) Write(line []byte) (int, error) {
	n.history.add(n.life, note("log: "+string(bytes.TrimSpace(line))))
	return len(line), nil
}

var _ io.Writer = (*logNotes)(nil)
