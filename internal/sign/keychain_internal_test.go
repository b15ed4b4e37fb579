package sign

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestASecretThatIsNotUsedDoesNotStayOpen(t *testing.T) {
	t.Parallel()
	vault, err := OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		// Given two secrets that were opened, and one of them is used on,
		k := NewKeychain(vault)
		used, unused := newSecret(t, k), newSecret(t, k)
		open := func(s fattorino.Secret) bool {
			k.keys.mu.RLock()
			defer k.keys.mu.RUnlock()
			_, young := k.keys.young[&s.Sealed[0]]
			_, elder := k.keys.elder[&s.Sealed[0]]
			return young || elder
		}
		show(t, k, used)
		show(t, k, unused)
		if !open(used) || !open(unused) {
			t.Fatal("what was opened is opened anew each time")
		}
		// when two generations have passed, then the other is open no more,
		for range 4 {
			time.Sleep(cacheAge / 2)
			show(t, k, used)
		}
		time.Sleep(time.Second)
		if !open(used) || open(unused) {
			t.Errorf("the used one is open: %t, want true; the unused one: %t, want false", open(used), open(unused))
		}
		// and in the end none is, and nothing runs.
		time.Sleep(3 * cacheAge)
		k.keys.mu.RLock()
		defer k.keys.mu.RUnlock()
		if len(k.keys.young)+len(k.keys.elder) > 0 || k.keys.aging {
			t.Error("the cache of an idle keychain is not empty")
		}
	})
}

func newSecret(t *testing.T, k *Keychain) fattorino.Secret {
	t.Helper()
	secret, _, err := k.NewSecret(SchemeV1)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func show(t *testing.T, k *Keychain, s fattorino.Secret) {
	t.Helper()
	if _, err := k.Show(s); err != nil {
		t.Fatal(err)
	}
}
