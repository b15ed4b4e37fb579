package filter_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// likes evaluates subject LIKE pattern for a subject of that text.
func likes(t *testing.T, pattern, text string) bool {
	t.Helper()
	x, err := filter.ParseSQL("subject LIKE '" + strings.ReplaceAll(pattern, "'", `\'`) + "'")
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	v, err := x.Evaluate(&fattorino.Event{Subject: text})
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	return v.Bool
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern   string
		matching  []string
		differing []string
	}{
		{"abc", []string{"abc"}, []string{"ab", "abcd", "ABC", "xabc"}},
		{"_b*", []string{"ab*", "éb*"}, []string{"ab", "aBc", "abc", "b*", "xab*"}},
		{"abc\\%", []string{"abc%"}, []string{"abcd", "abc\\%", "abc"}},
		{"a\\_c", []string{"a_c"}, []string{"abc", "a\\_c"}},
		{`a\c`, []string{`a\c`}, []string{"ac", "a"}},
		{`a\\%`, []string{`a\%`}, []string{`a\x`, `a\\x`}}, // \ is no escape of \
		{"%", []string{"a", "é", "\n"}, nil},
		{"%%", []string{"a"}, nil},
		{"_", []string{"a", "é", "😀", "%", "\n"}, []string{"aa"}},
		{"__", []string{"aé"}, []string{"a", "é"}},
		{"com.%", []string{"com.", "com.x"}, []string{"com", "xcom."}},
		{"%.paid", []string{".paid", "a.paid", ".paid.paid"}, []string{".paid.", "paid"}},
		{"%paid%", []string{"paid", "xpaidx"}, []string{"pai", "pa.id"}},
		{"a%a", []string{"aa", "aba", "aaa"}, []string{"a", "ab"}},
		{"ab%ba", []string{"abba", "abxba"}, []string{"aba"}},
		{"a%b%c", []string{"abc", "azbzc", "abbcc", "a%b%c"}, []string{"acb", "abcx"}},
		{"%a_c%", []string{"abc", "xaacyabc", "aabc", "a😀c"}, []string{"ac", "abdc"}},
		{"%a_", []string{"ab", "aab", "xaé"}, []string{"a", "abc"}},
		{"%_", []string{"a", "é"}, nil},
		{"_%", []string{"a", "é"}, nil},
		{"%_%", []string{"a"}, nil},
		{"%__", []string{"ab", "abc"}, []string{"a"}},
		{"a_%_c", []string{"abbc", "axxxc"}, []string{"abc", "ac"}},
		{"%aab%", []string{"aaab"}, []string{"aaa"}},
		{"%a_b%b", []string{"aaxbb", "aabab"}, []string{"aab", "axb"}},
		{"a%_%%_b", []string{"axyb"}, []string{"axb"}},
		{"100\\%%", []string{"100%", "100% of"}, []string{"1000", "100"}},
	} {
		for _, text := range test.matching {
			if !likes(t, test.pattern, text) {
				t.Errorf("%q LIKE '%s' is false", text, test.pattern)
			}
		}
		for _, text := range test.differing {
			if likes(t, test.pattern, text) {
				t.Errorf("%q LIKE '%s' is true", text, test.pattern)
			}
		}
	}
}

// The same, said by a regular expression.
func TestLike_AgreesWithRegularExpressions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(alphabet []string, most int) string {
		var b strings.Builder
		for range 1 + random.IntN(most) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		return b.String()
	}
	matches := 0
	for range 6_000 {
		pattern := pick([]string{"a", "b", "é", "%", "%", "_", `\%`, `\_`}, 8)
		text := pick([]string{"a", "a", "b", "é", "%", "_"}, 9)
		var re strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch pattern[i] {
			case '%':
				re.WriteString(".*")
			case '_':
				re.WriteString(".")
			case '\\':
				i++
				re.WriteByte(pattern[i])
			default:
				re.WriteByte(pattern[i])
			}
		}
		want := regexp.MustCompile("^(?:" + re.String() + ")$").MatchString(text)
		if got := likes(t, pattern, text); got != want {
			t.Fatalf("%q LIKE '%s' is %v, want %v", text, pattern, got, want)
		}
		if want {
			matches++
		}
	}
	if matches < 300 {
		t.Errorf("only %d of the patterns match", matches)
	}
}

// Patterns that make others try again and again.
func TestLike_TakesTimeInProportion(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a", 8<<10)
	for name, pattern := range map[string]string{
		"many %":       strings.Repeat("%a", 2000) + "%b",
		"many % and _": strings.Repeat("%a_a", 1000) + "%b",
		"one long run": "%" + strings.Repeat("a", 4000) + "b%",
		"many _":       "%" + strings.Repeat("a_", 2000) + "b%",
	} {
		if likes(t, pattern, text) {
			t.Errorf("%s: matches", name)
		}
	}
}
