package defacto

import (
	"context"
	"log/slog"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Publisher is what the sandbox needs of the use cases.
type Publisher interface {
	Authenticate(ctx context.Context, secret string) (*fattorino.Token, error)
	Publish(ctx context.Context, caller *fattorino.Token, events []*fattorino.Event) ([]fattorino.Receipt, error)
}

// Documents is where the sandbox reads its invoices.
type Documents interface {
	Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error)
	Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*fattorino.Document, error)
	DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error)
}

// Updater is how the sandbox writes them.
type Updater interface {
	Update(ctx context.Context, f func(fattorino.Tx) error) error
}

// A Sandbox keeps invoices and tells what becomes of them, as the sandbox of
// Defacto does: the tutorial's second step. It is for trials, and is on only
// where the operator wants it.
//
// What is submitted is verified by a scenario, metadata.scenario: SUCCESS (the
// default) ends VERIFIED after a second, SUCCESS_ONE_DAY_LATER after a day,
// REJECT ends TO_EDIT after a second, FAIL never ends. Defacto gives scenarios
// by generated IBANs; that its FAIL means this is our reading.
//
// Besides Defacto's own events it publishes invoice.created and
// invoice.updated, which its vocabulary lacks, for the subscribers under other
// contracts.
type Sandbox struct {
	service Publisher
	read    Documents
	write   Updater
	log     *slog.Logger

	look time.Duration // the longest time without looking for what is due
	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}
}

// NewSandbox makes a sandbox. Its routes answer at once; its events and
// verifications need [Sandbox.Start].
func NewSandbox(s Publisher, read Documents, write Updater, log *slog.Logger) *Sandbox {
	return &Sandbox{service: s, read: read, write: write, log: log, look: idle, wake: make(chan struct{}, 1)}
}

// LookEvery has the sandbox look for what is due that often at least, for another
// process on the same store may have made it and ended. It is called before Start.
// What two processes do at once is done once.
func (s *Sandbox) LookEvery(d time.Duration) { s.look = d }

// Start takes up what is to be done: events not yet published and
// verifications not yet ended, those of before a restart included. It is
// called once at most.
func (s *Sandbox) Start(ctx context.Context) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = stop, make(chan struct{})
	go func() {
		defer close(s.done)
		s.run(work)
	}()
}

// Stop ends the work; what is left is taken up at the next start. It fails
// when ctx ends first, and does nothing where there was no start.
func (s *Sandbox) Stop(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The sandbox's work in numbers.
const (
	batch      = 100             // documents read at a time
	retryAfter = 5 * time.Second // after what could not be done
	idle       = time.Hour       // with nothing to wait for
)

// run works, and sleeps until something is due or was asked for.
func (s *Sandbox) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		wait, err := s.work(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the sandbox could not do its work: it tries again", "in", retryAfter, "error", err)
			wait = retryAfter
		}
		timer.Reset(wait)
	}
}

// nudge says that there is something to do.
func (s *Sandbox) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// work does everything that is due, and gives the time until there is more. A
// document that fails does not keep back the others.
func (s *Sandbox) work(ctx context.Context) (time.Duration, error) {
	for {
		due, err := s.read.DueDocuments(ctx, documentKind, batch)
		if err != nil {
			return 0, err
		}
		var failure error
		for _, d := range due {
			if wait := time.Until(d.DueAt); wait > 0 {
				return min(wait, s.look), failure
			}
			if err := s.advance(ctx, d); err != nil {
				failure = err
			}
		}
		switch {
		case failure != nil:
			return 0, failure
		case len(due) == 0:
			return s.look, nil
		}
	}
}

// advance publishes the events of an invoice, ends its verification where that
// is due, and forgets an invoice that is deleted and told. An event published
// twice, after a crash between the two steps, is stored once.
func (s *Sandbox) advance(ctx context.Context, d *fattorino.Document) error {
	r, err := parseRecord(d)
	if err != nil {
		return err
	}
	told := 0
	if len(r.Outbox) > 0 {
		var events []*fattorino.Event
		for i := range r.Outbox {
			events = append(events, r.event(d.Company, &r.Outbox[i]))
			told = r.Outbox[i].Version
		}
		if _, err := s.service.Publish(ctx, &fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{d.Company}}, events); err != nil {
			return err
		}
	}
	return s.write.Update(ctx, func(tx fattorino.Tx) error {
		now := micros(time.Now())
		kept, err := tx.Document(documentKind, d.Company, d.ID)
		if fattorino.KindOf(err) == fattorino.NotFound {
			return nil // another has been here
		}
		if err != nil {
			return err
		}
		r, err := parseRecord(kept)
		if err != nil {
			return err
		}
		r.forget(told)
		r.verify(now)
		if r.Invoice.Status == deleted && len(r.Outbox) == 0 {
			return tx.DeleteDocument(documentKind, d.Company, d.ID)
		}
		return tx.PutDocument(r.document(d.Company, now))
	})
}

// micros cuts a time to what a due date is kept with.
func micros(t time.Time) time.Time { return t.Truncate(time.Microsecond).UTC() }
