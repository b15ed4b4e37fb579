package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The bounds of a page, as openapi.yaml states them.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// pageLimit gives how many the caller asks for.
func pageLimit(asked *Limit) (int, error) {
	if asked == nil {
		return defaultLimit, nil
	}
	if *asked < 1 || *asked > maxLimit {
		return 0, badParameter("limit", "limit is %d: it must be from 1 to %d", *asked, maxLimit)
	}
	return *asked, nil
}

// pageAfter checks the place to go on from.
func pageAfter(after int64) error {
	if after < 0 {
		return badParameter("after", "after is %d: it must not be negative", after)
	}
	return nil
}

// cut takes a list that was asked for with one more than limit, and gives the
// page and whether there is more.
func cut[T any](list []T, limit int) (page []T, more bool) {
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}

// linkNext leads to the next page, which is the same request with another
// value of one parameter (RFC 8288, section 3).
func linkNext(w http.ResponseWriter, r *http.Request, parameter, value string) {
	query := r.URL.Query()
	query.Set(parameter, value)
	w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", r.URL.EscapedPath(), query.Encode()))
}

// linkAfter is linkNext for lists that go on after an id.
func linkAfter(w http.ResponseWriter, r *http.Request, id int64) int64 {
	linkNext(w, r, "after", strconv.FormatInt(id, 10))
	return id
}

// list asks a use case for one page after an id.
func list[T any](r *http.Request, ask func(context.Context, *fattorino.Token, int64, int) ([]T, error), after int64, asked *Limit) (page []T, more bool, err error) {
	limit, err := pageLimit(asked)
	if err != nil {
		return nil, false, err
	}
	if err := pageAfter(after); err != nil {
		return nil, false, err
	}
	all, err := ask(r.Context(), callerOf(r), after, limit+1) // one more tells whether there is a next page
	if err != nil {
		return nil, false, err
	}
	page, more = cut(all, limit)
	return page, more, nil
}
