package inspect

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// sweepEvery is how often bins that have ended are looked for. Until then they
// take nothing and show nothing.
const sweepEvery = time.Hour

// Start deletes bins as they end. It is called once at most.
func (b *Bins) Start(ctx context.Context) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop, b.done = stop, make(chan struct{})
	go func() {
		defer close(b.done)
		b.run(work)
	}()
}

// Stop ends what Start began. It fails when ctx ends first, and does nothing
// where there was no start.
func (b *Bins) Stop(ctx context.Context) error {
	if b.stop == nil {
		return nil
	}
	b.stop()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Bins) run(ctx context.Context) {
	ticks := time.NewTicker(sweepEvery)
	defer ticks.Stop()
	for {
		if err := b.sweep(ctx); err != nil && ctx.Err() == nil {
			b.Log.WarnContext(ctx, "bins that have ended could not be deleted", "error", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep deletes the bins that have ended.
func (b *Bins) sweep(ctx context.Context) error {
	for {
		list, err := b.Documents.DueDocuments(ctx, binKind, 1)
		if err != nil || len(list) == 0 || list[0].DueAt.After(time.Now()) {
			return err
		}
		bin, err := decode[Bin](list[0])
		if err != nil {
			return err
		}
		err = b.Store.Update(ctx, func(tx fattorino.Tx) error {
			// As it is now: a request may have come in at the last moment.
			d, err := tx.Document(binKind, 0, bin.ID)
			if err != nil {
				return err
			}
			last, err := decode[Bin](d)
			if err != nil {
				return err
			}
			return deleteBin(tx, last)
		})
		if err != nil && fattorino.KindOf(err) != fattorino.NotFound {
			return err
		}
		b.forget(bin.ID)
	}
}
