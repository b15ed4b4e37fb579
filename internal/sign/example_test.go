package sign_test

import (
	"fmt"
	"log"
	"strings"
	"time"

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
