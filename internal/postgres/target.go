package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A Target is a database that a data folder is moved to. It takes rows of any
// table; which rows is the affair of package move.
type Target struct {
	pool   *pgxpool.Pool
	layout layout
	days   days
}

// OpenTarget connects to a database, and changes nothing in it.
func OpenTarget(ctx context.Context, o Options) (*Target, error) {
	pool, err := connect(ctx, o, minConns)
	if err != nil {
		return nil, translate(err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, translate(err)
	}
	return &Target{pool: pool}, nil
}

// Close closes the connections.
func (t *Target) Close() { t.pool.Close() }

// A MoveState is what a database knows of moves.
type MoveState struct {
	ID     string // of the move that brought its data here; empty = none did
	Moving bool   // it has not ended
	Holds  string // what is in the database though no move brought it, for people; empty = nothing
}

// Look tells what is in the database.
func (t *Target) Look(ctx context.Context) (s MoveState, err error) {
	tables, err := t.tables(ctx)
	if err != nil || len(tables) == 0 {
		return s, translate(err)
	}
	if !slices.Contains(tables, "installation") {
		return MoveState{Holds: "the table " + tables[0]}, nil
	}
	err = t.pool.QueryRow(ctx, `SELECT coalesce(max(move), ''), coalesce(bool_or(moving), false) FROM installation`).Scan(&s.ID, &s.Moving)
	if err != nil || s.ID != "" {
		return s, translate(err)
	}
	for _, table := range tables {
		if table == "installation" || table == "parts" {
			continue
		}
		var some bool
		query := `SELECT 1 FROM ` + pgx.Identifier{table}.Sanitize()
		if table == "nodes" {
			query += ` WHERE until > clock_timestamp()` // one that lives
		}
		if err := t.pool.QueryRow(ctx, `SELECT EXISTS (`+query+`)`).Scan(&some); err != nil {
			return s, translate(err)
		}
		if some {
			s.Holds = "rows in the table " + table
			return s, nil
		}
	}
	return s, nil
}

// tables gives the tables of the schema by name, but for partitions and what
// whoever only tried to serve the database has made.
func (t *Target) tables(ctx context.Context) ([]string, error) {
	rows, err := t.pool.Query(ctx, `SELECT relname::text FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
			AND relname NOT IN ('goose_db_version', 'leases') ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Begin makes the tables, and notes that a move is under way, or goes on with
// it. Nobody can serve the database from here until the move has ended.
func (t *Target) Begin(ctx context.Context, move string) error {
	s := &Store{pool: t.pool}
	if err := s.prepare(ctx, defaultParts); err != nil {
		return translate(err)
	}
	t.layout = s.layout
	done, err := t.pool.Exec(ctx, `UPDATE installation SET move = $1, moving = true WHERE move IS NULL OR (move = $1 AND moving)`, move)
	if err == nil && done.RowsAffected() == 0 {
		err = &fattorino.Error{Kind: fattorino.Conflict, Msg: "another move into this database was begun meanwhile", Fix: "look at who did"}
	}
	return translate(err)
}

// Part gives the part of a company.
func (t *Target) Part(company int64) int16 { return t.layout.of(company) }

// EventKey gives the key of an event of a company, accepted at the time, that is
// the one with the number in its day and part. Its deliveries have the ids that
// follow, and the next event of the part a number that is above theirs.
func (t *Target) EventKey(company, accepted, number int64) int64 {
	return t.layout.id(dayAt(accepted), t.layout.of(company), number)
}

// LastNumber is the greatest number there can be in a day and part.
const LastNumber = 1<<numberBits - 1

// OfID gives the part of an event or delivery.
func (t *Target) OfID(id int64) int16 { return t.layout.ofID(id) }

// A Load is some rows of a table, on their way into it.
type Load struct {
	Table   string
	Columns []string
	Rows    [][]any
	Days    []int64 // the times of acceptance, in microseconds, of days that the rows lie in
}

// A Progress is how far the rows of some name have come.
type Progress struct {
	After    string // the place to go on from, as whoever brings them understands it; empty = the beginning
	Count    int64
	Checksum int64 // the sum of those of the rows
}

// Progress tells how far the rows of the name have come.
func (t *Target) Progress(ctx context.Context, name string) (p Progress, err error) {
	err = t.pool.QueryRow(ctx, `SELECT after, count, checksum FROM moves WHERE name = $1`, name).Scan(&p.After, &p.Count, &p.Checksum)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	return p, translate(err)
}

// Bring writes rows, and how far the rows of the name have come with them, in
// one transaction.
func (t *Target) Bring(ctx context.Context, name string, l Load, p Progress) error {
	err := pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		for _, at := range l.Days {
			if err := t.days.ensure(ctx, tx, dayAt(at)); err != nil {
				return err
			}
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{l.Table}, l.Columns, pgx.CopyFromRows(l.Rows)); err != nil {
			return fmt.Errorf("write %s: %w", l.Table, err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO moves (name, after, count, checksum) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET after = excluded.after, count = excluded.count, checksum = excluded.checksum`,
			name, p.After, p.Count, p.Checksum)
		return err
	})
	return translate(err)
}

// Each calls f with the rows of a table, in no order.
func (t *Target) Each(ctx context.Context, table string, columns []string, f func(row []any) error) error {
	names := pgx.Identifier{}
	query := "SELECT "
	for i, c := range columns {
		if i > 0 {
			query += ", "
		}
		query += append(names[:0], c).Sanitize()
	}
	rows, err := t.pool.Query(ctx, query+" FROM "+pgx.Identifier{table}.Sanitize())
	if err != nil {
		return translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		row, err := rows.Values()
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return translate(err)
		}
	}
	return translate(rows.Err())
}

// LastIDs are the last ids that were given where the rows come from.
type LastIDs struct{ App, Token, Subscription int64 }

// End has ids go on from those of the rows, and lets the database be served.
func (t *Target) End(ctx context.Context, last LastIDs) error {
	err := pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		for part := range t.layout.parts {
			if err := t.continuePart(ctx, tx, int16(part)); err != nil {
				return fmt.Errorf("ids of part %d: %w", part, err)
			}
		}
		var b pgx.Batch
		for table, id := range map[string]int64{"apps": last.App, "tokens": last.Token} {
			b.Queue(`SELECT setval(pg_get_serial_sequence($1, 'id'), greatest($2, 1), $2 > 0)`, table, id)
		}
		b.Queue(`SELECT setval('subscription_numbers', $1)`, last.Subscription/t.layout.parts+1)
		b.Queue(`UPDATE installation SET moving = false`)
		b.Queue(`DELETE FROM moves`)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return translate(err)
	}
	_, err = t.pool.Exec(ctx, `ANALYZE`) // the plans of what is asked for seldom go by it
	return translate(err)
}

// continuePart has the ids of a part go on from its last event.
func (t *Target) continuePart(ctx context.Context, tx pgx.Tx, part int16) error {
	var key, accepted int64
	var deliveries int64
	err := tx.QueryRow(ctx, `SELECT key, accepted_at, deliveries FROM events WHERE part = $1 ORDER BY key DESC LIMIT 1`, part).Scan(&key, &accepted, &deliveries)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	last := key + deliveries
	_, err = tx.Exec(ctx, `UPDATE parts SET day = $2, number = $3, accepted_at = $4, version = version + 1 WHERE part = $1`,
		part, t.layout.dayOf(last), last&LastNumber, accepted)
	return err
}

// readMove refuses a database that a move has not ended in, and learns what one
// has brought.
func (s *Store) readMove(ctx context.Context) error {
	var moving bool
	if err := s.pool.QueryRow(ctx, `SELECT moving FROM installation`).Scan(&moving); err != nil {
		return err
	}
	if moving {
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "a data folder is being moved into this database: not all of it is here yet",
			Fix: "begin fattorino migrate-data again, which goes on; or make the database anew and serve the folder",
		}
	}
	rows, err := s.pool.Query(ctx, `SELECT id, part FROM moved_subscriptions`)
	if err != nil {
		return err
	}
	var id int64
	var part int16
	s.layout.moved = map[int64]int16{}
	_, err = pgx.ForEachRow(rows, []any{&id, &part}, func() error {
		s.layout.moved[id] = part
		return nil
	})
	return err
}

// AttemptRow gives the row of an attempt: its part, the delivery, its number,
// and a page that holds it alone.
func (t *Target) AttemptRow(a *fattorino.Attempt) []any {
	var page attemptlog.Writer
	page.Add(a, nil)
	return []any{int64(t.layout.ofID(a.Delivery)), a.Delivery, int64(a.Number), page.AppendTo(nil)}
}
