package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
)

// hot runs the statements of the hot path straight on the driver's connection,
// prepared once: database/sql costs as much again as SQLite does here.
type hot struct {
	conn  driver.Conn
	stmts map[string]driver.Stmt
	bulks *bulks

	// Reused from call to call.
	args   []driver.NamedValue
	page   attemptlog.Writer
	packed []byte
}

// bulks are the statements for many rows.
type bulks struct{ hashed, accepted, events, hashes, entities, groups, lanes, successes, forgotten *bulk }

func newBulks() *bulks {
	return &bulks{
		hashed:    newList(`SELECT event FROM id_hashes WHERE id_hash IN (`),
		accepted:  newList(`SELECT key, seq, accepted_at, company, source, id, id_hash, content_hash FROM events WHERE key IN (`),
		hashes:    newBulk(`INSERT INTO id_hashes VALUES `, 2, ""),
		events:    newBulk(eventInto, eventColumnCount, ""),
		entities:  newBulk(entityInto, 3, ""),
		groups:    newBulk(groupPageInto, 6, ""),
		lanes:     newBulk(lanePageInto, 4, ""),
		successes: newBulk(successInto, 2, successAfter),
		forgotten: newList(forgetRow),
	}
}

// use makes h speak to the connection; statements of an earlier one are closed.
func (h *hot) use(c driver.Conn) error {
	if h.conn == c {
		return nil
	}
	err := h.close()
	h.conn, h.stmts, h.bulks = c, map[string]driver.Stmt{}, newBulks()
	return err
}

// forget throws away what was gathered for a batch that could not be written.
func (h *hot) forget() {
	h.bulks = newBulks()
	h.page.Reset()
}

func (h *hot) close() error {
	var all []error
	for _, s := range h.stmts {
		all = append(all, s.Close())
	}
	h.conn, h.stmts = nil, nil
	return errors.Join(all...)
}

func (h *hot) prepare(query string) (driver.Stmt, error) {
	if s, ok := h.stmts[query]; ok {
		return s, nil
	}
	s, err := h.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	h.stmts[query] = s
	return s, nil
}

// bind numbers the parameters.
func (h *hot) bind(args []driver.Value) []driver.NamedValue {
	h.args = h.args[:0]
	for i, v := range args {
		h.args = append(h.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return h.args
}

func (h *hot) exec(query string, args ...driver.Value) error {
	s, err := h.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), h.bind(args))
	return err
}

// execBulk runs a statement for all rows gathered.
func (h *hot) execBulk(b *bulk) error {
	return b.run(func(query string, values []driver.Value) error { return h.exec(query, values...) })
}

// queryBulk runs a query for all values gathered, and calls f with each row.
func (h *hot) queryBulk(b *bulk, columns int, f func(row []driver.Value) error) error {
	return b.run(func(query string, values []driver.Value) error { return h.query(columns, f, query, values...) })
}

// query calls f with each row; the row is valid during the call.
func (h *hot) query(columns int, f func(row []driver.Value) error, query string, args ...driver.Value) (err error) {
	s, err := h.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), h.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, columns)
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}
