package sign_test

import (
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// A notification's Authorization header, signed with the current key.
func ExampleES256Key_AppendJWT() {
	key, err := sign.NewES256Key()
	if err != nil {
		log.Fatal(err)
	}
	ring := sign.NewRing(key)

	now := time.Now()
	header, err := ring.Current().AppendJWT([]byte("Bearer "), sign.Claims{
		ID:        "198:f059b211-24f4-44ab-9859-b1613a9a0712",
		Issuer:    "https://api-v2.fattureincloud.it",
		Subject:   "company:108061",
		Audience:  []string{"https://example.com/hooks"},
		IssuedAt:  now,
		ExpiresAt: now.Add(3 * time.Hour),
		AppID:     12,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(strings.Split(string(header), ".")), "segments")
	// Output: 3 segments
}

// While a secret changes, notifications are signed with both: a receiver that
// still has the old one accepts them as well.
func ExampleWebhookKeys() {
	current, previous := sign.NewHMACSecret(), sign.NewHMACSecret()

	id, now, body := "198:f059b211-24f4-44ab-9859-b1613a9a0712", time.Now(), []byte(`{"type":"invoice.created"}`)
	signatures, err := sign.WebhookKeys{current, previous}.AppendSignature(nil, id, now.Unix(), body)
	if err != nil {
		log.Fatal(err)
	}

	received := []fattorino.Header{
		{Name: "webhook-id", Value: id},
		{Name: "webhook-timestamp", Value: strconv.FormatInt(now.Unix(), 10)},
		{Name: "webhook-signature", Value: string(signatures)},
	}
	fmt.Println("new secret:", sign.VerifyWebhook(received, body, now, current))
	fmt.Println("old secret:", sign.VerifyWebhook(received, body, now, previous))
	fmt.Println("later:", sign.VerifyWebhook(received, body, now.Add(time.Hour), current))
	// Output:
	// new secret: <nil>
	// old secret: <nil>
	// later: the notification is too old: its timestamp is more than five minutes past
}
