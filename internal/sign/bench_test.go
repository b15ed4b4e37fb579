package sign_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func BenchmarkAppendSignature(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 500)
	for _, bc := range []struct {
		name string
		key  sign.WebhookKey
	}{
		{"v1", sign.NewHMACSecret()},
		{"v1a", sign.NewEd25519Key()},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bc.key.AppendSignature(nil, vectorID, vectorTime, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendHTTPSignature(b *testing.B) {
	key, now := sign.NewEd25519Key(), time.Now()
	header := []fattorino.Header{
		{Name: "Content-Type", Value: "application/cloudevents+json"},
		{Name: "webhook-id", Value: vectorID},
		{Name: "webhook-timestamp", Value: "1614265330"},
	}
	body := bytes.Repeat([]byte("x"), 500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.AppendHTTPSignature(header, "POST", "https://example.com/hooks?tenant=a", body, now); err != nil {
			b.Fatal(err)
		}
	}
}
