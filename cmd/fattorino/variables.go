package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// serviceLink is the rest of a variable that Kubernetes sets for a service that
// is called fattorino, or fattorino-something.
var serviceLink = regexp.MustCompile(`(^|_)(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_.+)?)?)$`)

// misspelt gives a warning for each variable of the environment ("NAME=value")
// that looks like one of ours and is none. Values can be secrets: none is told.
func misspelt(environ []string) []string {
	defaults := app.Default()
	settings := defaults.Settings()
	known := []string{variable("config"), variable("url"), variable("token")} // of the commands, besides
	for _, s := range settings {
		known = append(known, variable(s.Key))
	}
	var warnings []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, variable(""))
		if !ours || slices.Contains(known, name) || serviceLink.MatchString(rest) {
			continue
		}
		warning := fmt.Sprintf("the environment variable %s is not known and does nothing", name)
		if near := nearest(strings.ToLower(rest), settings); near != "" {
			warning += fmt.Sprintf(": did you mean %s?", variable(near))
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}
