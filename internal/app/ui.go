package app

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/portal"
	"github.com/fattorino-dev/fattorino/internal/ui"
)

// uiConfig gives what the management interface is made of.
func (a *App) uiConfig(keys *keyring, c contracts, bins *inspect.Bins, links *portal.Links) ui.Config {
	config := ui.Config{
		Service: a.service, Documents: a.store, Store: a.engine, Keys: uiKeys{keys}, Bins: bins, Log: a.log,
		Tracer: &inspect.Tracer{Keychain: bins.Keychain, KeySet: bins.KeySet, Resigners: map[string]inspect.Resigner{native.Name: c.native}},
		Portal: links, FrameAncestors: a.config.PortalFrameAncestors,
		Contracts: map[string]ui.Chooser{facturascripts.Name: c.facturascripts, native.Name: c.native},
	}
	for _, s := range a.config.Settings() {
		config.Settings = append(config.Settings, ui.Setting{Key: s.Key, Group: s.Group, Help: s.Help, Value: s.String()})
	}
	return config
}

// openID gives the sign-in by OpenID Connect; nil where there is none.
func (a *App) openID() (*ui.OpenID, error) {
	if a.config.OIDCIssuer == "" {
		return nil, nil //nolint:nilnil // passwords and tokens alone, and nothing went wrong
	}
	return ui.NewOpenID(ui.OpenIDOptions{
		Issuer: a.config.OIDCIssuer, ClientID: a.config.OIDCClientID, ClientSecret: a.config.OIDCClientSecret,
		Roles: a.config.OIDCRoles, BaseURL: a.config.PublicURL,
	})
}

// uiKeys are the signing keys, as the management interface knows them.
type uiKeys struct{ ring *keyring }

var _ ui.Keys = uiKeys{}

// Current implements [ui.Keys].
func (k uiKeys) Current(name string) (kid, pem string, err error) {
	key, err := k.ring.PublicKey(name)
	return key.Kid, string(key.PublicKey), err
}

// Rotate implements [ui.Keys].
func (k uiKeys) Rotate(ctx context.Context, name string) error { return k.ring.Rotate(ctx, name) }
