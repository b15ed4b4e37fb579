package sign

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// A Vault seals secrets for keeping at rest and opens them again: AES-256-GCM
// under a master key that is named in what it sealed. The current master key
// seals; all of them open. It may be used by many goroutines, also while keys
// are added and removed.
//
// Nonces are random, so one master key should seal no more than 2³² secrets
// (NIST SP 800-38D, section 8.3).
type Vault struct {
	file string                     // of the master keys; empty where they were given
	keys atomic.Pointer[masterKeys] // a set never changes, it is replaced
	mu   sync.Mutex                 // one change of the file at a time
}

// masterKeys are the keys of a vault.
type masterKeys struct {
	ids   []string               // the current one, which seals, first
	aeads map[string]cipher.AEAD // by id; the raw keys are not kept
}

func (k *masterKeys) current() string { return k.ids[0] }

// newVault makes a vault with the keys of a file, or with given ones.
func newVault(file string, keys *masterKeys) *Vault {
	v := &Vault{file: file}
	v.keys.Store(keys)
	return v
}

// sealedVersion is the first byte of everything sealed:
//
//	version (1) | length of key id (1) | key id | nonce (12) | ciphertext and tag
//
// Everything before the nonce, and the context after it, is additional data:
// bound to the secret, and not encrypted.
const sealedVersion = 1

// An UnknownKeyError says that a secret was sealed under a master key that the
// vault does not have.
type UnknownKeyError struct{ KeyID string }

// Error names the key and says what to do.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("sealed with master key %q, which is not among the master keys: put it back into the list, after the current one", e.KeyID)
}

// Seal encrypts plaintext for one place. The context names that place, as
// "subscription/42/secret"; the same words are needed to open it, so that a
// sealed secret moved elsewhere in the store is refused. An empty context is an
// error.
func (v *Vault) Seal(plaintext, context string) ([]byte, error) {
	if context == "" {
		return nil, errors.New("seal: the context is empty")
	}
	keys := v.keys.Load()
	id := keys.current()
	header := append([]byte{sealedVersion, byte(len(id))}, id...)
	bound := slices.Concat(header, []byte(context))
	return keys.aeads[id].Seal(header, nil, []byte(plaintext), bound), nil
}

// Open decrypts what [Vault.Seal] made for the same context. It fails with an
// [UnknownKeyError] where the master key is missing.
func (v *Vault) Open(sealed []byte, context string) (string, error) {
	id, body, err := splitSealed(sealed)
	if err != nil {
		return "", err
	}
	aead, ok := v.keys.Load().aeads[id]
	if !ok {
		return "", &UnknownKeyError{KeyID: id}
	}
	header := sealed[:len(sealed)-len(body)]
	plaintext, err := aead.Open(nil, nil, body, slices.Concat(header, []byte(context)))
	if err != nil {
		return "", fmt.Errorf("master key %q does not open the sealed secret: it was damaged, or sealed for another place or under another key of that id", id)
	}
	return string(plaintext), nil
}

// NeedsReseal tells whether a secret is sealed otherwise than Seal would now
// do it: under a previous master key, or in a form that Open refuses.
func (v *Vault) NeedsReseal(sealed []byte) bool {
	id, _, err := splitSealed(sealed)
	return err != nil || id != v.keys.Load().current()
}

// MasterKeyOf gives the id of the master key that a secret is sealed under.
func MasterKeyOf(sealed []byte) (string, error) {
	id, _, err := splitSealed(sealed)
	return id, err
}

// Reseal seals what is sealed for a place anew, under the current master key.
func (v *Vault) Reseal(sealed []byte, context string) ([]byte, error) {
	plaintext, err := v.Open(sealed, context)
	if err != nil {
		return nil, err
	}
	return v.Seal(plaintext, context)
}

// splitSealed gives the key id and what follows the header.
func splitSealed(sealed []byte) (id string, body []byte, err error) {
	if len(sealed) < 2 {
		return "", nil, errors.New("the sealed secret is cut off")
	}
	if sealed[0] != sealedVersion {
		return "", nil, fmt.Errorf("the secret is sealed in form %d; this program knows form %d", sealed[0], sealedVersion)
	}
	end := 2 + int(sealed[1])
	if len(sealed) < end {
		return "", nil, errors.New("the sealed secret is cut off")
	}
	id = string(sealed[2:end])
	if !validKeyID(id) {
		return "", nil, errors.New("the sealed secret names no master key")
	}
	return id, sealed[end:], nil
}

// Format prints which keys the vault has, by id, and never a key.
func (v *Vault) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, v.describe()) }

// LogValue is what a log shows: the same as Format.
func (v *Vault) LogValue() slog.Value { return slog.StringValue(v.describe()) }

func (v *Vault) describe() string {
	keys := v.keys.Load()
	return fmt.Sprintf("Vault(current key %s of %d)", keys.current(), len(keys.ids))
}
