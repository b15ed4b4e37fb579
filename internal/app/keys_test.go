package app

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func TestARotatedKeyStaysInTheSetForADay(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		k, err := openKeyring(t.Context(), store, vault)
		if err != nil {
			t.Fatal(err)
		}
		first := k.ring.Current().KID()
		if err := k.Rotate(t.Context(), ficKeys); err != nil {
			t.Fatal(err)
		}
		second := k.ring.Current().KID()

		time.Sleep(keptInSet)
		expectSet(t, "for a day", k, second, first)
		reopened, err := openKeyring(t.Context(), store, vault)
		if err != nil {
			t.Fatal(err)
		}
		expectSet(t, "for a day, after a restart", reopened, second, first)

		time.Sleep(time.Second)
		expectSet(t, "after a day", k, second)
		expectSet(t, "after a day, and a restart before", reopened, second)
		reopened, err = openKeyring(t.Context(), store, vault)
		if err != nil {
			t.Fatal(err)
		}
		expectSet(t, "after a day, and a restart after", reopened, second)
	})
}

func expectSet(t *testing.T, when string, k *keyring, kids ...string) {
	t.Helper()
	set := string(k.JWKS())
	if strings.Count(set, `"kid"`) != len(kids) {
		t.Errorf("%s: the set is %s, want %v", when, set, kids)
	}
	for _, kid := range kids {
		if !strings.Contains(set, kid) {
			t.Errorf("%s: %s is not in the set", when, kid)
		}
	}
	if k.ring.Current().KID() != kids[0] {
		t.Errorf("%s: another key signs", when)
	}
}

func TestKeysAreSealedInTheStore(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := openKeyring(t.Context(), store, vault)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.Keys(t.Context(), ficKeys)
	if err != nil || len(kept) != 1 {
		t.Fatalf("got %d keys: %v", len(kept), err)
	}
	der, err := k.ring.Current().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(kept[0].Sealed), string(der[len(der)/2:])) {
		t.Error("the private key is in the store as it is")
	}
	// One that was sealed for another place does not open.
	if _, err := k.open(&fattorino.Key{KID: "another", Sealed: kept[0].Sealed}); err == nil {
		t.Error("a key opens under another name")
	}
}

func TestAKeyThatCannotBeKeptDoesNotSign(t *testing.T) {
	t.Parallel()
	disk := &breakable{Store: openStore(t)}
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := openKeyring(t.Context(), disk, vault)
	if err != nil {
		t.Fatal(err)
	}
	before := k.ring.Current().KID()
	disk.full.Store(true)
	if err := k.Rotate(t.Context(), ficKeys); fattorino.KindOf(err) != fattorino.Unavailable {
		t.Errorf("got %v, want to be told that nothing can be stored", err)
	}
	expectSet(t, "after a rotation that failed", k, before)
}
