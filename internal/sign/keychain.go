package sign

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The schemes that sign with a secret of the subscription.
const (
	SchemeV1      = "v1"      // Standard Webhooks 1.0.0, HMAC with SHA-256
	SchemeV1a     = "v1a"     // Standard Webhooks 1.0.0, Ed25519
	SchemeHTTPSig = "httpsig" // HTTP Message Signatures (RFC 9421), Ed25519
)

// The contexts that bind what is sealed to its use. A subscription's number is
// not among them: its secrets are sealed before it has one.
const (
	secretContext  = "subscription/secret"
	headersContext = "subscription/headers"
	ticketContext  = "ticket/"
)

// maxTicket is longer than any ticket, in characters.
const maxTicket = 256

// A Keychain makes, seals and opens what subscriptions keep secret: their
// signing secrets and the header fields they ask for. What was opened lately
// stays open in memory, so that a notification costs no decryption. It may be
// used by many goroutines.
type Keychain struct {
	vault   *Vault
	keys    cache[WebhookKey]
	headers cache[[]fattorino.Header]
}

// NewKeychain makes a keychain whose secrets are sealed in the vault.
func NewKeychain(v *Vault) *Keychain { return &Keychain{vault: v} }

// NewSecret makes a random secret for a scheme: [SchemeV1], [SchemeV1a] or
// [SchemeHTTPSig]. Shown is what its subscriber is told, as [Keychain.Show]
// gives it.
func (k *Keychain) NewSecret(scheme string) (secret fattorino.Secret, shown string, err error) {
	switch scheme {
	case SchemeV1:
		s := NewHMACSecret()
		shown = s.Reveal()
		secret, err = k.seal(shown)
	case SchemeV1a, SchemeHTTPSig:
		key := NewEd25519Key()
		shown = key.Public().String()
		secret, err = k.seal(key.Reveal())
	default:
		err = fmt.Errorf("make secret: no secret belongs to the signature scheme %q", scheme)
	}
	return secret, shown, err
}

// SealSecret seals a secret that its subscriber brings along: "whsec_…" of 24
// to 64 bytes, or "whsk_…". Any other text is an error that quotes nothing.
func (k *Keychain) SealSecret(text string) (fattorino.Secret, error) {
	key, err := parseWebhookKey(text)
	if err != nil {
		return fattorino.Secret{}, err
	}
	if ed, ok := key.(*Ed25519Key); ok {
		text = ed.Reveal() // one form, whichever of the two it came in
	}
	return k.seal(text)
}

func (k *Keychain) seal(text string) (fattorino.Secret, error) {
	sealed, err := k.vault.Seal(text, secretContext)
	return fattorino.Secret{Sealed: sealed}, err
}

// Show gives what the subscriber may know of a secret: an HMAC secret itself,
// "whsec_…", and of an Ed25519 key the public half alone, "whpk_…".
func (k *Keychain) Show(secret fattorino.Secret) (string, error) {
	key, err := k.open(secret.Sealed)
	if err != nil {
		return "", err
	}
	switch key := key.(type) {
	case *HMACSecret:
		return key.Reveal(), nil
	case *Ed25519Key:
		return key.Public().String(), nil
	}
	return "", errors.New("show secret: it is of an unknown kind")
}

// AppendSigners appends the keys of a subscription's secrets that are in force
// at now to keys, in the order of the secrets: each an [*HMACSecret] or an
// [*Ed25519Key]. None is no error here.
func (k *Keychain) AppendSigners(keys WebhookKeys, secrets []fattorino.Secret, now time.Time) (WebhookKeys, error) {
	for _, s := range secrets {
		if !s.EndsAt.IsZero() && !now.Before(s.EndsAt) {
			continue
		}
		key, err := k.open(s.Sealed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// open gives the key that was sealed.
func (k *Keychain) open(sealed []byte) (WebhookKey, error) {
	if len(sealed) == 0 {
		return nil, errors.New("open signing secret: there is none")
	}
	if key, ok := k.keys.get(sealed); ok {
		return key, nil
	}
	text, err := k.vault.Open(sealed, secretContext)
	if err != nil {
		return nil, fmt.Errorf("open signing secret: %w", err)
	}
	key, err := parseWebhookKey(text)
	if err != nil {
		return nil, err
	}
	k.keys.put(sealed, key)
	return key, nil
}

// parseWebhookKey reads a secret in its text form, whose prefix tells the kind.
func parseWebhookKey(text string) (WebhookKey, error) {
	switch {
	case strings.HasPrefix(text, secretPrefix):
		return ParseHMACSecret(text)
	case strings.HasPrefix(text, privateKeyPrefix):
		return ParseEd25519Key(text)
	}
	return nil, fmt.Errorf("the secret begins with neither %s nor %s", secretPrefix, privateKeyPrefix)
}

// sealedField is a header field as it is sealed.
type sealedField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SealHeaders seals header fields for [fattorino.Options]; none give nil.
func (k *Keychain) SealHeaders(fields []fattorino.Header) ([]byte, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	list := make([]sealedField, len(fields))
	for i, f := range fields {
		list[i] = sealedField{f.Name, f.Value}
	}
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, errors.New("seal header fields: they cannot be written as JSON")
	}
	return k.vault.Seal(string(plain), headersContext)
}

// OpenHeaders gives the header fields that SealHeaders sealed, in their order
// and marked as secret; none for nil. The list is not to be changed.
func (k *Keychain) OpenHeaders(sealed []byte) ([]fattorino.Header, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if fields, ok := k.headers.get(sealed); ok {
		return fields, nil
	}
	plain, err := k.vault.Open(sealed, headersContext)
	if err != nil {
		return nil, fmt.Errorf("open header fields: %w", err)
	}
	var list []sealedField
	if json.Unmarshal([]byte(plain), &list) != nil {
		return nil, errors.New("open header fields: they are not as they were sealed")
	}
	fields := make([]fattorino.Header, len(list))
	for i, f := range list {
		fields[i] = fattorino.Header{Name: f.Name, Value: f.Value, Secret: true}
	}
	k.headers.put(sealed, fields)
	return fields, nil
}

// Reseal seals under the current master key what a subscription keeps secret and
// is under another, and counts it. The subscription's list of secrets must be
// its own.
func (k *Keychain) Reseal(s *fattorino.Subscription) (count int, err error) {
	again := func(sealed *[]byte, context string) error {
		if !k.vault.NeedsReseal(*sealed) {
			return nil
		}
		anew, err := k.vault.Reseal(*sealed, context)
		if err != nil {
			return err
		}
		*sealed = anew
		count++
		return nil
	}
	for i := range s.Secrets {
		if err := again(&s.Secrets[i].Sealed, secretContext); err != nil {
			return 0, err
		}
	}
	if len(s.Options.Headers) > 0 {
		err = again(&s.Options.Headers, headersContext)
	}
	return count, err
}

// NewTicket gives a text that nobody without the master keys can make, and that
// is good for one purpose, as "callback/42/1": letters, digits, "-" and "_".
// Each call gives another.
func (k *Keychain) NewTicket(purpose string) (string, error) {
	sealed, err := k.vault.Seal("", ticketContext+purpose)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// TicketValid tells whether a ticket was made by NewTicket for the purpose. The
// comparison is that of AES-GCM, which takes the same time for any wrong one.
func (k *Keychain) TicketValid(ticket, purpose string) bool {
	if len(ticket) > maxTicket {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil || len(ticket) != base64.RawURLEncoding.EncodedLen(len(sealed)) { // line breaks are skipped in decoding
		return false
	}
	_, err = k.vault.Open(sealed, ticketContext+purpose)
	return err == nil
}

// Format prints that there is a keychain and nothing that is on it.
func (k *Keychain) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, hiddenKeychain) }

// LogValue is what a log shows: the same as Format.
func (k *Keychain) LogValue() slog.Value { return slog.StringValue(hiddenKeychain) }

const hiddenKeychain = "Keychain(hidden)"

// cacheSize is how many values a generation of a cache holds.
const cacheSize = 4096

// cacheAge is how long a generation of a cache lasts at most.
const cacheAge = 10 * time.Minute

// A cache holds what was opened lately, up to two generations of cacheSize. When
// the younger is full or old the elder is dropped, with all that was not asked
// for since the younger began: nothing stays open that is not used.
//
// It goes by where the sealed form lies in memory, and keeps that there. A
// subscription in force has it in one place and never changes it, and to compare
// a hundred bytes for each notification costs half as much as to sign it.
type cache[T any] struct {
	mu           sync.RWMutex
	young, elder map[*byte]T
	aging        bool // age is going to be called
}

// get gives what was sealed, which is not empty.
func (c *cache[T]) get(sealed []byte) (T, bool) {
	c.mu.RLock()
	v, young := c.young[&sealed[0]]
	found := young
	if !young {
		v, found = c.elder[&sealed[0]]
	}
	c.mu.RUnlock()
	if found && !young {
		c.put(sealed, v)
	}
	return v, found
}

func (c *cache[T]) put(sealed []byte, v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheSize {
		c.young, c.elder = nil, c.young
	}
	if c.young == nil {
		c.young = make(map[*byte]T)
	}
	c.young[&sealed[0]] = v
	c.ageLater()
}

// ageLater has the cache age when its time has come. Nothing runs for one that
// is empty.
func (c *cache[T]) ageLater() {
	if !c.aging {
		c.aging = true
		time.AfterFunc(cacheAge, c.age)
	}
}

// age begins a new generation.
func (c *cache[T]) age() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.elder = nil, c.young
	c.aging = false
	if len(c.elder) > 0 {
		c.ageLater()
	}
}
