package move

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// How much is brought in one transaction.
const (
	mostRows  = 5000
	mostBytes = 8 << 20
)

// bring brings the rows of a table that are not there yet.
func (m *mover) bring(ctx context.Context, t *table) error {
	p, err := m.target.Progress(ctx, t.name)
	if err != nil {
		return err
	}
	all, err := m.source.Number(ctx, t.counting())
	if err != nil {
		return err
	}
	query, after, err := t.from(p.After)
	if err != nil {
		return err
	}
	places := len(t.placesOf())
	b := batch{table: t, progress: p}
	send := func() error {
		if len(b.rows) == 0 && b.progress.After == p.After {
			return nil
		}
		if err := b.send(ctx, m); err != nil {
			return err
		}
		m.tell(Progress{Table: t.name, Done: b.progress.Count, All: max(all, b.progress.Count)})
		return ctx.Err()
	}
	err = m.source.Each(ctx, func(r []any) error {
		rows, err := t.rows(ctx, m, r[places:])
		if err != nil {
			return err
		}
		for _, row := range rows {
			b.add(row, m)
		}
		if b.progress.After, err = writePlace(r[:places]); err != nil {
			return err
		}
		if len(b.rows) >= m.most || b.bytes >= mostBytes {
			return send()
		}
		return nil
	}, query, after...)
	if err == nil {
		err = send()
	}
	if err == nil && t.made == "" && b.progress.Count != all {
		err = fmt.Errorf("%d of %d rows were brought", b.progress.Count, all)
	}
	return err
}

// counting gives the query that counts the rows there will be, about.
func (t *table) counting() string {
	if t.made != "" {
		return t.made
	}
	return `SELECT count(*) FROM (` + t.query + `)`
}

// from gives the query for the rows after a place, in order, and its arguments.
func (t *table) from(place string) (query string, args []any, err error) {
	query = `SELECT * FROM (` + t.query + `)`
	if place != "" {
		if args, err = readPlace(place); err != nil {
			return "", nil, err
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ")
		query += ` WHERE (` + t.place + `) > (` + marks + `)`
	}
	return query + ` ORDER BY ` + t.place, args, nil
}

// A place is kept as a JSON array: integers as they are, texts as bytes, for
// they may be any.
func writePlace(values []any) (string, error) {
	kept := make([]any, len(values))
	for i, v := range values {
		kept[i] = v
		if text, ok := v.(string); ok {
			kept[i] = []byte(text)
		}
	}
	text, err := json.Marshal(kept)
	return string(text), err
}

func readPlace(place string) ([]any, error) {
	var kept []json.RawMessage
	if err := json.Unmarshal([]byte(place), &kept); err != nil {
		return nil, fmt.Errorf("the place to go on from: %w", err)
	}
	values := make([]any, len(kept))
	for i, raw := range kept {
		var number int64
		if json.Unmarshal(raw, &number) == nil {
			values[i] = number
			continue
		}
		var text []byte
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, fmt.Errorf("the place to go on from: %w", err)
		}
		values[i] = string(text)
	}
	return values, nil
}

// A batch is what goes into the database in one transaction.
type batch struct {
	table    *table
	rows     [][]any
	bytes    int
	progress postgres.Progress // with the rows
}

// add takes a row, with what PostgreSQL cannot keep in a text replaced.
func (b *batch) add(row []any, m *mover) {
	for i, v := range row {
		switch v := v.(type) {
		case string:
			clean := strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")
			if clean != v {
				m.replaced++
			}
			row[i] = clean
			b.bytes += len(v)
		case []byte:
			if v == nil {
				row[i] = []byte{} // an empty one: there is none where the value is nil
			}
			b.bytes += len(v)
		}
	}
	b.rows = append(b.rows, row)
	b.progress.Count++
	b.progress.Checksum += checksum(row)
}

func (b *batch) send(ctx context.Context, m *mover) error {
	load := postgres.Load{Table: b.table.name, Columns: b.table.columnsOf(), Rows: b.rows, Days: m.accepted}
	err := m.target.Bring(ctx, b.table.name, load, b.progress)
	b.rows, b.bytes, m.accepted = b.rows[:0], 0, m.accepted[:0]
	return err
}

// check looks whether the rows in the database are those that were brought.
func (m *mover) check(ctx context.Context, t *table) (Moved, error) {
	brought, err := m.target.Progress(ctx, t.name)
	if err != nil {
		return Moved{}, err
	}
	const tellEvery = 10 * mostRows
	var count, sum int64
	err = m.target.Each(ctx, t.name, t.columnsOf(), func(row []any) error {
		for i, v := range row {
			row[i] = whole(v)
		}
		sum += checksum(row)
		if count++; count%tellEvery == 0 {
			m.tell(Progress{Table: t.name, Done: count, All: brought.Count, Checking: true})
		}
		return nil
	})
	if err != nil {
		return Moved{}, err
	}
	if count != brought.Count || sum != brought.Checksum {
		return Moved{}, &fattorino.Error{
			Kind: fattorino.Internal,
			Msg: fmt.Sprintf("the table %s holds %d rows with checksum %016x, and %d with %016x were brought",
				t.name, count, uint64(sum), brought.Count, uint64(brought.Checksum)),
			Fix: "find out who else writes to the database; then make it anew, delete moved.json in the data folder, and begin again",
		}
	}
	return Moved{Table: t.name, Rows: count, Checksum: uint64(sum)}, nil
}

// whole makes every integer an int64.
func whole(v any) any {
	switch n := v.(type) {
	case int16:
		return int64(n)
	case int32:
		return int64(n)
	}
	return v
}

// checksum gives that of a row: the first eight bytes of the SHA-256 of its
// values, each with its type and length. Those of all rows of a table are added
// up, so their order does not matter.
func checksum(row []any) int64 {
	h := sha256.New()
	part := func(kind byte, n uint64, text []byte) {
		_, _ = h.Write(binary.BigEndian.AppendUint64([]byte{kind}, n)) // a hash never fails
		_, _ = h.Write(text)
	}
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			part('n', 0, nil)
		case int64:
			part('i', uint64(v), nil)
		case bool:
			n := uint64(0)
			if v {
				n = 1
			}
			part('b', n, nil)
		case string:
			part('t', uint64(len(v)), []byte(v))
		case []byte:
			part('x', uint64(len(v)), v)
		default:
			panic(fmt.Sprintf("a column has a %T", v)) // the schema has no other types
		}
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil)))
}
