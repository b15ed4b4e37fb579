package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnOutageOfTheStoreIsOneLineAMinuteOfTheLogHoweverManyLanesTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given thirty lanes,
		store := &unreadable{}
		var written bytes.Buffer
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			if store.off.Load() {
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.Log = slog.New(slog.NewTextHandler(&written, nil))
			c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
		})
		for i := range 30 {
			f.subscribe(t, int64(1+i), fmt.Sprintf("https://a%d.example", i), "invoice.paid")
		}
		time.Sleep(time.Minute)
		// when their sinks refuse an event each, and it cannot be read for ten minutes
		// when it is due again,
		store.off.Store(true)
		for i := range 30 {
			f.publish(t, event(int64(1+i), "e", "invoice.paid", nil))
		}
		time.Sleep(10 * time.Minute)
		store.off.Store(false)
		// and then can again,
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		var log []*fattorino.Delivery
		for i := range 30 {
			log = append(log, f.log(t, int64(1+i))...)
		}
		f.stop(t)
		// then the log has it at the beginning, each minute and at the end,
		cannot, again := strings.Count(written.String(), "the store cannot be read"), strings.Count(written.String(), "the store can be read again")
		if cannot < 9 || cannot > 10 || again != 1 || strings.Count(written.String(), "level=ERROR") != cannot {
			t.Errorf("%d lines that it cannot, want 9 or 10; %d that it can, want 1:\n%s", cannot, again, written.String())
		}
		// and everything has arrived.
		if len(log) != 30 {
			t.Errorf("%d deliveries, want 30", len(log))
		}
		for _, d := range log {
			if d.State != fattorino.Delivered {
				t.Errorf("delivery %d is %s", d.ID, d.State)
			}
		}
	})
}

// unreadable is the real store, whose lanes cannot be read while it is off.
type unreadable struct {
	fattorino.Store
	off atomic.Bool
}

func (s *unreadable) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	if s.off.Load() {
		return nil, &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the database is away"}
	}
	return s.Store.Due(ctx, subscription, limit)
}
