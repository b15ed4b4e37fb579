package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

//go:embed templates
var templateFiles embed.FS

// pages are the templates in one language: one set for each file of
// templates/, with what is common to all, layout.html and parts.html. A set is
// parsed when it is first asked for: all of them in all languages take more
// memory than the rest of a program at rest.
type pages struct {
	functions template.FuncMap

	mu   sync.Mutex
	sets map[string]*template.Template // by the file's name, without .html
}

func newPages(l *language, a *assets) *pages {
	return &pages{functions: functions(l, a), sets: map[string]*template.Template{}}
}

// set gives the templates of a page.
func (p *pages) set(page string) (*template.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if set := p.sets[page]; set != nil {
		return set, nil
	}
	set, err := template.New("").Funcs(p.functions).ParseFS(templateFiles,
		"templates/layout.html", "templates/parts.html", "templates/"+page+".html")
	if err != nil {
		return nil, err
	}
	p.sets[page] = set
	return set, nil
}

// functions are what templates can call besides what there is in them.
func functions(l *language, a *assets) template.FuncMap {
	return template.FuncMap{
		"t": l.T,
		"asset": func(name string) (string, error) {
			url, ok := a.url[name]
			if !ok {
				return "", fmt.Errorf("there is no static file %s", name)
			}
			return url, nil
		},
		"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"text":  func(v any) string { return fmt.Sprint(v) },
		"join":  strings.Join,
		"dict": func(pairs ...any) (map[string]any, error) {
			m := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				key, ok := pairs[i].(string)
				if !ok {
					return nil, fmt.Errorf("dict: %v is no name", pairs[i])
				}
				m[key] = pairs[i+1]
			}
			return m, nil
		},
	}
}

// frame is what a template is given: who visits, and what the page is about.
type frame struct {
	*visit
	Languages []*language
	Section   string // which entry of the navigation the page belongs to
	Data      any
}

// render answers with a page.
func (u *UI) render(w http.ResponseWriter, v *visit, status int, page string, data any) error {
	return u.renderPart(w, v, status, page, "layout", data)
}

// renderPart answers with a part of a page, for a script that puts it in place.
func (u *UI) renderPart(w http.ResponseWriter, v *visit, status int, page, part string, data any) error {
	set, err := u.pages[v.Language.Code].set(page)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := set.ExecuteTemplate(&body, part, frame{visit: v, Languages: u.languages, Section: sectionOf(page), Data: data}); err != nil {
		return fmt.Errorf("render %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a caller that has gone away is no error of ours
	return nil
}

// sectionOf gives the entry of the navigation that a page belongs to.
func sectionOf(page string) string {
	section, _, _ := strings.Cut(page, "_")
	return section
}

// errorView is a page that says what went wrong.
type errorView struct {
	Status int
	Title  string
	Msg    string
	Fix    string
	Faults []fattorino.Fault
}

func (u *UI) renderError(w http.ResponseWriter, v *visit, e *fattorino.Error) {
	status := statusOf(e.Kind)
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())+1))
	}
	view := errorView{Status: status, Title: v.Language.T("error." + strconv.Itoa(status)), Msg: e.Msg, Fix: e.Fix, Faults: e.Faults}
	if err := u.render(w, v, status, "error", view); err != nil {
		u.Log.Error("an error could not be shown", "error", err)
		http.Error(w, e.Msg, status)
	}
}

// statusOf gives the HTTP status of a kind of error.
func statusOf(k fattorino.Kind) int {
	switch k {
	case fattorino.Malformed:
		return http.StatusBadRequest
	case fattorino.Invalid:
		return http.StatusUnprocessableEntity
	case fattorino.Unauthenticated:
		return http.StatusUnauthorized
	case fattorino.Denied:
		return http.StatusForbidden
	case fattorino.NotFound:
		return http.StatusNotFound
	case fattorino.Conflict, fattorino.Stale:
		return http.StatusConflict
	case fattorino.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fattorino.TooMany:
		return http.StatusTooManyRequests
	case fattorino.Unavailable:
		return http.StatusServiceUnavailable
	case fattorino.Gone:
		return http.StatusGone
	case fattorino.Internal:
	}
	return http.StatusInternalServerError
}

// done sends the browser on to a page, which says what was done: the text of
// the key "done."+what.
func done(w http.ResponseWriter, r *http.Request, path, what string) error {
	http.Redirect(w, r, path+"?done="+what, http.StatusSeeOther) //nolint:gosec // path is one of our own pages
	return nil
}
