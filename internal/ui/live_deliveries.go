package ui

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How often the first page of deliveries is looked up for who watches it: so
// often, but so that no more than a tenth of the time is spent on it.
const (
	watchEvery = time.Second
	watchShare = 10
)

// A watch is the first page of a list of deliveries as its watcher has it.
type watch struct {
	look  func(context.Context) ([]deliveryRow, error)
	known map[int64]string // the mark of each row that was sent, by delivery
	wait  time.Duration    // before the next look
}

// watchedRow is a row of it. The rows of one message are the whole page, in
// order; of one that has not changed there is the place alone.
type watchedRow struct {
	deliveryRow
	Unchanged bool
}

// liveDeliveries sends the first page of the list as it changes: new deliveries,
// and those whose state has changed, within the filter of the list.
func (u *UI) liveDeliveries(w http.ResponseWriter, r *http.Request, v *visit) error {
	filter := readDeliveryFilter(r.URL.Query())
	filter.Before = ""
	faults := formFaults{}
	query := filter.query(faults)
	query.Limit = pageSize
	if filter.match(faults) != nil {
		faults.add("id", "what is looked for by id or answer is not watched")
	}
	for field, fault := range faults {
		return fattorino.InvalidField(field, "%s", fault)
	}
	set, err := u.pages[v.Language.Code].set("deliveries")
	if err != nil {
		return err
	}
	watch := &watch{look: func(ctx context.Context) ([]deliveryRow, error) {
		list, err := u.Service.Deliveries(ctx, v.caller(0), v.Company, query)
		if err != nil {
			return nil, err
		}
		subs, err := u.Service.Subscriptions(ctx, v.caller(0), v.Company, "")
		return deliveryRows(list, subs), err
	}}
	if _, err := watch.look(r.Context()); err != nil {
		return err // as of a type that is none; said before the stream has begun
	}
	return u.stream(w, r, v, func(ctx context.Context) ([]byte, error) {
		rows, changed, err := watch.next(ctx)
		if err != nil || !changed {
			return []byte(quietBeat), err
		}
		var all bytes.Buffer
		err = appendMessage(&all, set, v, "deliveries", "live", 0, rows)
		return all.Bytes(), err
	})
}

// next waits for a change of the page, for liveBeat at most, and gives the page
// where there was one. The first time it gives it as it is.
func (w *watch) next(ctx context.Context) (page []watchedRow, changed bool, err error) {
	for end := time.Now().Add(liveBeat); ; {
		if w.known != nil && !waited(ctx, w.wait) {
			return nil, false, ctx.Err()
		}
		began := time.Now()
		rows, err := w.look(ctx)
		if err != nil {
			return nil, false, err
		}
		w.wait = max(watchEvery, watchShare*time.Since(began))
		if page, changed = w.take(rows); changed || time.Now().After(end) {
			return page, changed, nil
		}
	}
}

// take compares a page with the one that was sent before.
func (w *watch) take(rows []deliveryRow) (page []watchedRow, changed bool) {
	changed = w.known == nil || len(rows) != len(w.known)
	known := make(map[int64]string, len(rows))
	for _, row := range rows {
		known[row.ID] = row.Mark()
		same := w.known[row.ID] == row.Mark()
		changed = changed || !same
		page = append(page, watchedRow{deliveryRow: row, Unchanged: same})
	}
	w.known = known
	return page, changed
}

// Mark tells one state of a row from another.
func (r deliveryRow) Mark() string {
	return fmt.Sprintf("%s %s %d %d %s", r.State, r.Reason, r.Status, r.Attempts, r.Title)
}

// waited waits for so long; false where nobody looks any more.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
