package browser_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/fattorino-dev/fattorino/test/openid"
)

func TestSigningInAtAnOpenIDProvider(t *testing.T) {
	t.Parallel()
	p := openid.Start()
	t.Cleanup(p.Close)
	address := freeAddress(t)
	p.Register("http://" + address + "/ui/sign-in/oidc/callback")
	p.Knows(map[string]any{"sub": "person-1", "preferred_username": "anna", "groups": []string{"staff"}})
	settings := filepath.Join(t.TempDir(), "fattorino.yaml")
	text := "public_url: http://" + address + "\noidc_issuer: " + p.URL + "\noidc_client_id: " + p.ClientID +
		"\noidc_client_secret: " + p.ClientSecret + "\noidc_roles: [\"operator:groups=staff\"]\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", settings, "--listen", address)
	drive(t, "openid.mjs", map[string]string{"URL": s.url, "ISSUER": p.URL, "SCREENSHOTS": screenshots(t)})
}

// freeAddress gives an address of this machine that nothing listens on: the
// provider must know where to send back to before the server starts.
func freeAddress(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
