package postgres

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

const selectDocument = `SELECT ` + record.DocumentColumns + ` FROM documents `

func (t *tx) Document(kind string, company int64, id string) (*fattorino.Document, error) {
	part := t.layout.of(company)
	if _, err := t.lock(part); err != nil {
		return nil, err
	}
	return record.ScanDocument(t.tx.QueryRow(t.ctx, selectDocument+`WHERE part = $1 AND kind = $2 AND company = $3 AND id = $4`, part, kind, company, id))
}

func (t *tx) PutDocument(d *fattorino.Document) error {
	return t.in(t.layout.of(d.Company), `INSERT INTO documents (part, kind, company, id, due_at, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (part, kind, company, id) DO UPDATE SET due_at = excluded.due_at, body = excluded.body`,
		d.Kind, d.Company, d.ID, optional(d.DueAt), record.OrEmpty(d.Body))
}

func (t *tx) DeleteDocument(kind string, company int64, id string) error {
	return t.in(t.layout.of(company), `DELETE FROM documents WHERE part = $1 AND kind = $2 AND company = $3 AND id = $4`, kind, company, id)
}

// Document implements [fattorino.Reader].
func (s *Store) Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error) {
	d, err := record.ScanDocument(s.pool.QueryRow(ctx, selectDocument+`WHERE part = $1 AND kind = $2 AND company = $3 AND id = $4`, s.layout.of(company), kind, company, id))
	return d, translate(err)
}

// Documents implements [fattorino.Reader].
func (s *Store) Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*fattorino.Document, error) {
	rows, err := s.pool.Query(ctx, selectDocument+`WHERE part = $1 AND kind = $2 AND company = $3 AND id > $4 ORDER BY id LIMIT $5`,
		s.layout.of(company), kind, company, after, limit)
	return collect(rows, err, record.ScanDocument)
}

// DueDocuments implements [fattorino.Reader]. It looks into every part.
func (s *Store) DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error) {
	rows, err := s.pool.Query(ctx, selectDocument+`WHERE kind = $1 AND due_at IS NOT NULL ORDER BY due_at LIMIT $2`, kind, limit)
	return collect(rows, err, record.ScanDocument)
}
