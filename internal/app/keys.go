package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// ficKeys is the name of the keys that sign for the contract fic.
const ficKeys = "fic"

// keptInSet is how long a key stays in the key set after another has taken its
// place: longer than any token that it signed is valid, which is three hours.
const keptInSet = 24 * time.Hour

// updater writes to the store: the store itself before the engine runs, the
// engine from then on.
type updater interface {
	Update(ctx context.Context, f func(fattorino.Tx) error) error
}

// A keyring holds the signing keys: sealed in the store, open in memory.
type keyring struct {
	vault  *sign.Vault
	store  updater
	reader fattorino.Store
	ring   *sign.Ring

	mu      sync.Mutex
	retired map[string]time.Time // by kid: when another key took its place
}

var _ api.Keys = (*keyring)(nil)

// openKeyring reads the keys that are in use or were lately, and makes the
// first one where there is none.
func openKeyring(ctx context.Context, store fattorino.Store, vault *sign.Vault) (*keyring, error) {
	k := &keyring{vault: vault, store: store, reader: store}
	current, previous, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	if current == nil {
		if current, err = k.make(ctx, time.Now()); err != nil {
			return nil, err
		}
	}
	k.ring = sign.NewRing(current, previous...)
	return k, nil
}

// read reads the keys that are in use or were lately; none is current in a new
// store.
func (k *keyring) read(ctx context.Context) (current *sign.ES256Key, previous []*sign.ES256Key, err error) {
	stored, err := k.reader.Keys(ctx, ficKeys)
	if err != nil {
		return nil, nil, fmt.Errorf("read signing keys: %w", err)
	}
	k.retired = map[string]time.Time{}
	for _, kept := range stored {
		if !kept.RetiredAt.IsZero() && time.Since(kept.RetiredAt) > keptInSet {
			continue
		}
		key, err := k.open(kept)
		if err != nil {
			return nil, nil, err
		}
		if kept.RetiredAt.IsZero() && current == nil {
			current = key
			continue
		}
		k.retired[kept.KID] = kept.RetiredAt
		previous = append(previous, key)
	}
	return current, previous, nil
}

// reload takes over what another process has made of the keys.
func (k *keyring) reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	current, previous, err := k.read(ctx)
	if err != nil || current == nil {
		return err
	}
	k.ring.Replace(current, previous...)
	return nil
}

// openVault opens the vault. Master keys are made at the first start alone: a
// store that holds secrets already cannot be read with new ones.
func (a *App) openVault(ctx context.Context) (*sign.Vault, error) {
	if a.config.MasterKeys == "" {
		stored, err := a.store.Keys(ctx, ficKeys)
		if err != nil {
			return nil, fmt.Errorf("read signing keys: %w", err)
		}
		file := filepath.Join(a.config.Data, "master.keys")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && len(stored) > 0 {
			return nil, &fattorino.Error{
				Kind: fattorino.Invalid, Msg: "the master keys are missing: there is no " + file,
				Fix: "put the file back from a backup, or give the keys in FATTORINO_MASTER_KEYS: without them no secret in the database can be read", Err: err,
			}
		}
	}
	return sign.OpenVault(a.config.Data, a.config.MasterKeys)
}

// sealContext binds a sealed key to its place in the store.
func sealContext(kid string) string { return "key/" + ficKeys + "/" + kid }

func (k *keyring) open(kept *fattorino.Key) (*sign.ES256Key, error) {
	der, err := k.vault.Open(kept.Sealed, sealContext(kept.KID))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", kept.KID, err)
	}
	key, err := sign.ParseES256Key([]byte(der))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", kept.KID, err)
	}
	return key, nil
}

// make draws a key and keeps it as the current one.
func (k *keyring) make(ctx context.Context, now time.Time) (*sign.ES256Key, error) {
	key, err := sign.NewES256Key()
	if err != nil {
		return nil, err
	}
	der, err := key.Marshal()
	if err != nil {
		return nil, err
	}
	sealed, err := k.vault.Seal(string(der), sealContext(key.KID()))
	if err != nil {
		return nil, fmt.Errorf("seal signing key: %w", err)
	}
	err = k.store.Update(ctx, func(tx fattorino.Tx) error {
		if err := tx.PutKey(&fattorino.Key{Name: ficKeys, KID: key.KID(), Sealed: sealed, CreatedAt: now}); err != nil {
			return err
		}
		return tx.RetireKeys(ficKeys, key.KID(), now)
	})
	if err != nil {
		return nil, fmt.Errorf("keep signing key: %w", err)
	}
	return key, nil
}

// PublicKey implements [api.Keys].
func (k *keyring) PublicKey(name string) (api.PublicKey, error) {
	if name != ficKeys {
		return api.PublicKey{}, noKey(name)
	}
	current := k.ring.Current()
	return api.PublicKey{Alg: "ES256", Kid: current.KID(), PublicKey: []byte(current.PublicPEM())}, nil
}

// JWKS implements [api.Keys].
func (k *keyring) JWKS() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	var published []*sign.ES256Key
	for _, key := range k.ring.All() {
		if at, retired := k.retired[key.KID()]; !retired || time.Since(at) <= keptInSet {
			published = append(published, key)
		}
	}
	return sign.JWKS(published...)
}

// Rotate implements [api.Keys].
func (k *keyring) Rotate(ctx context.Context, name string) error {
	if name != ficKeys {
		return noKey(name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	key, err := k.make(ctx, now)
	if err != nil {
		return err
	}
	k.retired[k.ring.Current().KID()] = now
	k.ring.Rotate(key)
	return nil
}

func noKey(name string) error {
	return &fattorino.Error{
		Kind: fattorino.NotFound, Msg: fmt.Sprintf("no key signs for %q", name), Fix: `the name of the key is "` + ficKeys + `"`,
	}
}

// ficSigner signs the tokens of the contract fic with the current key.
type ficSigner struct{ ring *sign.Ring }

var _ fic.Signer = ficSigner{}

// AppendJWT implements [fic.Signer].
func (s ficSigner) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

// nativeSigner signs the tokens of native subscriptions with the current key.
type nativeSigner struct{ ring *sign.Ring }

var _ native.Signer = nativeSigner{}

// AppendJWT implements [native.Signer].
func (s nativeSigner) AppendJWT(dst []byte, c native.Claims) ([]byte, error) {
	return s.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID, BodySHA256: c.BodySHA256[:],
	})
}
