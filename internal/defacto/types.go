package defacto

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// webhook is a subscription as it is answered. Its to_url is shown whole, for
// its owner alone asks.
type webhook struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	EventTypes []string `json:"event_types"`
	ToURL      string   `json:"to_url"`
}

func shape(s *fattorino.Subscription) webhook {
	return webhook{ID: uuidOf(webhookMark, s.ID), Name: s.Options.Name, EventTypes: s.Types, ToURL: s.Sink}
}

// page is the envelope of every list.
type page[T any] struct {
	Count    int     `json:"count"` // of data
	Data     []T     `json:"data"`
	NextPage *string `json:"next_page"` // the cursor of the next page; null after the last
	PageSize int     `json:"page_size"`
}

// The sizes of a page: the default is that of the API description.
const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// span is the part of a list that is asked for: size things after the one with
// the number.
type span struct {
	after int64
	size  int
}

// spanOf reads the query parameters cursor and page_size. A cursor is the id
// of the last thing of the page before.
func spanOf(mark, cursor, pageSize string) (span, error) {
	s := span{size: defaultPageSize}
	if cursor != "" {
		var ok bool
		if s.after, ok = numberOf(mark, cursor); !ok {
			return s, fattorino.InvalidField("cursor", "is no cursor: give the next_page of the page before")
		}
	}
	if pageSize != "" {
		n, err := strconv.Atoi(pageSize)
		if err != nil || n < 1 || n > maxPageSize {
			return s, fattorino.InvalidField("page_size", "must be an integer from 1 to %d", maxPageSize)
		}
		s.size = n
	}
	return s, nil
}

// maxName bounds the name of a webhook, in bytes.
const maxName = 200

// A wish is what a client says of a webhook; nil for what it does not say.
type wish struct {
	name  *string
	toURL *string
	types []string
}

// readWish reads the body of create and update. To create, event_types and
// to_url are required. The API description requires name as well, and the
// guide leaves it out: so may a client.
func readWish(body []byte, create bool) (wish, error) {
	o, err := readObject(body)
	if err != nil {
		return wish{}, err
	}
	var w wish
	o.text("name", maxName, &w.name)
	o.text("to_url", 1<<16, &w.toURL) // what a sink may be is checked elsewhere
	w.types = readTypes(o)
	if create {
		for _, required := range []string{"event_types", "to_url"} {
			if !o.has(required) {
				o.fault(required, "is required")
			}
		}
	}
	return w, o.err()
}

// readTypes reads event_types. A type named twice is taken once.
func readTypes(o *object) []string {
	var items []json.RawMessage
	if !o.member("event_types", "a list of strings", &items) {
		return nil
	}
	if len(items) == 0 {
		o.fault("event_types", "must name at least one event type")
	}
	types := make([]string, 0, len(items))
	for i, item := range items {
		var typ *string
		if json.Unmarshal(item, &typ) != nil || typ == nil || !isType(*typ) {
			o.fault(fmt.Sprintf("event_types.%d", i), "must be an event type such as %q; there are no wildcards", typeSubmitted)
			continue
		}
		types = append(types, *typ)
	}
	return types
}
