package simulation_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// enough seeds are those that have met everything that is to be proved.
const enough = 20

// More seeds than `seeds` are run by SIM_SEEDS in the environment.
var (
	oneSeed = flag.Uint64("seed", 0, "run this seed alone, and print its history")
	first   = flag.Uint64("first", 1, "the first of the seeds to run")
	within  = flag.Duration("within", 0, "begin no seed after so long; 0 = run them all")
)

func TestSimulation(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if *oneSeed != 0 {
		simulate(t, *oneSeed, k)
		return
	}
	n := uint64(seeds)
	if text := os.Getenv("SIM_SEEDS"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	begun, played := time.Now(), atomic.Uint64{}
	t.Cleanup(func() {
		t.Logf("%d seeds in %v", played.Load(), time.Since(begun).Round(time.Second))
		if played.Load() >= enough {
			k.met.check(t)
		}
	})
	for seed := *first; seed < *first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if *within > 0 && time.Since(begun) > *within {
				return
			}
			played.Add(1)
			simulate(t, seed, k)
		})
	}
}

// simulate plays one seed and holds what happened to the rules.
func simulate(t *testing.T, seed uint64, k *kit) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, k)
		done := make(chan struct{})
		go func() { w.play(); close(done) }()
		l := w.supervise(done)
		w.settle(l)
		w.history.add(l, &drained{})
		dir := l.stop()
		l = w.start(l.number+1, dir) // what the store refused is taken up again
		pass(settling)
		w.history.add(l, &drained{all: true})
		c := newChecker(w.history, k)
		c.check()
		c.compare(&dated{l.store, l.clock})
		l.stop()
		if *oneSeed != 0 || len(c.violations) > 0 {
			c.report(t, seed, *oneSeed != 0)
		}
	})
}

// pass lets time pass, which costs none in the bubble.
func pass(d time.Duration) { time.Sleep(d) }

// A kit is what all seeds share: the contracts with their keys, and a store to
// copy, with nothing in it but the apps of the integrators and a signing key.
type kit struct {
	contracts []fattorino.Contract // but for that of Fatture in Cloud, whose key changes
	native    *native.Contract
	vault     *sign.Vault
	firstKey  string // its id
	secrets   []known
	admin     *fattorino.Token
	apps      []int64 // one for each subscription that an integrator may make
	template  []byte
	met       meetings
}

func newKit(t *testing.T) *kit {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	vault, err := sign.OpenVault("", "k1:"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(err)
	keychain := sign.NewKeychain(vault)
	secrets, err := newSecrets(keychain)
	must(err)
	key, err := sign.NewES256Key()
	must(err)
	k := &kit{
		met:   meetings{seen: map[string]int{}},
		vault: vault, secrets: secrets,
		admin: &fattorino.Token{Kind: fattorino.AdminToken, Scopes: []string{"*"}},
	}
	ofFS, err := facturascripts.New(facturascripts.Options{Keychain: keychain})
	must(err)
	ofDefacto, err := defacto.New(defacto.Options{})
	must(err)
	k.native, err = native.New(native.Options{Keychain: keychain, BaseURL: baseURL, AllowNoHandshake: true})
	must(err)
	k.contracts = []fattorino.Contract{ofFS, ofDefacto, k.native}

	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
	must(err)
	must(store.Update(t.Context(), func(tx fattorino.Tx) error {
		k.apps = nil
		for range integrators * (firsts + changes) {
			app := &fattorino.App{Name: "an integrator's", CreatedAt: time.Now()}
			if err := tx.PutApp(app); err != nil {
				return err
			}
			k.apps = append(k.apps, app.ID)
		}
		k.firstKey = key.KID()
		return k.newKey(tx, key)
	}))
	must(store.Close())
	k.template, err = os.ReadFile(filepath.Join(dir, "fattorino.db"))
	must(err)
	return k
}

// memory is where Linux has files in memory.
const memory = "/dev/shm"

// tempDir gives a folder for the test, in memory where that has room: what a
// crash leaves of the files is copied, so it hangs on no disk, which others may
// keep waiting.
func tempDir(t *testing.T) string {
	t.Helper()
	var room syscall.Statfs_t
	if err := syscall.Statfs(memory, &room); err != nil || room.Bavail*uint64(room.Bsize) < 1<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "simulation") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// folder gives a data folder with an empty store, which is copied rather than
// migrated anew.
func (k *kit) folder(t *testing.T) string {
	t.Helper()
	dir := tempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "fattorino.db"), k.template, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
