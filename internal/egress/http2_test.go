package egress_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
)

// servesFrames starts a sink with HTTP/2 alone, which reads a request and then
// does as it pleases.
func servesFrames(t *testing.T, authority *egresstest.Authority, act func(f *http2.Framer, stream uint32) error) *egresstest.Server {
	t.Helper()
	config := &tls.Config{
		Certificates: []tls.Certificate{authority.Certificate(t, egresstest.Host, time.Now().Add(time.Hour))},
		NextProtos:   []string{"h2"},
	}
	outer := config.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.SupportedProtos[0] != "h2" {
			return nil, errors.New("no application protocol")
		}
		return config, nil
	}
	return egresstest.ServeTLS(t, outer, func(p *egresstest.Peer) {
		if _, err := io.ReadFull(p, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(p, p)
		if f.WriteSettings() != nil {
			return
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.HeadersFrame); ok && act(f, h.StreamID) != nil {
				return
			}
		}
	})
}

// N12: whatever a sink does in HTTP/2, the exchange ends in time, and the
// request was sent once.
func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	forever := func(write func(*http2.Framer, uint32) error) func(*http2.Framer, uint32) error {
		return func(f *http2.Framer, stream uint32) error {
			for {
				if err := write(f, stream); err != nil {
					return err
				}
			}
		}
	}
	for name, act := range map[string]func(*http2.Framer, uint32) error{
		"never answers":    func(*http2.Framer, uint32) error { return nil },
		"goes away":        func(f *http2.Framer, s uint32) error { return f.WriteGoAway(s, http2.ErrCodeEnhanceYourCalm, nil) },
		"goes away unread": func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) },
		"resets":           func(f *http2.Framer, s uint32) error { return f.WriteRSTStream(s, http2.ErrCodeInternal) },
		"refuses":          func(f *http2.Framer, s uint32) error { return f.WriteRSTStream(s, http2.ErrCodeRefusedStream) },
		"closes":           func(*http2.Framer, uint32) error { return io.EOF },
		"endless settings": forever(func(f *http2.Framer, _ uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		}),
		"endless pings":  forever(func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) }),
		"endless header": endlessHeader,
		"broken header": func(f *http2.Framer, s uint32) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0xff, 0xff}, EndHeaders: true})
		},
		"frame of no stream": func(f *http2.Framer, _ uint32) error { return f.WriteData(99, true, []byte("hello")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority := egresstest.NewAuthority(t)
			var requests atomic.Int64
			server := servesFrames(t, authority, func(f *http2.Framer, stream uint32) error {
				requests.Add(1)
				return act(f, stream)
			})
			client := newClient(t, egress.Options{
				TotalTimeout: time.Second, RootCAs: authority.Pool,
				Resolver: egresstest.Names(t, egresstest.Zone{egresstest.Addrs("127.0.0.1")}, ""),
			})
			a := client.Send(t.Context(), notify(fmt.Sprintf("https://%s:%d", egresstest.Host, server.Addr.Port())))
			if a.Failure == "" || a.Timing.Total > 10*time.Second {
				t.Errorf("status is %d, failure %q, after %v", a.Status, a.Failure, a.Timing.Total)
			}
			if n := requests.Load(); n > 1 {
				t.Errorf("the request was sent %d times", n)
			}
		})
	}
}

// endlessHeader sends a header that does not end.
func endlessHeader(f *http2.Framer, stream uint32) error {
	field := append([]byte{0x00, 0x01, 'x', 0x7f, 0xe1, 0x07}, make([]byte, 1120)...) // a literal, not to be remembered
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: append([]byte{0x88}, field...)})
	for err == nil {
		err = f.WriteContinuation(stream, false, field)
	}
	return err
}
