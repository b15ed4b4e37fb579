// Package api is Fattorino's native API, version 1: events in and out,
// subscriptions, the delivery log, companies, apps, tokens, catalogs and keys.
//
// It is written spec-first. openapi.yaml is the source: types and routes are
// generated from it, which operations are public and which query parameters
// exist is read from it when the program starts, and the page at /docs is made
// of it. A [Client] for the command line is here too, so that both ends speak
// of the same types and errors.
package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 --config codegen.yaml openapi.yaml

// Config is what the API is made of.
type Config struct {
	Service *fattorino.Service
	Keys    Keys
	// MasterKeys are for the operator alone.
	MasterKeys MasterKeyring
	// Nodes are for the operator alone, too.
	Nodes Nodes
	// Users sign in to the management UI.
	Users Users
	// Bins record what is sent to them.
	Bins *inspect.Bins
	// Portal makes links to the pages of the management UI.
	Portal *portal.Links
	// PublicURL is where the service is reached; empty = where a request says
	// that it was sent.
	PublicURL string
	Log       *slog.Logger
	Limits    Limits

	// Contracts are those whose subscriptions are made and changed here, by name.
	Contracts map[string]Chooser
	// Elsewhere says of each other contract where its subscriptions are made
	// and changed, in a few words.
	Elsewhere map[string]string
	// Callbacks may be nil where no sink is offered to consent later.
	Callbacks Callbacks
}

// Limits bound what may be published in one request. A field that is 0 has its
// default.
type Limits struct {
	EventBytes  int64 // of a single event's body, and of the data of each event of a batch; 1 MiB
	BatchBytes  int64 // of a batch's body; 16 MiB
	BatchEvents int   // events in a batch; 1000
}

// withDefaults gives the limits with every field set.
func (l Limits) withDefaults() Limits {
	if l.EventBytes == 0 {
		l.EventBytes = 1 << 20
	}
	if l.BatchBytes == 0 {
		l.BatchBytes = 16 << 20
	}
	if l.BatchEvents == 0 {
		l.BatchEvents = 1000
	}
	return l
}

// Keys are the signing keys, as far as they are published and rotated here.
type Keys interface {
	// PublicKey gives the public half of the key that now signs for the name,
	// as "fic"; its field PublicKey holds PEM. It fails with NotFound where
	// there is none.
	PublicKey(name string) (PublicKey, error)
	// JWKS gives every key that signatures may be verified with, as a JSON Web
	// Key Set (RFC 7517, section 5).
	JWKS() []byte
	// Rotate puts a new key in the place of the one that signs for the name.
	// It fails with NotFound where there is none, and Unavailable where it
	// cannot be kept.
	Rotate(ctx context.Context, name string) error
}

// server answers the operations; the generated code calls it with their
// parameters read.
type server struct {
	Config
	description string // openapi.yaml
	docs        docsPage
}

// New makes the API's handler. It serves everything that openapi.yaml
// describes, but for health and metrics, which are the program's; for any
// other path it answers with the problem not-found.
func New(c Config) (http.Handler, error) {
	c.Limits = c.Limits.withDefaults()
	spec, err := parseDescription(openapiYAML)
	if err != nil {
		return nil, err
	}
	docs, err := renderDocs(spec)
	if err != nil {
		return nil, err
	}
	return newRouter(&server{Config: c, description: openapiYAML, docs: docs}, spec), nil
}
