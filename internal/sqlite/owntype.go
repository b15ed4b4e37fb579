package sqlite

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

func (t *tx) PutOwnType(o *fattorino.OwnType) error {
	_, err := t.exec(`INSERT INTO own_types (name, description, common, schema, deprecated, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET description = excluded.description, common = excluded.common, schema = excluded.schema,
			deprecated = excluded.deprecated, created_at = excluded.created_at, updated_at = excluded.updated_at`,
		o.Name, o.Description, o.Common, o.Schema, o.Deprecated, record.Micros(o.CreatedAt), record.Micros(o.UpdatedAt))
	return err
}

func (t *tx) DeleteOwnType(name string) error {
	_, err := t.exec(`DELETE FROM own_types WHERE name = ?`, name)
	return err
}

func (t *tx) PutOwnGroup(g fattorino.Group) error {
	_, err := t.exec(`INSERT INTO own_groups (name, types) VALUES (?, ?) ON CONFLICT DO UPDATE SET types = excluded.types`,
		g.Name, record.ToJSON(record.OrEmpty(g.Types)))
	return err
}

func (t *tx) DeleteOwnGroup(name string) error {
	_, err := t.exec(`DELETE FROM own_groups WHERE name = ?`, name)
	return err
}

// OwnTypes implements [fattorino.Reader].
func (s *Store) OwnTypes(ctx context.Context) ([]*fattorino.OwnType, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+record.OwnTypeColumns+` FROM own_types ORDER BY name`)
	return collect(rows, err, record.ScanOwnType)
}

// OwnGroups implements [fattorino.Reader].
func (s *Store) OwnGroups(ctx context.Context) ([]fattorino.Group, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, types FROM own_groups ORDER BY name`)
	return collect(rows, err, record.ScanOwnGroup)
}

// RecentEvents implements [fattorino.Reader]. It goes down the log from its end,
// without an index on types.
func (s *Store) RecentEvents(ctx context.Context, typ string, reach, limit int, f func(*fattorino.Event) error) error {
	rows, err := s.read.QueryContext(ctx, `SELECT `+record.EventColumns+` FROM events e
		WHERE e.key > (SELECT coalesce(max(key), 0) FROM events) - ? AND e.type = ? AND e.seq > 0
		ORDER BY e.key DESC LIMIT ?`, reach, typ, limit)
	if err != nil {
		return translate(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	for rows.Next() {
		e, err := record.ScanEvent(rows)
		if err != nil {
			return translate(err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return translate(rows.Err())
}
