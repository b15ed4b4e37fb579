package hostile_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes as they are, and gives the statuses of the answers that come
// until the server closes the connection or says no more.
func (s *server) raw(t *testing.T, text string) (statuses []int, bodies string) {
	t.Helper()
	c := s.dial(t)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { // the server may answer, and close, before it has read all
		_, _ = io.WriteString(c, text)
	}()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, bodies
		}
		body, _ := io.ReadAll(r.Body)
		statuses, bodies = append(statuses, r.StatusCode), bodies+string(body)
		if r.Close {
			return statuses, bodies
		}
	}
}

const (
	authorised = "Host: a\r\nAuthorization: Bearer " + adminToken + "\r\n"
	publishes  = "POST /v1/events HTTP/1.1\r\n" + authorised + "Content-Type: application/cloudevents+json\r\n"
)

func TestRequestsOutOfShape(t *testing.T) {
	t.Parallel()
	s := serve(t)
	long := strings.Repeat("a", 100<<10)
	for name, tt := range map[string]struct {
		text string
		want []int
	}{
		"no HTTP":                  {"hello\r\n\r\n", []int{400}},
		"TLS":                      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", []int{400}},
		"HTTP/0.9":                 {"GET /healthz\r\n\r\n", []int{400}},
		"HTTP/3.7":                 {"GET /healthz HTTP/3.7\r\nHost: a\r\n\r\n", []int{505}},
		"HTTP/2 without asking":    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400}},
		"no Host":                  {"GET /healthz HTTP/1.1\r\n\r\n", []int{400}},
		"two Hosts":                {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}},
		"a Host that is none":      {"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", []int{400}},
		"a Host of markup":         {"GET /v1/nothing HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n", []int{400}},
		"a long header":            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + long + "\r\n\r\n", []int{431}},
		"many headers":             {"GET /healthz HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Many: a\r\n", 10_000) + "\r\n", []int{431}},
		"a long path":              {"GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", []int{431}},
		"a name with a space":      {"GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n", []int{400}},
		"a folded header":          {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Folded: a\r\n b\r\nConnection: close\r\n\r\n", []int{200}},
		"a NUL in a value":         {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Nul: a\x00b\r\n\r\n", []int{400}},
		"a space before the colon": {"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello", []int{400}},
		"a control in the path":    {"GET /v1/\x01 HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		"an unknown method":        {"BREW /v1/events HTTP/1.1\r\n" + authorised + "Connection: close\r\n\r\n", []int{405}},
		"CONNECT":                  {"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\nConnection: close\r\n\r\n", []int{405}},
		"TRACE":                    {"TRACE /v1/events HTTP/1.1\r\n" + authorised + "Connection: close\r\n\r\n", []int{405}},
		"another server's URL":     {"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", []int{404}},
		"an upgrade":               {"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n", []int{200}},
		"two lengths":              {publishes + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", []int{400}},
		"a length with a sign":     {publishes + "Content-Length: +5\r\n\r\nhello", []int{400}},
		"a length below nothing":   {publishes + "Content-Length: -5\r\n\r\nhello", []int{400}},
		"a length beyond numbers":  {publishes + "Content-Length: 99999999999999999999\r\n\r\nhello", []int{400}},
		"a length beyond limits":   {publishes + "Content-Length: 9000000000000000000\r\nConnection: close\r\n\r\nhello", []int{413}},
		"an unknown coding":        {publishes + "Transfer-Encoding: gzip, chunked\r\n\r\n", []int{501}},
		"a coding in two lines":    {publishes + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{501}},
		"a coding in disguise":     {publishes + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", []int{400}},
		"a chunk that is none":     {publishes + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", []int{400}},
		"a chunk beyond numbers":   {publishes + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", []int{400}},
		"chunks beyond limits": {
			publishes + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat(" ", 0x400)+"\r\n", 1100) + "0\r\n\r\n",
			[]int{413},
		},
		"chunk extensions without end": {
			publishes + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\n \r\n", 1100) + "0\r\n\r\n",
			[]int{400},
		},
	} {
		t.Run(name, func(t *testing.T) {
			statuses, bodies := s.raw(t, tt.text)
			if fmt.Sprint(statuses) != fmt.Sprint(tt.want) {
				t.Errorf("answered %v, want %v: %.200s", statuses, tt.want, bodies)
			}
			if strings.Contains(bodies, "<script>") {
				t.Errorf("the answer repeats markup: %s", bodies)
			}
		})
	}
	s.stillServes(t)
}

// What one reader takes for a body another may take for the next request. Where
// a request tells both a length and chunks, chunks count, and no further
// request is read from the connection (RFC 9112, section 6.1).
func TestNoRequestIsSmuggledInABody(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const second = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, text := range map[string]string{
		"length and chunks":     publishes + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"chunks and length":     publishes + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + second,
		"chunks under HTTP/1.0": "POST /v1/events HTTP/1.0\r\n" + authorised + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statuses, bodies := s.raw(t, text)
			if len(statuses) > 1 {
				t.Errorf("answered %v: two requests were read: %s", statuses, bodies)
			}
		})
	}
}

func TestPathsHaveNoTricks(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{
		"//v1/apps", "/v1//apps", "/v1/./apps", "/v1/x/../apps", "/v1/%2e%2e/apps", "/v1/..%2fapps", "/..%2fv1/apps", "/v1%2fapps", "/v1%2fevents",
		"/v1/apps/", "/V1/apps", "/v1/apps%00", "/v1/apps;x", "/v1/apps%20", "/c/1/..%2f..%2fv1/apps", "/../../etc/passwd", "/v1/\\..\\apps",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "POST"} {
				statuses, bodies := s.raw(t, method+" "+path+" HTTP/1.1\r\n"+authorised+"Content-Length: 0\r\nConnection: close\r\n\r\n")
				if len(statuses) != 1 || (statuses[0] != http.StatusNotFound && statuses[0] != http.StatusBadRequest) {
					t.Errorf("%s is answered %v, want 404: %s", method, statuses, bodies)
				}
			}
		})
	}
}

func TestBodiesThatAreNoGoodAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	token := s.token(t, "api")
	deep := strings.Repeat(`{"a":`, 100_000)
	arrays := strings.Repeat("[", 500_000)
	withData := func(data string) string {
		return strings.Replace(event("d"), `{"id":42}`, data, 1)
	}
	const events, apps, subs, fic, defacto, ces = "/v1/events", "/v1/apps", "/v1/companies/1/subscriptions", "/c/1/subscriptions", "/webhooks", "/subscriptions"
	for _, tt := range []struct {
		name, path, body string
		want             int
		says             string
	}{
		{"deep objects", events, deep, 400, ""},
		{"deep arrays", events, arrays, 400, ""},
		{"deep data", events, withData(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), 400, "nested deeper"},
		{"deep objects", apps, deep[:60_000], 400, ""},
		{"deep objects", subs, deep[:120_000], 400, ""},
		{"deep objects", fic, deep, 400, ""},
		{"deep objects", defacto, deep, 400, ""},
		{"deep objects", ces, deep[:120_000], 400, ""},

		{"an attribute twice", events, strings.Replace(event("e"), `"id":"e"`, `"id":"e","id":"f"`, 1), 422, "id"},
		{"an attribute twice, escaped", events, strings.Replace(event("e"), `"id":"e"`, `"id":"e","\u0069d":"f"`, 1), 422, "id"},
		{"an extension twice", events, strings.Replace(event("e"), `"companyid":"1"`, `"companyid":"1","companyid":"2"`, 1), 422, "companyid"},
		{"a member twice", apps, `{"name":"a","name":"b"}`, 400, `comes twice`},
		{"a member twice", "/v1/tokens", `{"kind":"publish","kind":"admin"}`, 400, `comes twice`},
		{"a member twice", subs, `{"sink":"https://a.example/","sink":"https://b.example/"}`, 400, `comes twice`},
		{"a member twice", ces, `{"sink":"https://a.example/","sink":"https://b.example/"}`, 400, `comes twice`},

		{"another encoding", events, strings.Replace(event("e"), "hostile", "h\xf6stile", 1), 400, "UTF-8"},
		{"another encoding", apps, "{\"name\":\"\xff\"}", 400, "UTF-8"},
		{"another encoding", fic, "{\"data\":\"\xff\"}", 400, "UTF-8"},
		{"another encoding", defacto, "{\"to_url\":\"\xff\"}", 400, "UTF-8"},
		{"a NUL as it is", events, strings.Replace(event("e"), "hostile", "h\x00stile", 1), 400, "control"},
		{"a NUL escaped in an id", events, strings.Replace(event("e"), `"id":"e"`, `"id":"e\u0000"`, 1), 422, "id"},
		{"half a surrogate pair", events, strings.Replace(event("e"), `"id":"e"`, `"id":"\ud800"`, 1), 422, "surrogate"},
		{"half a surrogate pair in a name", events, strings.Replace(event("e"), `"id":"e"`, `"\ud800":"x"`, 1), 422, "surrogate"},
		{"a long id", events, event(strings.Repeat("i", 100<<10)), 422, "id"},
		{"a long attribute", events, strings.Replace(event("e"), "hostile", strings.Repeat("h", 500<<10), 1), 422, "source"},
		{"a long name", apps, `{"name":"` + strings.Repeat("n", 60<<10) + `"}`, 422, "200"},
		{"many attributes", events, strings.Replace(event("e"), `"id":"e"`, `"id":"e"`+manyMembers(50_000), 1), 422, ""},
		{"a huge number", events, strings.Replace(event("e"), `"companyid":"1"`, `"companyid":1e999999`, 1), 422, "companyid"},
		{"a company beyond numbers", events, strings.Replace(event("e"), `"companyid":"1"`, `"companyid":"99999999999999999999"`, 1), 422, "companyid"},
		{"a number beyond numbers", "/v1/tokens", `{"kind":"api","app_id":1e400}`, 422, "app_id"},
		{"a number beyond numbers", "/v1/tokens", `{"kind":"api","app_id":99999999999999999999}`, 422, "app_id"},
		{"a body beyond the limit", events, withData(`"` + strings.Repeat("x", 2<<20) + `"`), 413, ""},
		{"a body beyond the limit", apps, `{"name":"` + strings.Repeat("x", 100<<10) + `"}`, 413, ""},
	} {
		t.Run(tt.name+" "+tt.path, func(t *testing.T) {
			caller := adminToken
			switch tt.path {
			case fic, defacto, ces, subs:
				caller = token
			}
			length := fmt.Sprintf("Content-Length: %d\r\n", len(tt.body))
			kind := "application/json"
			if tt.path == events {
				kind = "application/cloudevents+json"
			}
			statuses, said := s.raw(t, "POST "+tt.path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer "+caller+
				"\r\nContent-Type: "+kind+"\r\n"+length+"\r\n"+tt.body)
			if len(statuses) != 1 || statuses[0] != tt.want || !strings.Contains(said, tt.says) {
				t.Errorf("answered %v, want %d saying %q: %.300s", statuses, tt.want, tt.says, said)
			}
			if len(said) > 16<<10 {
				t.Errorf("the answer has %d bytes", len(said))
			}
		})
	}
	s.stillServes(t)
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":1`, i)
	}
	return b.String()
}
