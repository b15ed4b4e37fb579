package native

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Judge says what an answer means. Standard Webhooks 1.0.0 counts all but 2xx
// as failed and worth another attempt; what another attempt with the same
// notification cannot change is not worth one.
//
//	status              meaning
//	2xx                 delivered
//	410                 delivered to nobody ever again: the subscription ends
//	3xx                 refused: redirects are never followed (WH-5)
//	413, 414, 431       refused: body, URL or header is too large for the sink
//	415                 refused: the sink does not understand the format (WH-9)
//	501                 refused: the sink does not understand POST
//	429, 503            tried again, and not before Retry-After (WH-8)
//	all others, none    tried again
//
// What is refused is not sent again by itself; its owner can have it resent.
func (c *Contract) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch a.Status {
	case http.StatusGone:
		return fattorino.End
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return fattorino.Refuse
	}
	switch a.Status / 100 {
	case 2:
		return fattorino.Success
	case 3:
		return fattorino.Refuse
	}
	return fattorino.Retry
}

// maxWait bounds how long a sink may ask not to be called.
const maxWait = 24 * time.Hour

// Wait is what Retry-After says in an answer 429 or 503: a date, or a number of
// seconds, a fraction counting as a whole one; 24 h at most, and nothing where
// it is neither (RFC 9110, section 10.2.3). Of several fields the first counts.
func (c *Contract) Wait(a *fattorino.Answer, now time.Time) time.Duration {
	if a.Status != http.StatusTooManyRequests && a.Status != http.StatusServiceUnavailable {
		return 0
	}
	values := fieldValues(a.Header, "Retry-After")
	if len(values) == 0 {
		return 0
	}
	return retryAfter(values[0], now)
}

// retryAfter reads the value of Retry-After.
func retryAfter(value string, now time.Time) time.Duration {
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxWait)
	}
	if strings.Trim(value, "0123456789.") != "" {
		return 0 // ParseFloat knows signs, exponents, infinity
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0
	}
	if seconds >= maxWait.Seconds() {
		return maxWait
	}
	return time.Duration(math.Ceil(seconds)) * time.Second
}

// fieldValues gives the values of the fields of that name, without white space
// around them.
func fieldValues(header []fattorino.Header, name string) []string {
	var values []string
	for _, f := range header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, strings.Trim(f.Value, " \t"))
		}
	}
	return values
}

// defaultSchedule gives the wait after each failed attempt of a subscription
// that chose none: eight attempts in 27 h 35 min 5 s.
func defaultSchedule() [7]time.Duration {
	return [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	}
}

// Retry gives the waits of the schedule that the subscription chose, or the
// default one: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h.
func (c *Contract) Retry(s *fattorino.Subscription, tries int) (time.Duration, bool) {
	byDefault := defaultSchedule()
	schedule := byDefault[:]
	if len(s.Options.Schedule) > 0 {
		schedule = s.Options.Schedule
	}
	if tries < 1 || tries > len(schedule) {
		return 0, false
	}
	return schedule[tries-1], true
}
