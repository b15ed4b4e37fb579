package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// clientFlags are the flags of the commands that talk to a running server.
type clientFlags struct {
	URL   string `name:"url" group:"connection" placeholder:"http://127.0.0.1:8480" help:"Address of the server."`
	Token string `name:"token" group:"connection" placeholder:"TOKEN" help:"Token to call it with; else that of $FATTORINO_ADMIN_TOKEN."`
}

// defaultURL is where a server with default settings listens.
const defaultURL = "http://127.0.0.1:8480"

// client makes a client that calls with the token.
func (f *clientFlags) client(env *environment) (*api.Client, error) {
	token := cmp.Or(f.Token, env.getenv(variable("token")), env.getenv("FATTORINO_ADMIN_TOKEN"))
	if token == "" {
		return nil, &usageError{msg: "there is no token to call the server with", fix: "set FATTORINO_TOKEN, or give --token"}
	}
	return f.connect(env, token)
}

// connect makes a client; token may be empty where the call needs none.
func (f *clientFlags) connect(env *environment, token string) (*api.Client, error) {
	base := cmp.Or(f.URL, env.getenv(variable("url")), defaultURL)
	if u, err := url.Parse(base); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, &usageError{msg: "the address of the server is not a URL", fix: "give it as http://host:port"}
	}
	return api.NewClient(base, token, nil), nil
}

// table prints rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t")) // Flush gives the error
	}
	return t.Flush()
}

// number writes an id; empty for none.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// moment writes a time to the second, here and now; empty for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
