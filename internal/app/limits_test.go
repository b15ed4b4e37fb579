package app_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// startTwo starts two apps on one database, and a token that both know.
func startTwo(t *testing.T, set func(*app.Config)) (apps [2]*app.App, token string) {
	t.Helper()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range apps {
		c := testConfig(t)
		c.Database, c.MasterKeys = cluster.URL("postgres"), "m1:"+masterKey(1)
		if set != nil {
			set(&c)
		}
		apps[i], _ = start(t, c)
	}
	return apps, integrator(t, apps[0])
}

func TestTheFiveMinuteQuotaIsOneForAllNodes(t *testing.T) {
	t.Parallel()
	nodes, token := startTwo(t, func(c *app.Config) { c.FICMonthlyQuota, c.FICShortQuota = 1000, 5 })
	call := func(i int) answer { return do(t, nodes[i%2], http.MethodGet, "/c/1/subscriptions", token, "") }
	for i := range 5 {
		got := call(i).want(t, http.StatusOK)
		if left := got.header.Get("RateLimit-MonthlyRemaining"); left != strconv.Itoa(999-i) {
			t.Errorf("call %d: %q are left of the month, want %d", i, left, 999-i)
		}
	}
	for i := range 4 {
		got := call(i).want(t, http.StatusTooManyRequests)
		if wait, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || wait < 1 || wait > 300 {
			t.Errorf("node %d: Retry-After is %q, want up to 300 seconds", i%2, got.header.Get("Retry-After"))
		}
	}
	do(t, nodes[1], http.MethodGet, "/c/2/subscriptions", token, "").want(t, http.StatusOK) // another company's is its own
}

func TestTriesToSignInAreCountedForAllNodes(t *testing.T) {
	t.Parallel()
	nodes, _ := startTwo(t, nil)
	visitors := [2]*visitor{newVisitor(t, nodes[0], ""), newVisitor(t, nodes[1], "")}
	// When someone guesses at one node after the other,
	begun, let, refused := time.Now(), 0, [2]int{}
	for i := range 40 {
		got := visitors[i%2].do(http.MethodPost, "/ui/sign-in", url.Values{"secret": {"wrong"}})
		switch wait, err := strconv.Atoi(got.Header.Get("Retry-After")); {
		case got.StatusCode == http.StatusUnauthorized:
			let++
		case got.StatusCode != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 10:
			t.Errorf("node %d: got %d, Retry-After %q; want 429 with up to 10 s", i%2, got.StatusCode, got.Header.Get("Retry-After"))
		default:
			refused[i%2]++
		}
	}
	// then he has ten tries in all, and one more each ten seconds.
	if most := 10 + int(time.Since(begun)/(10*time.Second)) + 1; let < 10 || let > most || refused[0] == 0 || refused[1] == 0 {
		t.Errorf("%d tries were let through, %v refused; want 10 to %d, and no more by either node", let, refused, most)
	}
}
