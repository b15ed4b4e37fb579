package crash_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", to check files with
)

// The program runs under strace, which records what it writes and syncs. From
// the record its files are made as they would be found if the power had been
// lost at some moment, and the program is started on them.
func TestWhatWasAcceptedIsThereAfterALossOfPower(t *testing.T) {
	t.Parallel()
	needTracer(t)
	p := newPowerTest(t, binary)
	for _, fault := range p.live(*images) {
		t.Error(fault)
	}
	t.Logf("%d images checked, %d events accepted, %d notifications", p.checked, len(p.said.accepted), len(p.said.heard))
	if p.checked < *images/2 || len(p.said.accepted) == 0 {
		t.Error("too little was checked")
	}
}

// many images are more than an everyday test looks at.
const many = 50

// What a test cannot find it does not prove: a program that does not sync what
// it should is found out.
func TestAProgramThatDoesNotSyncIsFoundOut(t *testing.T) {
	t.Parallel()
	needTracer(t)
	careless := []struct{ name, file, from, to string }{
		{"commits", "internal/sqlite/store.go", `"synchronous(FULL)"`, `"synchronous(NORMAL)"`},
		{"commits, and tells SQLite so", "internal/sqlite/sync_linux.go", `err := syscall.Fdatasync(int(f.Fh))`, `err := error(nil)`},
		{"nothing", "internal/sqlite/store.go", `"synchronous(FULL)"`, `"synchronous(OFF)"`},
		{"the name of the data folder", "internal/sqlite/folder.go", `f.Sync()`, `error(nil)`},
		{"the master keys", "internal/sign/masterkeys.go", `err = f.Sync()`, `_ = f`},
	}
	if *images < many {
		careless = careless[:1] // each is a program to be built
	}
	for _, c := range careless {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPowerTest(t, buildChanged(t, c.file, c.from, c.to))
			p.strict = true
			faults := p.live(8)
			if len(faults) == 0 {
				t.Fatalf("no fault was found in %d losses of power", p.checked)
			}
			t.Logf("%d of %d images found faulty, as they should be; the first: %.300s", len(faults), p.checked, faults[0].Error())
		})
	}
}

func needTracer(t *testing.T) {
	t.Helper()
	err := exec.Command("strace", "-D", "-f", "--seccomp-bpf", "-o", os.DevNull, "true").Run()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("strace: %v", err)
	default:
		t.Skipf(`strace cannot be used here (%v): "make setup" installs it on Debian, and processes must be allowed to be traced`, err)
	}
}

// powerTest is the life of a program whose power may be lost at any moment.
type powerTest struct {
	*testing.T
	program *program
	random  *rand.Rand
	pub     *publisher
	hears   map[string]func(event) bool // by sink, which events are delivered there
	strict  bool                        // all that may be lost is lost

	disk    *disk
	said    words
	checked int
}

func newPowerTest(t *testing.T, binary string) *powerTest {
	root := t.TempDir()
	program := newProgram(t, binary, filepath.Join(root, "srv", "data"))
	p := &powerTest{T: t, program: program, random: newRandom(t), disk: newDisk(root)}
	most := 8000 // bytes of an event, so that the log is written back now and then
	p.pub = &publisher{program: program, padding: func(number int) int { return (number * 7919) % most }}
	return p
}

// live has the program live its life, and gives what went wrong in losses of
// power on the way.
func (p *powerTest) live(images int) (faults []error) {
	p.Helper()
	life := func() int { return 0 }
	all, paid := newSink(p.T, "all", life), newSink(p.T, "invoices", life)
	p.hears = map[string]func(event) bool{
		all.URL:  func(e event) bool { return e.company == 1 },
		paid.URL: func(e event) bool { return e.company == 1 && e.typ == invoices },
	}
	// At its first start it makes its folder, its keys and its store, and is killed
	// at that; then it is told of its subscribers.
	faults = append(faults, p.run(images/4, syscall.SIGKILL, func() {
		eventually(func() bool { _, err := os.Stat(p.program.dir); return err == nil })
		pause(time.Duration(p.random.IntN(100)) * time.Millisecond)
	})...)
	faults = append(faults, p.run(images/4, syscall.SIGKILL, func() {
		p.ready()
		subscribe(p.T, p.program, all, 1, map[string]any{"types": []string{"*"}, "ordering": "entity"})
		subscribe(p.T, p.program, paid, 1, map[string]any{"types": []string{invoices}})
		p.pub.more(120)
	})...)
	// It goes on from its log, and is stopped; then it begins a new one.
	faults = append(faults, p.run(images/4, syscall.SIGTERM, func() {
		p.ready()
		p.pub.more(120)
	})...)
	faults = append(faults, p.run(images-3*(images/4), syscall.SIGKILL, func() {
		p.ready()
		p.pub.more(60)
	})...)
	return faults
}

func (p *powerTest) ready() {
	p.Helper()
	if err := p.program.ready(); err != nil {
		p.Fatal(err)
	}
}

// run has the program run, live, and end by a signal; then it looks at so many
// moments of this run what a loss of power would have left.
func (p *powerTest) run(images int, end syscall.Signal, live func()) (faults []error) {
	p.Helper()
	file := filepath.Join(p.TempDir(), "trace")
	p.program.under = tracer(file)
	if err := p.program.begin(); err != nil {
		p.Fatal(err)
	}
	live()
	p.program.end(end)
	moments := p.readTrace(file)
	cuts := p.chooseCuts(moments, images)
	for i, m := range moments {
		if err := p.disk.see(m); err != nil {
			p.Fatal(err)
		}
		if err := p.said.hear(m); err != nil {
			p.Fatal(err)
		}
		for range cuts[i] {
			if err := p.losePower(); err != nil {
				faults = append(faults, err)
			}
		}
	}
	if err := p.disk.settle(); err != nil {
		p.Fatalf("the record of the program is not what it did: %v", err)
	}
	return faults
}

func (p *powerTest) readTrace(file string) []moment {
	p.Helper()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was killed before it had begun
	}
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	moments, err := readTrace(f)
	if err != nil {
		p.Fatal(err)
	}
	return moments
}

// chooseCuts says after which moments the power is lost, and how often: half of
// them where a publisher is being told that an event is accepted, the others
// anywhere.
func (p *powerTest) chooseCuts(moments []moment, images int) map[int]int {
	var accepts []int
	for i, m := range moments {
		if !m.ends && m.says("HTTP/1.1 202 ") {
			accepts = append(accepts, i)
		}
	}
	cuts := map[int]int{}
	for i := range images {
		if (i%2 == 0 || p.strict) && len(accepts) > 0 {
			cuts[accepts[p.random.IntN(len(accepts))]]++
		} else if len(moments) > 0 {
			cuts[p.random.IntN(len(moments))]++
		}
	}
	return cuts
}

// losePower starts the program on what a loss of power leaves at this moment.
func (p *powerTest) losePower() error {
	p.checked++
	l := []loss{
		{sector: 512},
		{names: 1, data: 1, sector: 512},
		{names: p.random.Float64(), data: p.random.Float64(), sector: 512},
		{names: p.random.Float64(), data: p.random.Float64(), sector: 4096},
	}[p.random.IntN(4)]
	if p.strict {
		l = loss{sector: 512}
	}
	dir := p.TempDir()
	defer os.RemoveAll(dir) //nolint:errcheck // it is below a temporary folder
	if err := p.disk.write(dir, l, p.random); err != nil {
		p.Fatal(err)
	}
	data := filepath.Join(dir, "srv", "data")
	err := errors.Join(checkFile(filepath.Join(data, "fattorino.db")), p.checkProgram(data))
	if err != nil {
		return fmt.Errorf("power lost after %d events were accepted (%v): %w", len(p.said.accepted), l, err)
	}
	return nil
}

// checkFile has SQLite itself look whether its file is whole. It looks at a
// copy, for reading it changes it.
func checkFile(path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // whether it may be missing is for others to say
	}
	dir, err := os.MkdirTemp("", "fattorino-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is below a temporary folder
	if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(filepath.Dir(path))); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "copy", filepath.Base(path)))
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
		return fmt.Errorf("integrity check: %.200s %w", found, err)
	}
	return nil
}

// checkProgram starts the program on the folder: what was said before the loss
// of power holds.
func (p *powerTest) checkProgram(data string) error {
	again := newProgram(p.T, p.program.binary, data)
	if err := errors.Join(again.begin(), again.ready()); err != nil {
		return err
	}
	defer again.kill()
	all, err := again.history(1)
	if err != nil {
		return err
	}
	seqs := map[string]int64{}
	for _, e := range all {
		seqs[e.ID] = e.Seq
	}
	var faults []error
	for _, r := range p.said.accepted {
		if r.Company == 1 && seqs[r.ID] != r.Seq {
			faults = append(faults, fmt.Errorf("%s was accepted with seq %d and has %d", r.ID, r.Seq, seqs[r.ID]))
		}
	}
	for id := range p.said.heard {
		if seqs[id] == 0 {
			faults = append(faults, fmt.Errorf("%s was sent and is not there", id))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	return errors.Join(p.checkDeliveries(again, seqs), p.goesOn(again, int64(len(all))), again.stop())
}

// checkDeliveries waits until everything is delivered, and looks whether that
// is everything.
func (p *powerTest) checkDeliveries(again *program, stored map[string]int64) error {
	var made struct {
		Subscriptions []struct {
			ID   int64
			Sink string
		}
	}
	if err := again.call("GET", "/v1/companies/1/subscriptions", admin, nil, &made); err != nil {
		return err
	}
	if len(made.Subscriptions) < p.said.subscriptions {
		return fmt.Errorf("%d subscriptions, want the %d that were made", len(made.Subscriptions), p.said.subscriptions)
	}
	if len(made.Subscriptions) < len(p.hears) {
		return nil // no event has been published
	}
	for _, s := range made.Subscriptions {
		var missing []string
		var err error
		eventually(func() bool {
			missing, err = p.undelivered(again, s.ID, p.hears[s.Sink], stored)
			return err != nil || len(missing) == 0
		})
		if err != nil || len(missing) > 0 {
			return fmt.Errorf("subscription %d: not delivered: %v, %w", s.ID, missing, err)
		}
	}
	return nil
}

func (p *powerTest) undelivered(again *program, subscription int64, hears func(event) bool, stored map[string]int64) (missing []string, err error) {
	delivered := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Deliveries []struct{ Event struct{ ID string } }
			Next       string
		}
		path := fmt.Sprintf("/v1/companies/1/deliveries?subscription=%d&state=delivered&limit=1000%s", subscription, cursor)
		if err := again.call("GET", path, admin, nil, &page); err != nil {
			return nil, err
		}
		for _, d := range page.Deliveries {
			delivered[d.Event.ID] = true
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	for _, e := range p.pub.accepted() {
		if stored[e.id()] > 0 && hears(e) && !delivered[e.id()] {
			missing = append(missing, e.id())
		}
	}
	return missing, nil
}

// goesOn publishes one event more.
func (p *powerTest) goesOn(again *program, last int64) error {
	pub := &publisher{program: again}
	e := event{number: 1_000_000 + p.checked, company: 1, typ: customers}
	if answer, err := pub.post(&e); err != nil || e.seq != last+1 {
		return fmt.Errorf("the next event has seq %d, want %d: %v, %w", e.seq, last+1, answer, err)
	}
	return nil
}

// words are what the program has told others so far.
type words struct {
	accepted      []receipt
	subscriptions int
	heard         map[string]bool // ids of the events that were sent to sinks
}

// The field in which a notification says which event it is.
var eventID = regexp.MustCompile(`(?i)\r\nce-id: (e[0-9]+)\r\n`)

// hear listens to what the program says. A word counts from when the program
// begins to say it.
func (w *words) hear(m moment) error {
	switch {
	case m.ends || m.name != "write" || !strings.HasPrefix(m.file(0), "socket:"):
	case m.says("HTTP/1.1 202 "):
		_, body, _ := bytes.Cut(m.bytes(1), []byte("\r\n\r\n"))
		receipts, err := readReceipts(body)
		w.accepted = append(w.accepted, receipts...)
		return err
	case m.says("HTTP/1.1 201 ") && bytes.Contains(m.bytes(1), []byte(`"contract":`)):
		w.subscriptions++
	case m.says("POST "):
		if w.heard == nil {
			w.heard = map[string]bool{}
		}
		if found := eventID.FindSubmatch(m.bytes(1)); found != nil {
			w.heard[string(found[1])] = true
		}
	}
	return nil
}

// says tells whether the call writes what begins so.
func (c *call) says(beginning string) bool {
	if c.name != "write" {
		return false
	}
	start := c.args[1][:min(len(c.args[1]), 1+4*len(beginning))]
	return slices.Equal(unhex(strings.TrimPrefix(start, `"`)), []byte(beginning))
}
