package native_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func BenchmarkNotification(b *testing.B) {
	f := newFixture(b)
	hmac := []fattorino.Secret{f.secret(b, newHMAC, time.Time{})}
	for _, bc := range []struct {
		format    fattorino.Format
		signature string
		secrets   []fattorino.Secret
	}{
		{fattorino.Binary, sign.SchemeV1, hmac},
		{fattorino.Structured, sign.SchemeV1, hmac},
		{fattorino.Standard, sign.SchemeV1, hmac},
		{fattorino.Binary, sign.SchemeHTTPSig, []fattorino.Secret{f.secret(b, newEd25519, time.Time{})}},
	} {
		b.Run(fmt.Sprint(bc.format, "-", bc.signature), func(b *testing.B) {
			s, e := subscription(), invoicePaid()
			s.Format, s.Secrets, s.Options.Signature = bc.format, bc.secrets, bc.signature
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Notification(s, e, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
