package ui

import (
	"embed"
	"path"
	"strings"
)

// The same checks in a receiver's own language: code/<scheme>.<language>.txt.
// The token of Fatture in Cloud is checked otherwise than that of the native
// contract, and has files of its own.
//
//go:embed code
var codeFiles embed.FS

// codeLanguages are the languages that each check is written in, in order.
func codeLanguages() []codeSample {
	return []codeSample{{Key: "go", Name: "Go"}, {Key: "js", Name: "JavaScript"}, {Key: "py", Name: "Python"}, {Key: "php", Name: "PHP"}}
}

// codeSample is the check of a scheme in one language.
type codeSample struct {
	Key, Name string
	Text      string
}

// codeSamples gives the check of a scheme in every language.
func codeSamples(scheme string) ([]codeSample, error) {
	list := codeLanguages()
	for i := range list {
		text, err := codeFiles.ReadFile(path.Join("code", scheme+"."+list[i].Key+".txt"))
		if err != nil {
			return nil, err
		}
		list[i].Text = strings.TrimSpace(string(text))
	}
	return list, nil
}
