package sign_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

const place = "subscription/42/secret"

// masterKey is an entry with a key made of one repeated byte.
func masterKey(id string, fill byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32))
}

// sealedOnce was sealed for place with masterKey("k1", 1): header, nonce, and
// "whsec_abc" encrypted.
const sealedOnce = "01026b31" +
	"d471dbea8ba1ee140e9199b7" +
	"ec0156d54b0e3f5f9130a6f65c1335eb9e088b13d36fe18aef"

func openVault(t testing.TB, dir, env string) *sign.Vault {
	t.Helper()
	v, err := sign.OpenVault(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t testing.TB, v *sign.Vault, plaintext, context string) []byte {
	t.Helper()
	sealed, err := v.Seal(plaintext, context)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedSecretOpensAgain(t *testing.T) {
	t.Parallel()
	v := openVault(t, "", masterKey("k1", 1))

	for _, secret := range []string{"", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", strings.Repeat("\x00\xff", 50_000)} {
		sealed := seal(t, v, secret, place)
		if secret != "" && bytes.Contains(sealed, []byte(secret)) {
			t.Error("the sealed form holds the secret as it is")
		}
		got, err := v.Open(sealed, place)
		if err != nil || got != secret {
			t.Errorf("a secret of %d bytes came back with %d bytes, error %v", len(secret), len(got), err)
		}
	}
}

func TestSealedFormStaysReadable(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString(sealedOnce)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openVault(t, "", masterKey("k1", 1)).Open(sealed, place)
	if err != nil || got != "whsec_abc" {
		t.Errorf("what an earlier version sealed gives %q, error %v", got, err)
	}
}

func TestSealingTwiceGivesTwoForms(t *testing.T) {
	t.Parallel()
	v := openVault(t, "", masterKey("k1", 1))
	if bytes.Equal(seal(t, v, "secret", place), seal(t, v, "secret", place)) {
		t.Error("the same nonce was used twice")
	}
}

func TestSealRefusesAnEmptyContext(t *testing.T) {
	t.Parallel()
	if _, err := openVault(t, "", masterKey("k1", 1)).Seal("secret", ""); err == nil {
		t.Error("sealed for no place")
	}
}

func TestOpenRefusesAnotherContext(t *testing.T) {
	t.Parallel()
	v := openVault(t, "", masterKey("k1", 1))
	sealed := seal(t, v, "secret", place)
	for _, other := range []string{"subscription/43/secret", place + " ", "", "k1" + place} {
		if got, err := v.Open(sealed, other); err == nil || got != "" {
			t.Errorf("context %q opened what was sealed for %q", other, place)
		}
	}
}

func TestOpenRefusesTamperingInAnyByte(t *testing.T) {
	t.Parallel()
	// k1 and k0 are one key, so that a changed id finds a key that would fit.
	v := openVault(t, "", masterKey("k1", 1)+","+masterKey("k0", 1))
	sealed := seal(t, v, "secret", place)
	for i := range sealed {
		for bit := range 8 {
			tampered := bytes.Clone(sealed)
			tampered[i] ^= 1 << bit
			if got, err := v.Open(tampered, place); err == nil || got != "" {
				t.Errorf("bit %d of byte %d can be changed", bit, i)
			}
		}
	}
	for n := range sealed {
		if _, err := v.Open(sealed[:n], place); err == nil {
			t.Errorf("opened with %d of %d bytes", n, len(sealed))
		}
	}
	if _, err := v.Open(append(bytes.Clone(sealed), 0), place); err == nil {
		t.Error("opened with a byte too many")
	}
}

func TestOpenNamesTheMasterKeyThatIsMissing(t *testing.T) {
	t.Parallel()
	sealed := seal(t, openVault(t, "", masterKey("spring-2026", 1)), "secret", place)

	_, err := openVault(t, "", masterKey("autumn-2026", 2)).Open(sealed, place)

	unknown, ok := errors.AsType[*sign.UnknownKeyError](err)
	if !ok || unknown.KeyID != "spring-2026" {
		t.Fatalf("got %v, want an UnknownKeyError for spring-2026", err)
	}
	if !strings.Contains(err.Error(), `"spring-2026"`) {
		t.Errorf("the text does not name the key: %v", err)
	}
}

func TestOpenRefusesAnotherKeyOfTheSameID(t *testing.T) {
	t.Parallel()
	sealed := seal(t, openVault(t, "", masterKey("k1", 1)), "secret", place)
	_, err := openVault(t, "", masterKey("k1", 2)).Open(sealed, place)
	if err == nil || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("got %v, want an error that names k1", err)
	}
}

func TestRotationOfTheMasterKey(t *testing.T) {
	t.Parallel()
	before := openVault(t, "", masterKey("old", 1))
	sealedBefore := seal(t, before, "secret", place)
	if before.NeedsReseal(sealedBefore) {
		t.Error("asks to reseal what was sealed just now")
	}

	after := openVault(t, "", masterKey("new", 2)+","+masterKey("old", 1))

	got, err := after.Open(sealedBefore, place)
	if err != nil || got != "secret" {
		t.Fatalf("what the previous key sealed no longer opens: %v", err)
	}
	if !after.NeedsReseal(sealedBefore) {
		t.Error("does not ask to reseal what the previous key sealed")
	}
	resealed := seal(t, after, got, place)
	if after.NeedsReseal(resealed) {
		t.Error("asks to reseal what the current key sealed")
	}
	if _, err := before.Open(resealed, place); err == nil {
		t.Error("resealing did not use the new key")
	}
	if !after.NeedsReseal(nil) || !after.NeedsReseal([]byte{9, 9, 9}) {
		t.Error("does not ask to reseal what it cannot read")
	}
}

func TestFirstStartMakesTheMasterKeyFile(t *testing.T) {
	t.Parallel()
	outer := filepath.Join(t.TempDir(), "var")
	dir := filepath.Join(outer, "data")

	sealed := seal(t, openVault(t, dir, ""), "secret", place)

	for _, want := range []struct {
		path string
		mode os.FileMode
	}{{outer, 0o700}, {dir, 0o700}, {filepath.Join(dir, "master.keys"), 0o600}} {
		info, err := os.Stat(want.path)
		if err != nil || info.Mode().Perm() != want.mode {
			t.Errorf("%s has mode %v, error %v; want mode %v", filepath.Base(want.path), info.Mode().Perm(), err, want.mode)
		}
	}
	if names := names(t, dir); len(names) != 1 {
		t.Errorf("the folder holds %q, want the file alone", names)
	}
	if got, err := openVault(t, dir, "").Open(sealed, place); err != nil || got != "secret" {
		t.Errorf("after a new start: %v", err)
	}
}

func TestLostMasterKeyFileIsToldFromADamagedSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sealed := seal(t, openVault(t, dir, ""), "secret", place)
	if err := os.Remove(filepath.Join(dir, "master.keys")); err != nil {
		t.Fatal(err)
	}
	_, err := openVault(t, dir, "").Open(sealed, place)
	if _, ok := errors.AsType[*sign.UnknownKeyError](err); !ok {
		t.Errorf("got %v, want an UnknownKeyError", err)
	}
}

func TestConcurrentFirstStartsMakeOneFile(t *testing.T) {
	t.Parallel()
	const starts = 16
	for range 20 {
		dir := filepath.Join(t.TempDir(), "new", "data")
		vaults := make([]*sign.Vault, starts)
		errs := make([]error, starts)
		var all sync.WaitGroup
		gate := make(chan struct{})
		for i := range starts {
			all.Go(func() {
				<-gate
				vaults[i], errs[i] = sign.OpenVault(dir, "")
			})
		}
		close(gate)
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}

		sealed := seal(t, vaults[0], "secret", place)
		for i, v := range vaults {
			if _, err := v.Open(sealed, place); err != nil {
				t.Fatalf("start %d has another key than start 0: %v", i, err)
			}
		}
		if names := names(t, dir); len(names) != 1 {
			t.Fatalf("the folder holds %q, want the file alone", names)
		}
	}
}

func TestMasterKeyFileOpenToOthersIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o666} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			openVault(t, dir, "")
			path := filepath.Join(dir, "master.keys")
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}

			_, err := sign.OpenVault(dir, "")

			if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Fatalf("got %v, want an error that says how to fix it", err)
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			openVault(t, dir, "")
		})
	}
}

func TestEnvironmentBeatsTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ofFile := seal(t, openVault(t, dir, ""), "secret", place)

	v := openVault(t, dir, masterKey("env", 7))

	if v.NeedsReseal(seal(t, openVault(t, "", masterKey("env", 7)), "secret", place)) {
		t.Error("the key of the environment is not the current one")
	}
	if _, err := v.Open(ofFile, place); err == nil {
		t.Error("the file was read though the environment gives keys")
	}
}

func TestEnvironmentNeedsNoFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	openVault(t, dir, masterKey("env", 7))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made, or: %v", err)
	}
}

func TestMasterKeyFileWrittenByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "# ours, since May\n\n  " + masterKey("new", 2) + "  \r\n# before\n" + masterKey("old", 1)
	if err := os.WriteFile(filepath.Join(dir, "master.keys"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	v := openVault(t, dir, "")

	if _, err := v.Open(seal(t, openVault(t, "", masterKey("old", 1)), "secret", place), place); err != nil {
		t.Error(err)
	}
	if v.NeedsReseal(seal(t, openVault(t, "", masterKey("new", 2)), "secret", place)) {
		t.Error("the first key of the file is not the current one")
	}
}

func TestBadMasterKeysAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	const key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
	for name, tc := range map[string]struct{ keys, want string }{
		"no id":             {key, "entry 1 is not of the form"},
		"empty id":          {":" + key, "entry 1 has a bad id"},
		"id with a space":   {"k 1:" + key, "entry 1 has a bad id"},
		"long id":           {strings.Repeat("k", 33) + ":" + key, "entry 1 has a bad id"},
		"key and id turned": {key + ":k1", "entry 1 has a bad id"},
		"no base64":         {"k1:" + key[:43], "entry 1 is not the standard base64"},
		"16 bytes":          {"k1:c2VjcmV0LXNlY3JldA==", "entry 1 is not the standard base64"},
		"33 bytes":          {"k1:c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3Jl", "entry 1 is not the standard base64"},
		"second bad":        {masterKey("k1", 1) + ",k2=" + key, "entry 2 is not of the form"},
		"id twice":          {masterKey("k1", 1) + ",k1:" + key, "entry 2 has the id"},
		"none":              {" , ", "there is none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "master.keys"), []byte(tc.keys), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, env := range []string{"", tc.keys} {
				_, err := sign.OpenVault(dir, env)
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("got %v, want an error with %q", err, tc.want)
				}
				if strings.Contains(err.Error(), "c2VjcmV0") {
					t.Errorf("the error quotes the key: %v", err)
				}
			}
		})
	}
}

func TestMasterKeyFileMustBeAFileOfSensibleSize(t *testing.T) {
	t.Parallel()
	folder, large := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "master.keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := sign.OpenVault(folder, ""); err == nil {
		t.Error("a folder was read as a file")
	}
	text := masterKey("k1", 1) + strings.Repeat("\n", 64<<10)
	if err := os.WriteFile(filepath.Join(large, "master.keys"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sign.OpenVault(large, ""); err == nil {
		t.Error("the file is read without bound")
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func FuzzOpen(f *testing.F) {
	v := openVault(f, "", masterKey("k1", 1)+","+masterKey("k0", 2))
	// Not sealed anew here: each fuzzing process would have its own.
	genuine, err := hex.DecodeString(sealedOnce)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine, place)
	f.Add(genuine[:len(genuine)-1], place)
	f.Add([]byte("\x01\x02k0"), place)
	f.Add([]byte("\x01\xffk1"), "")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, sealed []byte, context string) {
		plaintext, err := v.Open(sealed, context)
		if opened := err == nil; opened != (bytes.Equal(sealed, genuine) && context == place) {
			t.Errorf("opened %v: %q, error %v", opened, plaintext, err)
		}
		if err != nil && plaintext != "" {
			t.Error("a refused secret was given out")
		}
		v.NeedsReseal(sealed)
	})
}
