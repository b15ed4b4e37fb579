//go:build unix

package egress_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// BenchmarkSend is the hot path: many exchanges at once with one sink that
// answers 200. The sink is another process, so that cpu-µs/op is the time of
// the client alone.
func BenchmarkSend(b *testing.B) {
	for _, scheme := range []string{"http", "https"} {
		for name, newClient := range map[string]egresstest.Make{
			"own":      func(p egress.Policy, o egress.Options) egresstest.Sender { return egress.NewClient(p, o) },
			"net-http": func(p egress.Policy, o egress.Options) egresstest.Sender { return egress.NewNetHTTP(p, o) },
		} {
			b.Run(scheme+"/"+name, func(b *testing.B) {
				url, authorities := startSink(b, scheme)
				client := newClient(egress.Policy{Dev: true}, egress.Options{RootCAs: authorities})
				b.Cleanup(client.Close)
				benchmark(b, client, notification(url))
			})
		}
	}
}

func benchmark(b *testing.B, client egresstest.Sender, request *fattorino.Request) {
	ctx := b.Context()
	b.ReportAllocs()
	b.SetParallelism(16)
	before := processTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := client.Send(ctx, request); a.Status != http.StatusOK {
				b.Errorf("status %d, %s", a.Status, a.Detail)
			}
		}
	})
	b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// BenchmarkBareLoop writes the same number of bytes and reads the answer, and
// nothing else: what is below it is the system's.
func BenchmarkBareLoop(b *testing.B) {
	url, _ := startSink(b, "http")
	addr := strings.TrimPrefix(url, "http://")
	message := "POST /hook?key=1 HTTP/1.1\r\nHost: " + addr + "\r\nX-Fill: " + strings.Repeat("a", 800) + "\r\nContent-Length: 2\r\n\r\n{}"
	b.SetParallelism(16)
	before := processTime(b)
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", addr) //nolint:noctx // it ends with the benchmark
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		answer := make([]byte, 4096)
		for pb.Next() {
			if _, err := io.WriteString(c, message); err != nil {
				b.Error(err)
				return
			}
			if n, err := c.Read(answer); err != nil || !strings.HasSuffix(string(answer[:n]), "ok") {
				b.Errorf("answer %q, %v", answer[:n], err)
				return
			}
		}
	})
	b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// processTime is how much time this process has had of the processors.
func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func notification(url string) *fattorino.Request {
	return &fattorino.Request{
		Method: http.MethodPost, URL: url + "/hook?key=1",
		Header: []fattorino.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "Authorization", Value: "Bearer " + strings.Repeat("a", 400)},
			{Name: "Ce-Id", Value: "1:3f1d2a52-6b7b-4b8e-9a66-0b7f3f9d1c11"},
			{Name: "Ce-Type", Value: "it.fattureincloud.webhooks.issued_documents.invoices.create"},
			{Name: "Ce-Source", Value: "https://api-v2.fattureincloud.it"},
			{Name: "Ce-Time", Value: "2026-01-01T00:00:00Z"},
			{Name: "Ce-Subject", Value: "company:12345"},
			{Name: "Ce-Specversion", Value: "1.0"},
		},
		Body: []byte(`{"data":{"ids":[12345]}}`),
	}
}

// sinkScheme is the variable of the environment that makes [TestSink] a sink.
const sinkScheme = "FATTORINO_TEST_SINK"

// startSink starts this program again as a sink, and gives its URL and whom to
// trust.
func startSink(b *testing.B, scheme string) (url string, authorities *x509.CertPool) {
	b.Helper()
	sink := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestSink$") //nolint:gosec // the program itself
	sink.Env = append(os.Environ(), sinkScheme+"="+scheme)
	input, err := sink.StdinPipe() // its end is the sink's
	if err != nil {
		b.Fatal(err)
	}
	output, err := sink.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := sink.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = input.Close()
		_ = sink.Wait() // killed at the latest by the context
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	var certificate string
	if _, err := fmt.Sscan(line, &url, &certificate); err != nil {
		b.Fatalf("the sink said %q: %v", line, err)
	}
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		b.Fatal(err)
	}
	trusted, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	authorities = x509.NewCertPool()
	authorities.AddCert(trusted)
	return url, authorities
}

// TestSink is no test: it is the sink of the benchmarks, in a process of its
// own, until its input ends.
func TestSink(t *testing.T) {
	scheme := os.Getenv(sinkScheme)
	if scheme == "" {
		t.Skip("this is the sink of the benchmarks")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate := egresstest.SelfSigned(t, "127.0.0.1")
	_, _ = fmt.Fprintf(os.Stdout, "%s://%s %s\n", scheme, listener.Addr(), base64.StdEncoding.EncodeToString(certificate.Certificate[0]))
	if scheme == "https" {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	server := &http.Server{Handler: http.HandlerFunc(receive)} //nolint:gosec // its clients are ours
	go func() { _ = server.Serve(listener) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
}

// receive is a sink that takes a notification as sinks do.
func receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a broken request shows at the client
	_, _ = io.WriteString(w, "ok")
}
