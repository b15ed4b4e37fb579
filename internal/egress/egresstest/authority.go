package egresstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// An Authority signs certificates for test servers.
type Authority struct {
	// Pool holds the authority, for a client that shall trust it.
	Pool *x509.CertPool

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nobody else trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{key: newKey(t), Pool: x509.NewCertPool()}
	a.cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key, a.key)
	a.Pool.AddCert(a.cert)
	return a
}

// Certificate makes a certificate for a host name or address that ends at the
// given time. It is good for servers and for clients.
func (a *Authority) Certificate(t testing.TB, host string, end time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := sign(t, leaf(host, end), a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// SelfSigned makes a certificate that vouches for itself.
func SelfSigned(t testing.TB, host string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := sign(t, leaf(host, time.Now().Add(time.Hour)), nil, key, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// Serve starts an HTTPS server for [Host] that answers 200, and gives the
// configuration to a function that may change it first.
func (a *Authority) Serve(t testing.TB, change func(*tls.Config)) *Server {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{a.Certificate(t, Host, time.Now().Add(time.Hour))}}
	if change != nil {
		change(config)
	}
	return ServeTLS(t, config, func(p *Peer) { answerAll(p, okAnswer) })
}

// HTTP2 starts a server for [Host] that speaks the given protocols of HTTP and
// answers 200. It counts the requests.
func HTTP2(t testing.TB, a *Authority, protocols ...string) (netip.AddrPort, *atomic.Int64) {
	t.Helper()
	requests := new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a broken request shows at the client
		requests.Add(1)
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	config := &tls.Config{
		Certificates: []tls.Certificate{a.Certificate(t, Host, time.Now().Add(time.Hour))},
		NextProtos:   protocols,
	}
	server.TLS = config.Clone() // to which net/http adds protocols of its own
	server.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		// Of itself crypto/tls lets HTTP/1.1 pass where HTTP/2 is asked for.
		if !slices.ContainsFunc(protocols, func(p string) bool { return slices.Contains(hello.SupportedProtos, p) }) {
			return nil, errors.New("no application protocol")
		}
		return config, nil
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String()), requests
}

func leaf(host string, end time.Time) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate for key; without a parent it is its own.
func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
