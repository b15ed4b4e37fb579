package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

//go:embed static
var staticFiles embed.FS

// assets are the static files, each under a URL that changes with its content.
type assets struct {
	url  map[string]string // by name, as "app.css"
	body map[string][]byte // by name
}

func readAssets() (*assets, error) {
	a := &assets{url: map[string]string{}, body: map[string][]byte{}}
	err := fs.WalkDir(staticFiles, "static", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || contentType(file) == "" {
			return err // licences and the like are not for browsers
		}
		body, err := staticFiles.ReadFile(file)
		if err != nil {
			return err
		}
		name, sum := file[len("static/"):], sha256.Sum256(body)
		a.body[name] = body
		a.url[name] = base + "static/" + name + "?" + hex.EncodeToString(sum[:6])
		return nil
	})
	return a, err
}

// serve answers with a file. A browser need not ask for the same again.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, _ *visit) error {
	name := r.PathValue("file")
	body, ok := a.body[name]
	if !ok {
		return fattorino.Errorf(fattorino.NotFound, "there is no such file")
	}
	w.Header().Set("Content-Type", contentType(name))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(body) // a caller that has gone away is no error of ours
	return nil
}

// contentType gives that of a file for browsers; empty for any other.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}
