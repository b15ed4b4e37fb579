package crash_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// Two ways in: with a password, and for the user robot with a certificate. Over
// the socket, which the test uses itself, anybody comes in.
const accessRules = `local all all trust
local replication all trust
hostssl all robot all cert
hostssl all all all scram-sha-256
`

const databasePassword = "canary-of-the-database"

func TestTheDatabaseIsReachedOverTLS(t *testing.T) {
	t.Parallel()
	// Given a server with a certificate for localhost,
	signer, stranger := newAuthority(t), newAuthority(t)
	certificate, key := signer.issue(t, "localhost")
	cluster := newCluster(t, pgcluster.Options{
		TCP:      true,
		Settings: map[string]string{"ssl": "on", "ssl_cert_file": "own.crt", "ssl_key_file": "own.key", "ssl_ca_file": "ca.crt"},
		Files:    map[string][]byte{"own.crt": certificate, "own.key": key, "ca.crt": signer.pem, "pg_hba.conf": []byte(accessRules)},
	})
	err := cluster.Exec(t.Context(), `CREATE USER plain PASSWORD '`+databasePassword+`'`, `CREATE USER robot`,
		`CREATE DATABASE plain OWNER plain`, `CREATE DATABASE robot OWNER robot`)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(cluster.Address())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	trusted, other := file(t, dir, "trusted.crt", signer.pem), file(t, dir, "other.crt", stranger.pem)
	robotCertificate, robotKey := signer.issue(t, "robot")
	robot := url.Values{"sslcert": {file(t, dir, "robot.crt", robotCertificate)}, "sslkey": {file(t, dir, "robot.key", robotKey)}}

	for _, tt := range []struct {
		name, user, host, root, password string
		client                           url.Values
		refused                          []string // what is said then, cause and remedy; nil = it serves
	}{
		{"with a password", "plain", "localhost", trusted, databasePassword, nil, nil},
		{"with a certificate of its own", "robot", "localhost", trusted, "", robot, nil},
		{"but not of an unknown authority", "plain", "localhost", other, databasePassword, nil, []string{"unknown authority", "sslrootcert=FILE"}},
		{"nor under another name", "plain", "127.0.0.1", trusted, databasePassword, nil, []string{"127.0.0.1", "name the server in the URL as its certificate does: localhost"}},
		{"nor with a wrong password", "plain", "localhost", trusted, databasePassword + "x", nil, []string{"password authentication failed", "database_password"}},
		{"nor without the certificate that is wanted", "robot", "localhost", trusted, "", nil, []string{"certificate", "sslcert=FILE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parameters := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {tt.root}}
			for name, value := range tt.client {
				parameters[name] = value
			}
			database := url.URL{Scheme: "postgres", User: url.User(tt.user), Host: net.JoinHostPort(tt.host, port), Path: "/" + tt.user, RawQuery: parameters.Encode()}
			p := newProgram(t, binary, t.TempDir(), "--database", database.String())
			p.environment = []string{"FATTORINO_DATABASE_PASSWORD=" + tt.password, "PGPASSFILE=/nonexistent"}
			// when the program starts, then it serves,
			err := errors.Join(p.begin(), p.ready())
			if (err == nil) != (tt.refused == nil) {
				t.Fatal(err)
			}
			p.end(syscall.SIGTERM)
			// or says why it does not and what to do, and no password.
			for _, want := range tt.refused {
				if !strings.Contains(p.log.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, p.log.String())
				}
			}
			if strings.Contains(p.log.String(), databasePassword) {
				t.Errorf("it shows the password:\n%s", p.log.String())
			}
		})
	}
}

func file(t *testing.T, dir, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wish := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, wish, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue gives a certificate for a server or a client of that name, and its key.
func (a *authority) issue(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wish := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, a.certificate, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}
