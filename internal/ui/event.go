package ui

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// eventView is the page of one event.
type eventView struct {
	Event      *fattorino.Event
	Row        eventRow
	Data       string
	Extensions []fact
	Heard      []hearingRow
	Others     []hearingRow
}

// hearingRow is what became of the event for one subscription.
type hearingRow struct {
	Subscription int64
	Title        string
	Contract     string
	State        fattorino.State
	Gone         bool
	Why          string // key of the text, without "path."
	Type, By     string
	Filter       string
	Delivery     *deliveryRow // nil = it did not hear the event
}

// event shows one and its path: who heard it, who did not, and why.
func (u *UI) event(w http.ResponseWriter, r *http.Request, v *visit) error {
	seq, err := parseID(r, "seq")
	if err != nil {
		return err
	}
	e, path, err := u.Service.Explain(r.Context(), v.caller(0), v.Company, seq)
	if err != nil {
		return err
	}
	view := eventView{Event: e, Row: eventRowOf(e), Data: eventData(e)}
	for name, value := range e.Extensions {
		view.Extensions = append(view.Extensions, fact{Key: name, Value: extension(value)})
	}
	slices.SortFunc(view.Extensions, func(a, b fact) int { return strings.Compare(a.Key, b.Key) })
	for _, h := range path {
		row := hearingRowOf(&h)
		if row.Delivery != nil {
			view.Heard = append(view.Heard, row)
			continue
		}
		view.Others = append(view.Others, row)
	}
	return u.render(w, v, http.StatusOK, "event", view)
}

func hearingRowOf(h *fattorino.Hearing) hearingRow {
	sub := h.Subscription
	row := hearingRow{
		Subscription: sub.ID, Title: titleOf(sub), Contract: sub.Contract, State: sub.State, Gone: sub.State.Gone(),
		Why: string(h.Why), Type: h.Type, By: string(h.By),
	}
	if h.Filter != nil {
		row.Filter = showBody(h.Filter)
	}
	if h.Delivery != nil {
		row.Delivery = &deliveryRows([]*fattorino.Delivery{h.Delivery}, []*fattorino.Subscription{sub})[0]
	}
	return row
}

func extension(value any) string {
	if raw, ok := value.([]byte); ok {
		return showBody(raw)
	}
	return fmt.Sprint(value)
}
