package app

import (
	"maps"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// contracts are the contracts that this program speaks.
type contracts struct {
	defacto        *defacto.Contract
	fic            *fic.Contract
	facturascripts *facturascripts.Contract
	native         *native.Contract
}

// makeContracts makes them. The native one comes last, for it knows the types
// of all the others by their common names.
func (a *App) makeContracts(ring *sign.Ring, keychain *sign.Keychain) (c contracts, err error) {
	c.fic, err = fic.New(fic.Options{
		Signer: ficSigner{ring}, Issuer: a.config.FICIssuer, UserAgent: a.config.FICUserAgent,
		ConnectionClose: a.config.FICConnection == connectionClose,
	})
	if err != nil {
		return c, err
	}
	if c.defacto, err = defacto.New(defacto.Options{}); err != nil {
		return c, err
	}
	if c.facturascripts, err = facturascripts.New(facturascripts.Options{Keychain: keychain}); err != nil {
		return c, err
	}
	templates, err := readTemplates(a.config.TemplatesFile)
	if err != nil {
		return c, err
	}
	options := native.Options{
		Keychain: keychain, BaseURL: a.config.PublicURL, AllowNoHandshake: a.config.AllowNoHandshake,
		Templates: templates, Common: commonNames(c.defacto, c.facturascripts, c.fic),
	}
	if a.config.PublicURL != "" {
		options.Signer = nativeSigner{ring} // tokens name their issuer
	}
	c.native, err = native.New(options)
	return c, err
}

// all gives them to the engine.
func (c contracts) all() []fattorino.Contract {
	return []fattorino.Contract{c.defacto, c.facturascripts, c.fic, c.native}
}

// choosers gives those whose subscriptions are made in the native API.
func (c contracts) choosers() map[string]api.Chooser {
	return map[string]api.Chooser{facturascripts.Name: c.facturascripts, native.Name: c.native}
}

// elsewhere says where the subscriptions of the others are made.
func (c contracts) elsewhere() map[string]string {
	return map[string]string{
		c.defacto.Name(): "the API at /webhooks",
		c.fic.Name():     "the API at /c/{company}/subscriptions",
	}
}

// commonNames gives the common names that the contracts' types are linked to.
func commonNames(list ...fattorino.Contract) []string {
	names := map[string]bool{}
	for _, c := range list {
		for _, t := range c.Catalog().Types {
			for _, name := range t.Common {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// compileFilters makes a predicate of a subscription's filters.
func compileFilters(filters []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(filters)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}
