package sqlite

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

const selectDocument = `SELECT ` + record.DocumentColumns + ` FROM documents `

func (t *tx) Document(kind string, company int64, id string) (*fattorino.Document, error) {
	return record.ScanDocument(t.tx.QueryRowContext(t.ctx, selectDocument+`WHERE kind = ? AND company = ? AND id = ?`, kind, company, id))
}

func (t *tx) PutDocument(d *fattorino.Document) error {
	_, err := t.exec(`INSERT INTO documents (kind, company, id, due_at, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET due_at = excluded.due_at, body = excluded.body`, d.Kind, d.Company, d.ID, record.Optional(d.DueAt), d.Body)
	return err
}

func (t *tx) DeleteDocument(kind string, company int64, id string) error {
	_, err := t.exec(`DELETE FROM documents WHERE kind = ? AND company = ? AND id = ?`, kind, company, id)
	return err
}

// Document implements [fattorino.Reader].
func (s *Store) Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error) {
	d, err := record.ScanDocument(s.read.QueryRowContext(ctx, selectDocument+`WHERE kind = ? AND company = ? AND id = ?`, kind, company, id))
	return d, translate(err)
}

// Documents implements [fattorino.Reader].
func (s *Store) Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*fattorino.Document, error) {
	rows, err := s.read.QueryContext(ctx, selectDocument+`WHERE kind = ? AND company = ? AND id > ? ORDER BY id LIMIT ?`, kind, company, after, limit)
	return collect(rows, err, record.ScanDocument)
}

// DueDocuments implements [fattorino.Reader].
func (s *Store) DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error) {
	rows, err := s.read.QueryContext(ctx, selectDocument+`WHERE kind = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT ?`, kind, limit)
	return collect(rows, err, record.ScanDocument)
}
