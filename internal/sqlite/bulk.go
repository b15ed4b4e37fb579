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

// bulkSizes are the numbers of rows for which a statement is prepared,
// greatest first.
var bulkSizes = [...]int{64, 16, 4, 1}

func newBulk(before string, columns int, after string) *bulk {
	return &bulk{before: before, row: marks(columns), columns: columns, after: after, texts: map[int]string{}}
}

// newList makes a bulk whose rows are the members of a list.
func newList(before, after string) *bulk {
	return &bulk{before: before, row: "?", columns: 1, after: after, texts: map[int]string{}}
}

func (b *bulk) add(values ...driver.Value) { b.values = append(b.values, values...) }

// run hands the rows gathered to f, with the statement for them, and forgets
// them.
func (b *bulk) run(f func(query string, values []driver.Value) error) error {
	defer func() { b.values = b.values[:0] }()
	rest := b.values
	for _, size := range bulkSizes {
		for n := size * b.columns; len(rest) >= n; rest = rest[n:] {
			if err := f(b.statement(size), rest[:n]); err != nil {
				return err
			}
		}
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
