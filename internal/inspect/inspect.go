package inspect

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Path is where bins receive, below the URL of the service: the bin's id, and
// whatever the sender likes, follow.
const Path = "/inspect/"

// What bins are held to.
const (
	lifetime    = 7 * 24 * time.Hour // of a bin, from when it was made
	maxBins     = 1000               // of all owners
	maxOwned    = 20                 // of one owner
	maxGuests   = 500                // of all portals together, so that they leave some to the operator
	maxOfGuest  = 5                  // of one portal
	maxKept     = 500                // requests of one bin; the oldest give way
	maxKeptSize = 16 << 20           // bytes of them, likewise
	maxBody     = 256 << 10          // bytes of a request's body; above it 413 is answered, and the beginning kept
	keptOfLong  = 4 << 10            // bytes that are kept of a longer one
	maxWaiting  = 128                // answers that are delayed at a time, of all bins
)

// pace is how many requests one bin takes.
func pace() fattorino.Allowance { return fattorino.Allowance{Burst: 200, Every: time.Second / 100} }

// Documents is where bins are read.
type Documents interface {
	Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error)
	Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*fattorino.Document, error)
	DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error)
}

// Updater is how they are written.
type Updater interface {
	Update(ctx context.Context, f func(fattorino.Tx) error) error
}

// Config is what [Bins] are made of.
type Config struct {
	Documents Documents
	Store     Updater
	Keychain  *sign.Keychain // seals the secrets that signatures are checked with
	KeySet    func() []byte  // the service's own public keys, as a JWK set (RFC 7517)
	BaseURL   string         // where the service is reached; empty = where a request says that it was sent
	Log       *slog.Logger
}

// Bins are all bins of the service.
type Bins struct {
	Config
	creating sync.Mutex // so that no two at once pass the limits
	waiting  chan struct{}

	mu       sync.Mutex
	arrivals map[string]chan struct{} // by bin: closed when something comes in

	stop context.CancelFunc
	done chan struct{}
}

// New makes the bins of a service.
func New(c Config) *Bins {
	return &Bins{Config: c, waiting: make(chan struct{}, maxWaiting), arrivals: map[string]chan struct{}{}}
}

// Create makes a bin that takes everything with 200 and proves itself to every
// contract. It fails with TooMany where the owner, or the service, has as many
// as there may be.
func (b *Bins) Create(ctx context.Context, owner, name string) (*Bin, error) {
	if owner == "" {
		return nil, fattorino.Errorf(fattorino.Denied, "a bin needs an owner")
	}
	if name = strings.TrimSpace(name); len(name) > maxName {
		return nil, fattorino.InvalidField("name", "the name has more than %d bytes", maxName)
	}
	b.creating.Lock()
	defer b.creating.Unlock()
	now := time.Now()
	all, err := b.all(ctx, now)
	if err != nil {
		return nil, err
	}
	if !mayOwnMore(all, owner) {
		return nil, &fattorino.Error{Kind: fattorino.TooMany, Msg: "there are as many bins as there may be", Fix: "delete one that is no longer needed"}
	}
	bin := &Bin{
		ID: rand.Text(), Owner: owner, Name: name, CreatedAt: now, EndsAt: now.Add(lifetime), First: 1, Next: 1,
		Answer: Answer{Status: http.StatusOK, Proves: true, FailStatus: http.StatusInternalServerError},
	}
	return bin, b.Store.Update(ctx, func(tx fattorino.Tx) error { return putBin(tx, bin) })
}

// guest begins the owners of bins that are made in portals.
const guest = "portal/"

// PortalOwner is to whom the bins belong that are made by a portal link of an
// app and a company. What a bin has recorded may be all that the scopes reach:
// who comes with others does not see it.
func PortalOwner(app, company int64, scopes []string) string {
	sorted := slices.Sorted(slices.Values(scopes))
	return fmt.Sprintf("%s%d/%d/%s", guest, app, company, strings.Join(slices.Compact(sorted), ","))
}

// mayOwnMore tells whether there may be one more bin of the owner beside all.
func mayOwnMore(all []*Bin, owner string) bool {
	owned, guests := 0, 0
	for _, bin := range all {
		if bin.Owner == owner {
			owned++
		}
		if strings.HasPrefix(bin.Owner, guest) {
			guests++
		}
	}
	if strings.HasPrefix(owner, guest) && (owned >= maxOfGuest || guests >= maxGuests) {
		return false
	}
	return owned < maxOwned && len(all) < maxBins
}

// List gives the owner's bins, newest first.
func (b *Bins) List(ctx context.Context, owner string) ([]*Bin, error) {
	all, err := b.all(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(bin *Bin) bool { return bin.Owner != owner })
	slices.SortFunc(all, func(a, b *Bin) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, nil
}

// Bin gives one of the owner's; NotFound where it is another's, or gone.
func (b *Bins) Bin(ctx context.Context, owner, id string) (*Bin, error) {
	bin, err := b.find(ctx, id, time.Now())
	if err == nil && bin.Owner != owner {
		return nil, noBin()
	}
	return bin, err
}

// SetAnswer changes how a bin answers. A number of requests to fail counts from
// now.
func (b *Bins) SetAnswer(ctx context.Context, owner, id string, a Answer) error {
	if err := a.check(); err != nil {
		return err
	}
	return b.change(ctx, owner, id, func(bin *Bin) error {
		bin.Answer = a
		return nil
	})
}

// Clear deletes what a bin has recorded.
func (b *Bins) Clear(ctx context.Context, owner, id string) error {
	return b.Store.Update(ctx, func(tx fattorino.Tx) error {
		bin, err := ownBin(tx, owner, id)
		if err != nil {
			return err
		}
		if err := dropRequests(tx, bin); err != nil {
			return err
		}
		bin.First, bin.Size = bin.Next, 0
		return putBin(tx, bin)
	})
}

// Delete deletes a bin, and what it has recorded.
func (b *Bins) Delete(ctx context.Context, owner, id string) error {
	err := b.Store.Update(ctx, func(tx fattorino.Tx) error {
		bin, err := ownBin(tx, owner, id)
		if err != nil {
			return err
		}
		return deleteBin(tx, bin)
	})
	if err == nil {
		b.forget(id)
	}
	return err
}

// change changes a bin of the owner's.
func (b *Bins) change(ctx context.Context, owner, id string, f func(*Bin) error) error {
	return b.Store.Update(ctx, func(tx fattorino.Tx) error {
		bin, err := ownBin(tx, owner, id)
		if err != nil {
			return err
		}
		if err := f(bin); err != nil {
			return err
		}
		return putBin(tx, bin)
	})
}

// Requests gives those that a bin has recorded with numbers below before, 0 = up
// to the newest; newest first, limit of them at most.
func (b *Bins) Requests(ctx context.Context, bin *Bin, before int64, limit int) ([]*Request, error) {
	if before < 1 || before > bin.Next {
		before = bin.Next
	}
	from := max(bin.First, before-int64(limit))
	if from >= before {
		return nil, nil
	}
	list, err := b.Documents.Documents(ctx, requestKind, 0, requestID(bin.ID, from-1), int(before-from))
	if err != nil {
		return nil, err
	}
	requests := make([]*Request, 0, len(list))
	for _, d := range slices.Backward(list) {
		if !strings.HasPrefix(d.ID, bin.ID+"/") {
			continue // it was cleared meanwhile: this is another bin's
		}
		r, err := decode[Request](d)
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// Request gives one by its number; NotFound where it is not kept.
func (b *Bins) Request(ctx context.Context, bin *Bin, number int64) (*Request, error) {
	d, err := b.Documents.Document(ctx, requestKind, 0, requestID(bin.ID, number))
	if err != nil {
		return nil, err
	}
	return decode[Request](d)
}

// Arrival gives a channel that is closed when something comes in at a bin. It
// is to be had before what is there is read, so that nothing is missed.
func (b *Bins) Arrival(id string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrivals[id] == nil {
		b.arrivals[id] = make(chan struct{})
	}
	return b.arrivals[id]
}

// announce wakes who looks at a bin.
func (b *Bins) announce(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.arrivals[id]; c != nil {
		close(c)
		delete(b.arrivals, id)
	}
}

// forget drops what is in memory of a bin that is gone. Who looks at it finds
// out by looking.
func (b *Bins) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.arrivals, id)
}

func noBin() error {
	return &fattorino.Error{Kind: fattorino.NotFound, Msg: "there is no such bin, or none any more", Fix: "make another"}
}
