package ui

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:embed locales
var localeFiles embed.FS

// A language is one that the pages speak: the texts of locales/<code>.json.
type language struct {
	Code  string // as "en" (BCP 47)
	Name  string // as its speakers call it
	texts map[string]string
}

// readLanguages reads all of them, the one to fall back on first.
func readLanguages() ([]*language, error) {
	all := []*language{
		{Code: "en", Name: "English"},
		{Code: "it", Name: "Italiano"},
		{Code: "es", Name: "Español"},
		{Code: "fr", Name: "Français"},
	}
	for _, l := range all {
		text, err := localeFiles.ReadFile("locales/" + l.Code + ".json")
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &l.texts); err != nil {
			return nil, fmt.Errorf("locales/%s.json: %w", l.Code, err)
		}
	}
	return all, nil
}

// T gives the text of the key, with args in it as [fmt.Sprintf] puts them; the
// key itself where there is no text.
func (l *language) T(key string, args ...any) string {
	text, ok := l.texts[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// has tells whether there is a text of the key.
func (l *language) has(key string) bool { return l.texts[key] != "" }

// language gives the one that was chosen, else the first that the browser asks
// for and there is.
func (u *UI) language(r *http.Request) *language {
	if c, err := r.Cookie(languageCookie); err == nil {
		if l := u.languageOf(c.Value); l != nil {
			return l
		}
	}
	best, bestWeight := u.languages[0], 0.0
	for wish := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, weight := parseWish(wish)
		primary, _, _ := strings.Cut(tag, "-")
		if l := u.languageOf(primary); l != nil && weight > bestWeight {
			best, bestWeight = l, weight
		}
	}
	return best
}

// parseWish reads a member of Accept-Language, as "it-IT;q=0.8" (RFC 9110,
// section 12.5.4).
func parseWish(wish string) (tag string, weight float64) {
	tag, q, weighted := strings.Cut(strings.TrimSpace(wish), ";")
	if !weighted {
		return strings.ToLower(tag), 1
	}
	weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
	if err != nil {
		return "", 0
	}
	return strings.ToLower(tag), weight
}

// languageOf finds a language by its code; nil where there is none.
func (u *UI) languageOf(code string) *language {
	for _, l := range u.languages {
		if l.Code == code {
			return l
		}
	}
	return nil
}
