package ui

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"testing"
)

// What others wrote is here as they published it; vendor/README.md says from
// where.
func TestVendoredFilesAreAsTheyWerePublished(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"uPlot-1.6.32.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot-1.6.32.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
		"htmx-2.0.11.min.js":       "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
	}
	entries, err := fs.ReadDir(staticFiles, "static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if ext := path.Ext(entry.Name()); ext != ".js" && ext != ".css" {
			continue
		}
		body, err := staticFiles.ReadFile("static/vendor/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if got := hex.EncodeToString(sum[:]); got != want[entry.Name()] {
			t.Errorf("%s: got the SHA-256 %s, want %s", entry.Name(), got, want[entry.Name()])
		}
		delete(want, entry.Name())
	}
	for name := range want {
		t.Errorf("%s is not there", name)
	}
}
