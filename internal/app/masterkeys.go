package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// resealed is how many subscriptions are sealed anew in one transaction, and
// for one request; what else is to be written waits no longer than that takes.
const resealed = 100

// A masterKeyring changes the master keys, and seals anew what the store keeps
// sealed: signing keys, and the secrets and header fields of subscriptions,
// those that are gone included.
type masterKeyring struct {
	vault    *sign.Vault
	keychain *sign.Keychain
	store    fattorino.Store
	engine   updater
	alone    func(context.Context) error // fails where other nodes need the keys too

	mu sync.Mutex // one change or re-sealing at a time
}

var _ api.MasterKeyring = (*masterKeyring)(nil)

// List implements [api.MasterKeyring].
func (m *masterKeyring) List() api.MasterKeys {
	keys := api.MasterKeys{MasterKeys: m.vault.MasterKeys(), KeptIn: api.Settings}
	if m.vault.InFile() {
		keys.KeptIn = api.File
	}
	return keys
}

// Add implements [api.MasterKeyring].
func (m *masterKeyring) Add() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vault.InFile() {
		if err := m.alone(context.Background()); err != nil {
			return err
		}
	}
	_, err := m.vault.AddKey()
	return err
}

// Remove implements [api.MasterKeyring].
func (m *masterKeyring) Remove(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, err := m.countAll(ctx)
	if err != nil {
		return err
	}
	if n := found[id]; n > 0 && id != m.vault.MasterKeys()[0] {
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("%d secrets are sealed under this master key", n),
			Fix: "seal them under the current one first: fattorino keys rotate-master",
		}
	}
	return m.vault.RemoveKey(id)
}

// countAll counts all that is sealed, by master key.
func (m *masterKeyring) countAll(ctx context.Context) (map[string]int, error) {
	all := map[string]int{}
	for after := int64(0); ; {
		page, err := m.page(ctx, after)
		if err != nil {
			return nil, err
		}
		for id, n := range page.found {
			all[id] += n
		}
		if after = page.next; after == 0 {
			return all, nil
		}
	}
}

// Reseal implements [api.MasterKeyring].
func (m *masterKeyring) Reseal(ctx context.Context, r api.ResealRequest) (api.Resealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	page, err := m.page(ctx, r.After)
	if err != nil {
		return api.Resealed{}, err
	}
	done := api.Resealed{Found: []api.SealedCount{}, Next: page.next}
	for _, id := range slices.Sorted(maps.Keys(page.found)) {
		done.Found = append(done.Found, api.SealedCount{MasterKey: id, Secrets: page.found[id]})
	}
	if r.DryRun || len(page.keys)+len(page.subscriptions) == 0 {
		return done, nil
	}
	err = m.engine.Update(ctx, func(tx fattorino.Tx) error {
		done.Resealed = 0 // it may be run again
		return m.reseal(tx, page, &done.Resealed)
	})
	if unknown, ok := errors.AsType[*sign.UnknownKeyError](err); ok {
		return done, &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("something is sealed under the master key %q, which is not there any more", unknown.KeyID),
			Fix: "put the key back into the list of master keys, after the current one, and start again", Err: err,
		}
	}
	return done, err
}

// A sealedPage is a part of what is sealed.
type sealedPage struct {
	found map[string]int // by master key
	next  int64          // the last subscription looked at; 0 = there are no more

	keys          []*fattorino.Key // those that are not under the current master key
	subscriptions []int64
}

// count counts a secret, and tells whether it is to be sealed anew.
func (p *sealedPage) count(vault *sign.Vault, sealed []byte) (stale bool, err error) {
	id, err := sign.MasterKeyOf(sealed)
	p.found[id]++
	return vault.NeedsReseal(sealed), err
}

// page looks at the subscriptions that come after, and before all of them at
// the signing keys.
func (m *masterKeyring) page(ctx context.Context, after int64) (*sealedPage, error) {
	p := &sealedPage{found: map[string]int{}}
	if after == 0 {
		keys, err := m.store.Keys(ctx, ficKeys)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			stale, err := p.count(m.vault, key.Sealed)
			if err != nil {
				return nil, fmt.Errorf("signing key %s: %w", key.KID, err)
			}
			if stale {
				p.keys = append(p.keys, key)
			}
		}
	}
	subscriptions, err := m.store.KeptSubscriptions(ctx, after, resealed)
	if err != nil {
		return nil, err
	}
	for _, s := range subscriptions {
		stale, err := p.countSubscription(m.vault, s)
		if err != nil {
			return nil, fmt.Errorf("subscription %d: %w", s.ID, err)
		}
		if stale {
			p.subscriptions = append(p.subscriptions, s.ID)
		}
	}
	if len(subscriptions) == resealed {
		p.next = subscriptions[resealed-1].ID
	}
	return p, nil
}

func (p *sealedPage) countSubscription(vault *sign.Vault, s *fattorino.Subscription) (stale bool, err error) {
	var all [][]byte
	for _, secret := range s.Secrets {
		all = append(all, secret.Sealed)
	}
	if len(s.Options.Headers) > 0 {
		all = append(all, s.Options.Headers)
	}
	for _, sealed := range all {
		one, err := p.count(vault, sealed)
		if err != nil {
			return false, err
		}
		stale = stale || one
	}
	return stale, nil
}

// reseal seals what a page found anew, as it stands in the transaction.
func (m *masterKeyring) reseal(tx fattorino.Tx, p *sealedPage, count *int) error {
	for _, key := range p.keys {
		sealed, err := m.vault.Reseal(key.Sealed, sealContext(key.KID))
		if err != nil {
			return fmt.Errorf("signing key %s: %w", key.KID, err)
		}
		if err := tx.ResealKey(key.KID, sealed); err != nil {
			return err
		}
		*count++
	}
	for _, id := range p.subscriptions {
		kept, err := tx.Subscription(id)
		if err != nil {
			return err
		}
		s := kept.Clone()
		n, err := m.keychain.Reseal(s)
		if err != nil {
			return fmt.Errorf("subscription %d: %w", id, err)
		}
		if n == 0 {
			continue
		}
		if err := tx.PutSubscription(s); err != nil {
			return err
		}
		*count += n
	}
	return nil
}
