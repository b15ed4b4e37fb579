package app

import (
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/subscriptions"
	"github.com/fattorino-dev/fattorino/internal/ui"
)

// routes is the list of all that is served. /healthz is answered at the gate,
// before there are routes.
func (a *App) routes(keys *keyring, masterKeys *masterKeyring, c contracts) (http.Handler, error) {
	links := portal.New(portal.Config{Documents: a.store, Store: a.engine, Signer: masterKeys.keychain})
	bins := a.startInspector(keys, masterKeys.keychain)
	native, err := api.New(api.Config{
		Portal: links, Bins: bins, PublicURL: a.config.PublicURL,
		Service: a.service, Keys: keys, MasterKeys: masterKeys, Nodes: nodes{a}, Users: users{ui.NewUsers(a.store, a.engine)}, Log: a.log, Limits: a.apiLimits(),
		Contracts: c.choosers(), Elsewhere: c.elsewhere(), Callbacks: c.native,
	})
	if err != nil {
		return nil, err
	}
	ficDoor, err := fic.NewDoor(a.service, a.quotas(), a.log)
	if err != nil {
		return nil, err
	}
	uiConfig := a.uiConfig(keys, c, bins, links)
	if uiConfig.OpenID, err = a.openID(); err != nil {
		return nil, err
	}
	pages, err := ui.New(uiConfig)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	ficDoor.Routes(mux)                                           // /c/…
	defacto.NewDoor(a.service, a.log).Routes(mux)                 // /hello, /webhooks, /webhook/…
	subscriptions.NewDoor(a.service, c.native, a.log).Routes(mux) // /subscriptions
	if a.config.Sandbox {
		a.startSandbox().Routes(mux) // /invoices, /invoice/…
	}
	mux.Handle("/v1/", native)
	mux.Handle("GET /v1/companies/{company}/events", a.untilStop(native)) // long polls
	mux.Handle("/.well-known/jwks.json", native)
	mux.Handle("/openapi.yaml", native)
	mux.Handle("/docs", native)
	mux.Handle("GET /readyz", http.HandlerFunc(a.ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Registry: a.registry}))
	mux.Handle("/ui/", pages)
	mux.Handle("GET /ui/companies/{company}/events/live", a.untilStop(pages)) // as long as someone looks
	mux.Handle("GET /ui/companies/{company}/deliveries/live", a.untilStop(pages))
	mux.Handle("GET /ui/inspect/{bin}/live", a.untilStop(pages))
	mux.Handle("GET "+strings.TrimSuffix(inspect.Path, "/"), http.RedirectHandler("/ui/inspect", http.StatusSeeOther))
	recorder := a.untilStop(ui.WithoutSecrets(bins)) // which may take their time to answer
	mux.Handle(inspect.Path+"{bin}", recorder)
	mux.Handle(inspect.Path+"{bin}/{rest...}", recorder)
	mux.Handle("GET /{$}", http.RedirectHandler("/ui/", http.StatusSeeOther))
	mux.Handle("/", native) // which says that there is no such thing
	return hot{path: publishPath, handler: native, others: noRedirects(mux)}, nil
}

// publishPath is where events come in, one request after the other.
const publishPath = "/v1/events"

// A hot path leads to its handler without a look at all the others.
type hot struct {
	path            string
	handler, others http.Handler
}

// ServeHTTP implements [http.Handler].
func (h hot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == h.path && r.URL.RawPath == "" { // with no slash in disguise
		h.handler.ServeHTTP(w, r)
		return
	}
	h.others.ServeHTTP(w, r)
}

// noRedirects answers a path that is not in its shortest form like any other
// that leads nowhere. The mux would redirect, as HTML, to a path that means
// something else: /c//subscriptions has lost a company, and SDKs cannot decode
// the page.
func noRedirects(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shortest := path.Clean(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && shortest != "/" {
			shortest += "/"
		}
		if r.URL.Path != shortest && r.Method != http.MethodConnect {
			lost := r.Clone(r.Context())
			door, _, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
			if strings.Trim(door, ".") == "" {
				door = "-" // none: the mux would redirect once more
			}
			lost.URL.Path, lost.URL.RawPath = "/"+door+"/-/-", "" // which no door has
			r = lost
		}
		mux.ServeHTTP(w, r)
	})
}

// startInspector starts the bins that show what arrives.
func (a *App) startInspector(keys *keyring, keychain *sign.Keychain) *inspect.Bins {
	bins := inspect.New(inspect.Config{
		Documents: a.store, Store: a.engine, Keychain: keychain, KeySet: keys.JWKS, BaseURL: a.config.PublicURL, Log: a.log,
	})
	bins.Start(a.stopping)
	a.onStop("inspector", 5*time.Second, bins.Stop)
	return bins
}

// sandboxLook is how often each of several nodes looks for what is due in the
// sandbox.
const sandboxLook = 5 * time.Second

// startSandbox starts the invoices that Defacto's tutorial is played with.
func (a *App) startSandbox() *defacto.Sandbox {
	sandbox := defacto.NewSandbox(a.service, a.store, a.engine, a.log)
	if a.node != nil {
		sandbox.LookEvery(sandboxLook)
	}
	sandbox.Start(a.stopping)
	a.onStop("sandbox", 5*time.Second, sandbox.Stop)
	return sandbox
}
