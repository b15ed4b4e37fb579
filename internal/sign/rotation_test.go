package sign_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func TestANewMasterKeySealsAndTheOthersOpen(t *testing.T) {
	t.Parallel()
	// Given a vault that has sealed something,
	dir := t.TempDir()
	v := openVault(t, dir, "")
	before := seal(t, v, "secret", place)
	first := v.MasterKeys()[0]

	// when it gets a new key,
	id, err := v.AddKey()
	if err != nil {
		t.Fatal(err)
	}

	// then that one seals, here and after a restart, and both open.
	for name, v := range map[string]*sign.Vault{"the same vault": v, "opened again": openVault(t, dir, "")} {
		if got := v.MasterKeys(); !slices.Equal(got, []string{id, first}) {
			t.Errorf("%s: the keys are %v, want %s and then %s", name, got, id, first)
		}
		after := seal(t, v, "secret", place)
		if got, err := sign.MasterKeyOf(after); err != nil || got != id {
			t.Errorf("%s: sealed under %s, %v", name, got, err)
		}
		if !v.NeedsReseal(before) || v.NeedsReseal(after) {
			t.Errorf("%s: it is not told what needs to be sealed anew", name)
		}
		again, err := v.Reseal(before, place)
		if err != nil || v.NeedsReseal(again) {
			t.Errorf("%s: not sealed anew: %v", name, err)
		}
		for _, sealed := range [][]byte{before, after, again} {
			if got, err := v.Open(sealed, place); err != nil || got != "secret" {
				t.Errorf("%s: opened as %q, %v", name, got, err)
			}
		}
	}
	// The file is its owner's alone, and nothing else lies about.
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

func TestARemovedMasterKeyIsGoneForGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir, "")
	first := v.MasterKeys()[0]
	sealed := seal(t, v, "secret", place)
	if err := v.RemoveKey(first); fattorino.KindOf(err) != fattorino.Conflict {
		t.Errorf("the current key: %v, want Conflict", err)
	}
	if err := v.RemoveKey("another"); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("a key that there is not: %v, want NotFound", err)
	}
	second, err := v.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RemoveKey(first); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*sign.Vault{"the same vault": v, "opened again": openVault(t, dir, "")} {
		if got := v.MasterKeys(); !slices.Equal(got, []string{second}) {
			t.Errorf("%s: the keys are %v, want %s", name, got, second)
		}
		if _, err := v.Open(sealed, place); err == nil {
			t.Errorf("%s: the removed key still opens", name)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "master.keys"))
	if err != nil || strings.Contains(string(text), first) || !strings.HasPrefix(string(text), "# Master keys") {
		t.Errorf("the file is %d bytes, %v; want the removed key gone and the comment kept", len(text), err)
	}
}

// What an operator writes by hand is kept: comments, several entries in a line,
// keys that came while the vault was open.
func TestTheFileOfMasterKeysStaysTheOperators(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "master.keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# ours\n" + masterKey("k1", 1) + "," + masterKey("k2", 2) + "\n")
	v := openVault(t, dir, "")
	write("# ours\n\n" + masterKey("k1", 1) + ", " + masterKey("k2", 2) + "," + masterKey("k3", 3) + "\n# the end")
	id, err := v.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RemoveKey("k2"); err != nil {
		t.Fatal(err)
	}
	if got := v.MasterKeys(); !slices.Equal(got, []string{id, "k1", "k3"}) {
		t.Errorf("the keys are %v", got)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	want := masterKey("k1", 1) + "," + masterKey("k3", 3)
	if len(lines) != 5 || lines[0] != "# ours" || !strings.HasPrefix(lines[2], id+":") || lines[3] != want || lines[4] != "# the end" {
		t.Errorf("the file has the lines %d, not as they were with a key more and one less", len(lines))
	}
	// A file that is no good any more is left alone.
	write("oops\n")
	if _, err := v.AddKey(); err == nil {
		t.Error("a key was added to a file that cannot be read")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "oops\n" {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestMasterKeysOfTheSettingsAreNotChanged(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir(), masterKey("k1", 1)+","+masterKey("k2", 2))
	_, err := v.AddKey()
	if e := fattorino.AsError(err); e.Kind != fattorino.Conflict || !strings.Contains(e.Fix, "FATTORINO_MASTER_KEYS") {
		t.Errorf("got %v, want to be told what to do", err)
	}
	err = v.RemoveKey("k2")
	if e := fattorino.AsError(err); e.Kind != fattorino.Conflict || !strings.Contains(e.Fix, "FATTORINO_MASTER_KEYS") {
		t.Errorf("got %v, want to be told what to do", err)
	}
	if v.InFile() {
		t.Error("the keys are told to be in a file")
	}
}

func TestASubscriptionsSecretsAreSealedAnew(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir(), "")
	k := sign.NewKeychain(v)
	var shown []string
	s := &fattorino.Subscription{}
	for _, scheme := range []string{sign.SchemeV1, sign.SchemeV1a} {
		secret, text, err := k.NewSecret(scheme)
		if err != nil {
			t.Fatal(err)
		}
		s.Secrets, shown = append(s.Secrets, secret), append(shown, text)
	}
	s.Secrets[1].EndsAt = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	fields := []fattorino.Header{{Name: "X-Key", Value: "secret", Secret: true}}
	var err error
	if s.Options.Headers, err = k.SealHeaders(fields); err != nil {
		t.Fatal(err)
	}
	if n, err := k.Reseal(s); n != 0 || err != nil {
		t.Errorf("%d were sealed anew, %v; want none, for all are under the current key", n, err)
	}
	if _, err := v.AddKey(); err != nil {
		t.Fatal(err)
	}
	old := s.Clone()
	if n, err := k.Reseal(s); n != 3 || err != nil {
		t.Errorf("%d were sealed anew, %v; want 3", n, err)
	}
	if err := v.RemoveKey(v.MasterKeys()[1]); err != nil {
		t.Fatal(err)
	}
	k = sign.NewKeychain(v) // which remembers nothing
	for i, secret := range s.Secrets {
		if got, err := k.Show(secret); err != nil || got != shown[i] || secret.EndsAt != old.Secrets[i].EndsAt {
			t.Errorf("secret %d is not what it was: %v", i, err)
		}
	}
	if got, err := k.OpenHeaders(s.Options.Headers); err != nil || !slices.Equal(got, fields) {
		t.Errorf("the header fields are not what they were: %v", err)
	}
	if _, err := k.Reseal(old); err == nil {
		t.Error("what is under a key that is gone is sealed anew")
	}
}
