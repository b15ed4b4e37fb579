package ui

import (
	"context"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// base is where the pages are.
const base = "/ui/"

// Config is what the management interface is made of.
type Config struct {
	Service   *fattorino.Service
	Documents Documents
	Store     Updater
	Contracts map[string]Chooser // those with more to choose than types, by name
	Keys      Keys
	Bins      *inspect.Bins
	Tracer    *inspect.Tracer // checks the signatures of what was sent
	Portal    *portal.Links
	// FrameAncestors are the origins whose pages may show those of portals in a
	// frame, each one that CheckFrameAncestor takes.
	FrameAncestors []string
	OpenID         *OpenID // nil = passwords and tokens alone
	Settings       []Setting
	Log            *slog.Logger
}

// A Chooser is a contract that lets a subscriber choose, and keeps the secrets
// that come of it.
type Chooser interface {
	// CheckOptions fails with Invalid, each fault naming a field, where the
	// contract does not offer what is wished.
	CheckOptions(n *fattorino.NewSubscription) error
	// NewSecret makes a signing secret for the scheme ("" = the contract's own):
	// as it is kept, as it is shown this once, and the public half.
	NewSecret(signature string) (s fattorino.Secret, shown, public string, err error)
	// PublicKey gives the public half of a secret; empty where it has none.
	PublicKey(s fattorino.Secret) (string, error)
	// SealHeaders encrypts the header fields that a subscriber asks for.
	SealHeaders([]fattorino.Header) ([]byte, error)
	// OpenHeaders gives the header fields that SealHeaders sealed.
	OpenHeaders(sealed []byte) ([]fattorino.Header, error)
}

// Keys are the service's signing keys.
type Keys interface {
	// Current gives the id and the public half, as PEM, of the key that now
	// signs for the name.
	Current(name string) (kid, pem string, err error)
	// Rotate puts a new key in its place.
	Rotate(ctx context.Context, name string) error
}

// A Setting is one of the settings in force, as it may be shown.
type Setting struct {
	Key, Group, Help, Value string
}

// UI is the management interface.
type UI struct {
	Config
	streams   *streams
	accounts  *accounts
	throttle  *throttle
	refusals  *rate.Limiter // of sign-in, as far as they are noted
	languages []*language
	assets    *assets
	pages     map[string]*pages // by language
	handler   http.Handler
}

// New makes the management interface. It fails on a template or a file of texts
// that cannot be read.
func New(c Config) (*UI, error) {
	u := &UI{Config: c, streams: &streams{of: map[string]int{}}, accounts: &accounts{read: c.Documents, write: c.Store}, throttle: newThrottle(c.Store), refusals: rate.NewLimiter(rate.Every(refusalNotedEvery), refusalsNoted), pages: map[string]*pages{}}
	var err error
	if u.languages, err = readLanguages(); err != nil {
		return nil, err
	}
	if u.assets, err = readAssets(); err != nil {
		return nil, err
	}
	for _, l := range u.languages {
		u.pages[l.Code] = newPages(l, u.assets)
	}
	mux := http.NewServeMux()
	for _, rt := range u.routes() {
		mux.Handle(rt.pattern, u.guard(rt))
	}
	mux.Handle("/", u.guard(route{role: viewer, handle: nowhere}))
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(u.guard(route{handle: fromElsewhere}))
	u.handler = foreign.Handler(mux)
	return u, nil
}

// ServeHTTP serves the pages, all of which are below /ui/.
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.handler.ServeHTTP(w, r) }

func nowhere(http.ResponseWriter, *http.Request, *visit) error {
	return fattorino.Errorf(fattorino.NotFound, "there is no such page")
}

func fromElsewhere(http.ResponseWriter, *http.Request, *visit) error {
	return &fattorino.Error{
		Kind: fattorino.Denied, Msg: "this form was sent from another site",
		Fix: "open the page here and send it again",
	}
}
