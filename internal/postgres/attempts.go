package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Attempts lie in pages (package attemptlog). Those that are the first of their
// deliveries share pages with others of the part and day that were recorded in
// the same commit: a page lies with the first attempt on it, and each delivery
// says with which that is. Every later attempt has a page of its own, as has one
// that was made under a lease that is lost.

// maxPage is how many bytes a page has at most, if it holds more than one
// attempt: so two lie in a block of the table, and nothing of them elsewhere
// (see make_day).
const maxPage = 3900

// pageRows are pages to be inserted.
type pageRows struct {
	part            []int16
	delivery, epoch []int64 // of the first attempt on the page
	number          []int32
	page            [][]byte
}

// insert queues the statement. Where a commit whose outcome was unknown is made
// again, its first page may have more attempts on it than before, and never
// fewer.
func (r *pageRows) insert(b *pgx.Batch, s spread, day int) {
	b.Queue(fmt.Sprintf(`INSERT INTO attempts_%d AS a (part, delivery, number, epoch, page) `, day)+
		s.rows(`$2::bigint[], $3::int[], $4::bigint[], $5::bytea[]`, "")+`
		ON CONFLICT (part, delivery, number, epoch) DO UPDATE SET page = excluded.page WHERE length(excluded.page) > length(a.page)`,
		s.parts(r.part), r.delivery, r.number, r.epoch, r.page)
}

// An attemptWriter puts attempts on pages.
type attemptWriter struct {
	layout layout
	days   map[int]*pageRows

	// The page that is being written.
	page  attemptlog.Writer
	first *fattorino.Attempt
}

// add takes the attempts of a share. It gives the pages of those that are the
// first of their deliveries, by delivery.
func (w *attemptWriter) add(s *share) map[int64]*int64 {
	pages := make(map[int64]*int64, len(s.outcomes))
	for _, a := range s.attempts() {
		if a.Number > 1 {
			w.alone(s.part, a, s.epoch)
			continue
		}
		if !w.fits(a) {
			w.end(s.part, s.epoch)
		}
		if w.page.Len() == 0 {
			w.first = a
		}
		w.page.Add(a, nil)
		pages[a.Delivery] = &w.first.Delivery
	}
	w.end(s.part, s.epoch)
	for _, l := range s.late {
		w.alone(s.part, l.Attempt, l.Epoch)
	}
	return pages
}

// attempts gives those of the outcomes: the first of each delivery, in order of
// the deliveries, then the others.
func (s *share) attempts() []*fattorino.Attempt {
	all := make([]*fattorino.Attempt, 0, len(s.outcomes))
	for _, o := range s.outcomes {
		if o.Attempt != nil {
			all = append(all, o.Attempt)
		}
	}
	slices.SortFunc(all, func(a, b *fattorino.Attempt) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Delivery, b.Delivery))
	})
	return all
}

// fits tells whether the next attempt goes on the page that is being written. It
// is taken to be about as long as those on it.
func (w *attemptWriter) fits(a *fattorino.Attempt) bool {
	n := w.page.Len()
	return n == 0 || n < attemptlog.MaxAttempts && w.layout.dayOf(a.Delivery) == w.layout.dayOf(w.first.Delivery) &&
		w.page.Size()+w.page.Size()/n <= maxPage
}

// alone puts an attempt on a page of its own.
func (w *attemptWriter) alone(part int16, a *fattorino.Attempt, epoch int64) {
	w.end(part, epoch)
	w.first = a
	w.page.Add(a, nil)
	w.end(part, epoch)
}

// end ends the page that is being written, if there is one.
func (w *attemptWriter) end(part int16, epoch int64) {
	if w.page.Len() == 0 {
		return
	}
	day := w.layout.dayOf(w.first.Delivery)
	if w.days == nil {
		w.days = map[int]*pageRows{}
	}
	if w.days[day] == nil {
		w.days[day] = &pageRows{}
	}
	r := w.days[day]
	r.part, r.epoch = append(r.part, part), append(r.epoch, epoch)
	r.delivery, r.number = append(r.delivery, w.first.Delivery), append(r.number, int32(w.first.Number))
	r.page = append(r.page, w.page.AppendTo(nil))
	w.page.Reset()
}

// Attempts implements [fattorino.Reader].
func (s *Store) Attempts(ctx context.Context, delivery int64) ([]*fattorino.Attempt, error) {
	pages, err := read(ctx, s, scanPage, `SELECT page FROM attempts WHERE part = $1 AND delivery = $2
		UNION ALL SELECT a.page FROM deliveries d, LATERAL (SELECT page FROM attempts WHERE part = $1 AND delivery = d.page AND number = 1 OFFSET 0) a
			WHERE d.part = $1 AND d.id = $2 AND d.page <> $2`, s.layout.ofID(delivery), delivery)
	if err != nil {
		return nil, err
	}
	all := []*fattorino.Attempt{}
	for _, page := range pages {
		err := attemptlog.Each(page, nil, func(a *fattorino.Attempt) error {
			if a.Delivery == delivery {
				all = append(all, a)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *fattorino.Attempt) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), a.StartedAt.Compare(b.StartedAt))
	})
	// One may be there twice: on its own page too, where its lease was lost while
	// nobody could tell whether it had been recorded.
	return slices.CompactFunc(all, func(a, b *fattorino.Attempt) bool {
		return a.Number == b.Number && a.StartedAt.Equal(b.StartedAt)
	}), nil
}

func scanPage(r record.Row) (page []byte, err error) { return page, r.Scan(&page) }
