package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// cannotStart tells an operator why the database cannot be used at the start,
// and what to do about it: a publisher, to whom [translate] speaks, can only
// wait. No error of the driver has the password in it.
func cannotStart(err error) error {
	fix, known := startFix(err)
	if !known && fattorino.KindOf(translate(err)) != fattorino.Unavailable {
		return err
	}
	return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the database cannot be used: " + err.Error(), Fix: fix, RetryAfter: retryAfter, Err: err}
}

// startFix gives what to do about an error at the start, and whether it is one
// whose cause is known.
func startFix(err error) (fix string, known bool) {
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return "name the server in the URL as its certificate does: " + strings.Join(wrong.Certificate.DNSNames, ", "), true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "give the certificate of the authority that signed the server's, as sslrootcert=FILE in the URL; sslmode=disable would let anybody read along", true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "have the server's certificate made anew", true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "give the certificate that the server wants of its clients, and its key, as sslcert=FILE and sslkey=FILE in the URL", true
	}
	if fix, known = fixes[sqlState(err)]; !known {
		fix = "see that the server runs, that the URL has its host and port, and that it may be reached from here"
	}
	return fix, known
}

// fixes are what to do about what a server says to somebody who connects, by
// SQLSTATE (PostgreSQL, appendix A).
var fixes = map[string]string{ //nolint:gochecknoglobals // it never changes
	"28P01": "set database_password to the password of the user in the URL",
	"28000": "see that pg_hba.conf of the server lets this user in from here, and with what: a password, or a certificate as sslcert=FILE and sslkey=FILE in the URL",
	"3D000": "make the database: createdb NAME --owner=USER",
	"42501": "make the user the owner of the database, or let it create in its schema public",
	"25006": "connect to the primary: target_session_attrs=read-write in the URL finds it among several hosts",
	"57P03": "start again once the server is up",
	"53300": "raise max_connections of the server, or put PgBouncer before it",
}
