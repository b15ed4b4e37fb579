package sign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	masterKeysFile  = "master.keys"
	masterKeySize   = 32       // bytes: AES-256
	maxMasterKeys   = 64 << 10 // bytes of the file; far more than anyone has keys
	maxMasterKeyID  = 32       // bytes
	masterKeysIntro = `# Master keys: they encrypt the secrets in the database. Keep a copy apart from
# the database's; without these keys its secrets are lost.
# One "id:base64 of 32 bytes" a line. The first seals, all of them open. To
# rotate, run: fattorino keys rotate-master
`
)

// OpenVault opens a vault with the master keys of env, the value of an
// environment variable: "id:base64" entries joined by commas, the first being
// current. An id is 1 to 32 ASCII letters, digits, "-", "_" or "."; a key is
// the standard base64 of 32 bytes.
//
// Where env is empty the keys are in the file master.keys of the folder dir,
// one entry a line. Missing, the file is made with one random key: mode 0600,
// durable before OpenVault returns; a missing folder is made with mode 0700.
// However many processes start at once, one file is made and all of them read
// it. A file that its group or others may use is refused.
func OpenVault(dir, env string) (*Vault, error) {
	if env != "" {
		keys, err := parseMasterKeys(env)
		if err != nil {
			return nil, fmt.Errorf("master keys in the environment: %w", err)
		}
		return newVault("", keys), nil
	}
	path := filepath.Join(dir, masterKeysFile)
	text, err := readMasterKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeMasterKeys(dir, path); err != nil {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
		text, err = readMasterKeys(path)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseMasterKeys(text)
	if err != nil {
		return nil, fmt.Errorf("master keys in %s: %w", path, err)
	}
	return newVault(path, keys), nil
}

// parseMasterKeys reads "id:base64" entries, parted by commas or line ends.
// Lines that start with # are comments. Errors count entries and quote nothing:
// what is in the wrong place may be a key.
func parseMasterKeys(text string) (*masterKeys, error) {
	keys := &masterKeys{aeads: map[string]cipher.AEAD{}}
	for line := range strings.Lines(text) {
		for _, entry := range entriesOf(line) {
			number := len(keys.ids) + 1
			id, aead, err := parseMasterKey(entry)
			if err != nil {
				return nil, fmt.Errorf("entry %d %w", number, err)
			}
			if _, twice := keys.aeads[id]; twice {
				return nil, fmt.Errorf("entry %d has the id of an earlier one", number)
			}
			keys.aeads[id] = aead
			keys.ids = append(keys.ids, id)
		}
	}
	if len(keys.ids) == 0 {
		return nil, errors.New("there is none; one is written as id:base64 of 32 bytes")
	}
	return keys, nil
}

// entriesOf gives the entries of a line; none of a comment.
func entriesOf(line string) (entries []string) {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	for entry := range strings.SplitSeq(line, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// parseMasterKey reads one "id:base64" entry. Its errors go on after "entry n".
func parseMasterKey(entry string) (string, cipher.AEAD, error) {
	id, encoded, ok := strings.Cut(entry, ":")
	if !ok {
		return "", nil, errors.New("is not of the form id:base64")
	}
	if !validKeyID(id) {
		return "", nil, fmt.Errorf("has a bad id: 1 to %d ASCII letters, digits, -, _ and . are allowed", maxMasterKeyID)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != masterKeySize {
		return "", nil, fmt.Errorf("is not the standard base64 of %d bytes; make one with: openssl rand -base64 %d", masterKeySize, masterKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", nil, fmt.Errorf("is no AES key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return "", nil, fmt.Errorf("is of no use for GCM: %w", err)
	}
	return id, aead, nil
}

func validKeyID(id string) bool {
	if id == "" || len(id) > maxMasterKeyID {
		return false
	}
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// readMasterKeys reads the file, where only its owner may use it.
func readMasterKeys(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open master keys: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	// The open file is asked, not the path: it cannot be exchanged in between.
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("master keys: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("master keys: %s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("master keys: %s is open to its group or to others (mode %04o); close it with: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMasterKeys+1))
	if err != nil {
		return "", fmt.Errorf("read master keys: %w", err)
	}
	if len(text) > maxMasterKeys {
		return "", fmt.Errorf("master keys: %s is larger than %d bytes", path, maxMasterKeys)
	}
	return string(text), nil
}

// makeMasterKeys makes the file at path with one new key, unless another
// process was faster. The key is written in full under another name and then
// linked: so the file is never seen half written, and never replaced.
func makeMasterKeys(dir, path string) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	_, entry := newMasterKey()
	written, err := writeBeside(path, masterKeysIntro+entry+"\n")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(written) }() // one that stays does no harm
	if err := os.Link(written, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// writeBeside writes text in full to a new file beside path, for its owner
// alone, and gives its name.
func writeBeside(path, text string) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+masterKeysFile+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// newMasterKey makes an entry with a random key and a random id. Ids are not
// counted from 1: a file made anew after the old one was lost must not claim
// the secrets of the lost key for its own.
func newMasterKey() (id, entry string) {
	var random [4 + masterKeySize]byte
	_, _ = rand.Read(random[:]) // never fails
	id = hex.EncodeToString(random[:4])
	return id, id + ":" + base64.StdEncoding.EncodeToString(random[4:])
}

// makeFolder makes dir, and the folders above it, for the owner alone, and
// makes their names durable. What exists is left as it is.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
