package sqlite

import (
	"database/sql/driver"
	"strings"
)

// A bulk is a statement that is repeated for many rows. It is run for as many
// of them at a time as there are, which costs about half of what one statement
// for each does.
type bulk struct {
	before, row, after string // of the statement, around and for each row
	columns            int    // parameters of a row
	texts              map[int]string
	values             []driver.Value // of the rows gathered
}

// bulkSize gives for how many of n rows there is a statement: one for each
// number up to 16, and beyond those for 32 and 64.
func bulkSize(n int) int {
	switch {
	case n >= 64:
		return 64
	case n >= 32:
		return 32
	}
	return min(n, 16)
}

func newBulk(before string, columns int, after string) *bulk {
	return &bulk{before: before, row: marks(columns), columns: columns, after: after, texts: map[int]string{}}
}

// newList makes a bulk whose rows are the members of a list, which ends it.
func newList(before string) *bulk {
	return &bulk{before: before, row: "?", columns: 1, after: ")", texts: map[int]string{}}
}

func (b *bulk) add(values ...driver.Value) { b.values = append(b.values, values...) }

// run hands the rows gathered to f, with the statement for them, and forgets
// them.
func (b *bulk) run(f func(query string, values []driver.Value) error) error {
	defer func() { b.values = b.values[:0] }()
	for rest := b.values; len(rest) > 0; {
		rows := bulkSize(len(rest) / b.columns)
		n := rows * b.columns
		if err := f(b.statement(rows), rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (b *bulk) statement(rows int) string {
	text, ok := b.texts[rows]
	if !ok {
		text = b.before + strings.TrimSuffix(strings.Repeat(b.row+", ", rows), ", ") + b.after
		b.texts[rows] = text
	}
	return text
}

// marks gives the parameters of one row.
func marks(columns int) string {
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
}
