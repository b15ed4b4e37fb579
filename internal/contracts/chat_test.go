package contracts_test

import (
	"html"
	"strconv"
	"strings"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// slack reads the small print of a message to Slack, which escapes &, < and >
// as HTML does.
func slack(t *rapid.T, r *fattorino.Request, want *told) {
	got := read[struct {
		Blocks []struct {
			Elements []struct {
				Text string `json:"text"`
			} `json:"elements"`
		} `json:"blocks"`
	}](t, r.Body)
	if len(got.Blocks) != 2 || len(got.Blocks[1].Elements) != 1 {
		t.Fatalf("the message has another form: %s", r.Body)
	}
	samePrint(t, html.UnescapeString(got.Blocks[1].Elements[0].Text), want)
}

// teams reads the facts of an adaptive card.
func teams(t *rapid.T, r *fattorino.Request, want *told) {
	got := read[struct {
		Attachments []struct {
			Content struct {
				Body []struct {
					Facts []struct {
						Title string `json:"title"`
						Value string `json:"value"`
					} `json:"facts"`
				} `json:"body"`
			} `json:"content"`
		} `json:"attachments"`
	}](t, r.Body)
	if len(got.Attachments) != 1 || len(got.Attachments[0].Content.Body) != 2 {
		t.Fatalf("the message has another form: %s", r.Body)
	}
	var small strings.Builder
	for _, f := range got.Attachments[0].Content.Body[1].Facts {
		small.WriteString(f.Title + f.Value)
	}
	samePrint(t, small.String(), want)
}

// discord reads the fields of an embed.
func discord(t *rapid.T, r *fattorino.Request, want *told) {
	got := read[struct {
		Embeds []struct {
			Fields []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"fields"`
		} `json:"embeds"`
	}](t, r.Body)
	if len(got.Embeds) != 1 {
		t.Fatalf("the message has another form: %s", r.Body)
	}
	var small strings.Builder
	for _, f := range got.Embeds[0].Fields {
		small.WriteString(f.Name + f.Value)
	}
	samePrint(t, small.String(), want)
}

// samePrint holds the small print of a message to the event. Only letters and
// digits are compared, since each tool escapes the rest in its own way.
func samePrint(t *rapid.T, got string, want *told) {
	equal(t, "small print", letters(got), letters(
		"Event"+want.as+"About"+want.Entity.String()+"Company"+strconv.Itoa(company)+
			"Time"+want.Happened().Format(time.RFC3339),
	))
}

// letters leaves letters and digits of s.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
