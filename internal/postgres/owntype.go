package postgres

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

func (t *tx) PutOwnType(o *fattorino.OwnType) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`INSERT INTO own_types (name, description, common, schema, deprecated, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (name) DO UPDATE SET description = excluded.description, common = excluded.common, schema = excluded.schema,
			deprecated = excluded.deprecated, created_at = excluded.created_at, updated_at = excluded.updated_at`,
		o.Name, o.Description, o.Common, o.Schema, o.Deprecated, record.Micros(o.CreatedAt), record.Micros(o.UpdatedAt))
}

func (t *tx) DeleteOwnType(name string) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`DELETE FROM own_types WHERE name = $1`, name)
}

func (t *tx) PutOwnGroup(g fattorino.Group) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`INSERT INTO own_groups (name, types) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET types = excluded.types`,
		g.Name, record.ToJSON(record.OrEmpty(g.Types)))
}

func (t *tx) DeleteOwnGroup(name string) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`DELETE FROM own_groups WHERE name = $1`, name)
}

// OwnTypes implements [fattorino.Reader].
func (s *Store) OwnTypes(ctx context.Context) ([]*fattorino.OwnType, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+record.OwnTypeColumns+` FROM own_types ORDER BY name`)
	return collect(rows, err, record.ScanOwnType)
}

// OwnGroups implements [fattorino.Reader].
func (s *Store) OwnGroups(ctx context.Context) ([]fattorino.Group, error) {
	rows, err := s.pool.Query(ctx, `SELECT name, types FROM own_groups ORDER BY name`)
	return collect(rows, err, record.ScanOwnGroup)
}
