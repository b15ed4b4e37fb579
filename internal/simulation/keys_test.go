package simulation_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// A known secret is one that receivers verify with. It takes the place of
// another for good after its overlap.
type known struct {
	fattorino.Secret
	key     []byte
	overlap time.Duration
}

// newSecrets makes a few.
func newSecrets(keychain *sign.Keychain) ([]known, error) {
	var all []known
	for _, overlap := range []time.Duration{0, time.Minute, time.Hour} {
		secret, shown, err := keychain.NewSecret(sign.SchemeV1)
		if err != nil {
			return nil, err
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "whsec_"))
		if err != nil {
			return nil, err
		}
		all = append(all, known{secret, key, overlap})
	}
	return all, nil
}

// whose tells which of the secrets have signed a request (Standard Webhooks
// 1.0.0).
func (k *kit) whose(r *fattorino.Request) (signed []int) {
	signatures := strings.Fields(field(r, "webhook-signature"))
	for i, secret := range k.secrets {
		mac := hmac.New(sha256.New, secret.key)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", field(r, "webhook-id"), field(r, "webhook-timestamp"), r.Body) // a hash never fails
		if slices.Contains(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
			signed = append(signed, i)
		}
	}
	return signed
}

// number gives the place of a secret among those that are known.
func (k *kit) number(s fattorino.Secret) int {
	return slices.IndexFunc(k.secrets, func(o known) bool { return bytes.Equal(o.Sealed, s.Sealed) })
}

// field gives the value of a header field.
func field(r *fattorino.Request, name string) string {
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// bearer gives the id of the key that the token of a request says it is signed
// with.
func bearer(r *fattorino.Request) string {
	head, _, _ := strings.Cut(strings.TrimPrefix(field(r, "authorization"), "Bearer "), ".")
	text, _ := base64.RawURLEncoding.DecodeString(head)
	var claims struct {
		KID string `json:"kid"`
	}
	_ = json.Unmarshal(text, &claims) // no token, no key
	return claims.KID
}

// ficKeys is the name of the keys that sign for Fatture in Cloud.
const ficKeys = "fic"

// newKey draws a key and makes it the one that signs, in the store.
func (k *kit) newKey(tx fattorino.Tx, key *sign.ES256Key) error {
	der, err := key.Marshal()
	if err != nil {
		return err
	}
	sealed, err := k.vault.Seal(string(der), key.KID())
	if err != nil {
		return err
	}
	if err := tx.PutKey(&fattorino.Key{Name: ficKeys, KID: key.KID(), Sealed: sealed, CreatedAt: time.Now()}); err != nil {
		return err
	}
	return tx.RetireKeys(ficKeys, key.KID(), time.Now())
}

// ring reads the keys as a start does.
func (k *kit) ring(s fattorino.Reader) (*sign.Ring, error) {
	stored, err := s.Keys(context.Background(), ficKeys)
	if err != nil {
		return nil, err
	}
	var current *sign.ES256Key
	var previous []*sign.ES256Key
	for _, kept := range stored {
		der, err := k.vault.Open(kept.Sealed, kept.KID)
		if err != nil {
			return nil, err
		}
		key, err := sign.ParseES256Key([]byte(der))
		if err != nil {
			return nil, err
		}
		if kept.RetiredAt.IsZero() {
			current = key
			continue
		}
		previous = append(previous, key)
	}
	return sign.NewRing(current, previous...), nil
}

// ficSigner joins the contract of Fatture in Cloud to the keys, as the program
// does.
type ficSigner struct{ ring *sign.Ring }

func (s ficSigner) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

// rotate has another key sign from now on.
func (l *life) rotate() {
	key, err := sign.NewES256Key()
	if err == nil {
		err = l.engine.Update(context.Background(), func(tx fattorino.Tx) error { return l.kit.newKey(tx, key) })
	}
	if err != nil {
		l.history.add(l, note("the key was not rotated: "+err.Error()))
		return
	}
	l.ring.Rotate(key)
}

// operate rotates the key now and then.
func (w *world) operate() {
	for i := range rotations {
		pass(w.chance.between(time.Second, 10*time.Minute, "rotation", i))
		w.call(func(l *life) { l.rotate() })
	}
}

// A signing is what the secrets of a subscription and the keys are to sign, as
// the documents have it.
type signing struct {
	until map[int]time.Time // by secret: when it stops; zero = it is the newest
}

// follow works in a change of secrets: the newest signs from now on, those
// before it until their time is over, which is its overlap at the latest. One
// whose time is over by then never comes back, however the clock is set.
func (s *signing) follow(k *kit, old, now *fattorino.Subscription) {
	if s.until == nil || old == now {
		s.until = map[int]time.Time{}
		for _, secret := range now.Secrets {
			s.until[k.number(secret)] = time.Time{}
		}
		return
	}
	if len(now.Secrets) == 0 || slices.EqualFunc(old.Secrets, now.Secrets, sameSecret) {
		return
	}
	newest := k.number(now.Secrets[0])
	end := now.UpdatedAt.Add(k.secrets[newest].overlap)
	for i, until := range s.until {
		if until.IsZero() || end.Before(until) {
			s.until[i] = end
		}
		if !now.UpdatedAt.Before(s.until[i]) {
			delete(s.until, i)
		}
	}
	s.until[newest] = time.Time{}
}

// sameSecret tells whether nothing was changed of a secret; one may take its own
// place.
func sameSecret(a, b fattorino.Secret) bool {
	return bytes.Equal(a.Sealed, b.Sealed) && a.EndsAt.Equal(b.EndsAt)
}

// at gives the secrets that sign at a time.
func (s *signing) at(now time.Time) []int {
	var all []int
	for i, until := range s.until {
		if until.IsZero() || now.Before(until) {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	return all
}

// maySign holds the signature of a notification to the secrets and keys in
// force. What changed at this very instant may not have been.
func (c *checker) maySign(s *subscription, a *arrived) {
	now := c.entry.at
	if now.Equal(s.changedAt) {
		return
	}
	if want := s.signing.at(now); !slices.Equal(a.signed, want) {
		c.violate(s.about(), "a notification to subscription %d was signed with the secrets %v, in force are %v", s.ID, a.signed, want)
	}
	if len(a.signed) > 1 {
		c.kit.met.add("signed by two secrets")
	}
	if s.Contract != "fic" {
		return
	}
	retired, there := c.keys[a.key]
	if !there || (!retired.IsZero() && !retired.Equal(now)) {
		c.violate(append(s.about(), "key"), "a notification to subscription %d was signed with a key that is not in force", s.ID)
	}
}
