package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A failedError is an exchange that failed for a known reason. Its detail is
// shown to the subscriber: it never repeats an address, a URL or the text of
// another error.
type failedError struct {
	failure fattorino.Failure
	detail  string
	alert   bool // the sink refused the TLS handshake by an alert
}

func (e *failedError) Error() string { return string(e.failure) + ": " + e.detail }

// fail gives an answer its failure.
func fail(a *fattorino.Answer, e *failedError) { a.Failure, a.Detail = e.failure, e.detail }

// unwritable is the error of a request that is no HTTP.
func unwritable() error {
	return &failedError{failure: fattorino.FailedProtocol, detail: "the request cannot be written as HTTP"}
}

// statusFailure tells why a final status is no answer; nil where it is one.
func statusFailure(status int) *failedError {
	switch {
	case status == 0:
		return &failedError{failure: fattorino.FailedProtocol, detail: "the sink answered with status 000"}
	case status >= 100 && status < 200:
		// Nothing follows an interim answer but another protocol, and reading
		// that would outlast every deadline (golang/go#44988).
		return &failedError{failure: fattorino.FailedProtocol, detail: "the sink answered with an interim status only"}
	}
	return nil
}

// connectFailure classifies why there is no connection.
func connectFailure(err error) error {
	if known, ok := errors.AsType[*failedError](err); ok {
		return known
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		detail := "the sink's host name could not be looked up"
		switch {
		case dns.IsNotFound:
			detail = "the sink's host name has no address"
		case dns.IsTimeout:
			detail = "the sink's host name could not be looked up in time"
		}
		return &failedError{failure: fattorino.FailedDNS, detail: detail}
	}
	if isTimeout(err) {
		return &failedError{failure: fattorino.FailedTimeout, detail: "the sink's host did not accept a connection in time"}
	}
	return &failedError{failure: fattorino.FailedConnect, detail: "the sink's host did not accept a connection"}
}

// tlsFailure classifies why a connection could not be secured.
func tlsFailure(err error) error {
	if isTimeout(err) {
		return &failedError{failure: fattorino.FailedTimeout, detail: "the sink did not complete the TLS handshake in time"}
	}
	detail := "the sink's host and this service agree on no TLS version from 1.2 up"
	if broken(err) {
		detail = "the sink's host closed the connection during the TLS handshake"
	} else if isAlert(err) {
		detail = "the sink's host refused the TLS handshake"
	} else if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		detail = "the sink's host does not speak TLS on this port"
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		detail = certificateDetail(err)
	}
	return &failedError{failure: fattorino.FailedTLS, detail: detail, alert: isRefusal(err)}
}

func certificateDetail(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the sink's certificate is for another host"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the sink's certificate is not signed by a trusted authority"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the sink's certificate has expired or is not yet valid"
	}
	return "the sink's certificate is not valid"
}

// exchangeFailure classifies why no answer came. connected and answering tell
// how far the exchange got.
func exchangeFailure(ctx context.Context, err error, connected, answering bool) *failedError {
	known, ok := errors.AsType[*failedError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &failedError{failure: fattorino.FailedTimeout, detail: "the exchange was stopped before an answer came"}
	case ok:
		return known
	case ctx.Err() != nil || isTimeout(err):
		if !connected {
			return &failedError{failure: fattorino.FailedTimeout, detail: "no connection to the sink was made in time"}
		}
		return &failedError{failure: fattorino.FailedTimeout, detail: "the sink did not answer in time"}
	case isAlert(err):
		return &failedError{failure: fattorino.FailedTLS, detail: "the sink's host ended the TLS connection, as when it wants a client certificate"}
	case !connected && !broken(err):
		return &failedError{failure: fattorino.FailedProtocol, detail: "the request cannot be written as HTTP"}
	case answering && !broken(err):
		return &failedError{failure: fattorino.FailedProtocol, detail: "what the sink sent is no HTTP answer, or has too large a header"}
	}
	return &failedError{failure: fattorino.FailedReset, detail: "the sink closed the connection before it answered"}
}

// isTimeout tells whether err means that something took too long.
func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// broken tells whether err means that the peer ended the connection.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isAlert tells whether err is a TLS alert. crypto/tls exports no type for one
// outside QUIC; it marks them by the operation.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error")
}

// isRefusal tells whether err is a TLS alert that came from the sink.
func isRefusal(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
