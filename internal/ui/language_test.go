package ui

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

func TestEveryTextIsInEveryLanguage(t *testing.T) {
	t.Parallel()
	languages, err := readLanguages()
	if err != nil {
		t.Fatal(err)
	}
	english := languages[0]
	for _, l := range languages[1:] {
		for key, text := range english.texts {
			if !l.has(key) {
				t.Errorf("%s lacks %s", l.Code, key)
			}
			if strings.Count(text, "%s") != strings.Count(l.texts[key], "%s") {
				t.Errorf("%s has other places to fill in %s", l.Code, key)
			}
		}
		for key := range l.texts {
			if !english.has(key) {
				t.Errorf("%s has %s, which is in no other language", l.Code, key)
			}
		}
	}
	files, err := fs.Glob(localeFiles, "locales/*.json")
	if err != nil || len(files) != len(languages) {
		t.Errorf("there are %d files of texts, %v, and %d languages", len(files), err, len(languages))
	}
}

// What the pages say is in the files of texts: keys that are written out, and
// those that are made of a name of the program's.
func TestEveryTextThatIsUsedIsThere(t *testing.T) {
	t.Parallel()
	languages, err := readLanguages()
	if err != nil {
		t.Fatal(err)
	}
	used := madeKeys(start(t))
	for _, pattern := range []string{"templates/*.html", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				used = append(used, writtenKeys(t, file)...)
			}
		}
	}
	known := map[string]bool{}
	for _, key := range used {
		known[key] = true
		if !languages[0].has(key) {
			t.Errorf("there is no text %s", key)
		}
	}
	for key := range languages[0].texts {
		if !known[key] {
			t.Errorf("nothing uses the text %s", key)
		}
	}
}

// writtenKeys gives the keys in a file: t "key" in a template; T("key"),
// Title: "key", fact{"key", a name given to done in Go.
func writtenKeys(t *testing.T, file string) (keys []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{`\bt "([a-z_.0-9]*[a-z0-9])"`, `\.T\("([a-z_.0-9]*[a-z0-9])"`, `Title: "(secret\.[a-z]+)"`, `\{"((?:field|column|filter)\.[a-z_]+)", `, `fact\{"([a-z_.]+)",`} {
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			keys = append(keys, found[1])
		}
	}
	for _, pattern := range []string{`done\(w, r, .*, "([a-z_]+)"\)`, `u\.(?:setEnabled|afterUser)\(w, r, v, .*, "([a-z_]+)"\)`, `what :?= "([a-z_]+)"`} {
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			keys = append(keys, "done."+found[1])
		}
	}
	return keys
}

// madeKeys gives the keys that are made of names of the program's.
func madeKeys(f *fixture) (keys []string) {
	add := func(prefix string, names []string, suffixes ...string) {
		for _, name := range names {
			for _, suffix := range suffixes {
				keys = append(keys, prefix+name+suffix)
			}
		}
	}
	add("state.", []string{"unverified", "active", "disabled"}, "", ".title", ".help")
	add("state.", []string{"deleted", "gone_410", "expired", "verification_lost"}, "")
	add("gone.", []string{"deleted", "gone_410", "expired", "verification_lost"}, ".help")
	add("delivery.", []string{"pending", "waiting", "delivered", "discarded"}, "", ".help")
	add("reason.", []string{string(fattorino.Refused), string(fattorino.Exhausted), string(fattorino.SinkGone), string(fattorino.Unfit)}, "", ".help")
	add("path.", []string{"before", "later", "type", "filter", "unverified", "ended", "since", "unknown", "by.type", "by.common", "by.wildcard"}, "")
	add("role.", []string{"nobody"}, "")
	add("range.", []string{"1h", "24h", "7d", "30d"}, "")
	add("role.", []string{"viewer", "operator", "admin"}, "", ".help")
	add("contract.", []string{"native", "fic", "defacto", "facturascripts"}, "", ".help")
	add("kind.", []string{"api", "publish", "admin"}, "", ".help")
	add("phase.", []string{"dns", "connect", "tls", "wait", "read"}, "")
	add("failure.", []string{"dns", "address", "connect", "tls", "timeout", "reset", "protocol"}, "")
	add("error.", []string{"400", "401", "403", "404", "409", "410", "413", "422", "429", "500", "503"}, "")
	add("field.", []string{"name", "description", "batch_size", "batch_linger", "rate", "concurrency", "timeout", "schedule", "ends_at"}, "", ".help")
	add("field.", []string{"method", "format", "signature", "handshake", "ordering"}, "")
	offer := f.ui.offerOf("native")
	add("option.format.", offer.Formats, "", ".help")
	add("option.method.", offer.Methods, "", ".help")
	add("option.ordering.", offer.Orderings, "", ".help")
	add("option.signature.", []string{"v1", "v1a", "httpsig", "jwt", "none"}, "", ".help")
	add("inspect.kind.", []string{"challenge", "welcome", "notification", "other"}, "", ".help")
	add("inspect.result.", []string{inspect.Valid, inspect.Invalid, inspect.Unchecked}, "")
	add("inspect.scheme.", []string{inspect.SchemeV1, inspect.SchemeV1a, inspect.SchemeHTTPSig, inspect.SchemeJWT}, "")
	add("inspect.given.", []string{inspect.Proof, inspect.Failed, inspect.Set, inspect.TooLarge}, "")
	add("inspect.way.", []string{inspect.ByHeader, inspect.ByQuery, inspect.ByOptions}, "")
	add("inspect.why.", []string{
		inspect.WhyGood, inspect.WhyNoKey, inspect.WhySealed, inspect.WhyCut, inspect.WhyMissing, inspect.WhyMalformed, inspect.WhyOld, inspect.WhyNew, inspect.WhyNoMatch,
		inspect.WhyDigest, inspect.WhyForeign, inspect.WhyForged, inspect.WhyExpired, inspect.WhyAudience, inspect.WhyWrongID, inspect.WhyWrongBody, inspect.WhyIssuer,
	}, "")
	add("option.handshake.", []string{"challenge", "options", "none"}, "", ".help")
	add("trace.step.", inspect.StepNames(), "", ".help")
	add("trace.kind.", inspect.KindNames(), "")
	add("trace.note.", inspect.NoteNames(), "")
	add("trace.result.", []string{inspect.Valid, inspect.Invalid, inspect.Unchecked}, "")
	add("trace.unsigned.", []string{"defacto", "none", "lost"}, "")
	return keys
}

func TestTheLanguageIsTheOneChosenElseTheBrowsers(t *testing.T) {
	t.Parallel()
	u := start(t).ui
	for _, x := range []struct{ cookie, accept, want string }{
		{"", "", "en"},
		{"", "it-IT,it;q=0.9,en;q=0.8", "it"},
		{"", "de, fr;q=0.5, es;q=0.7", "es"},
		{"", "de;q=x, *", "en"},
		{"fr", "it", "fr"},
		{"xx", "it", "it"},
	} {
		r := &http.Request{Header: http.Header{"Accept-Language": {x.accept}}}
		r.AddCookie(&http.Cookie{Name: languageCookie, Value: x.cookie})
		if got := u.language(r).Code; got != x.want {
			t.Errorf("chosen %q, of %q: got %s, want %s", x.cookie, x.accept, got, x.want)
		}
	}
}
