//go:build ignore

// This program receives notifications signed after Standard Webhooks and checks
// who sent them.
//
//	SINK=http://127.0.0.1:9001/ SECRET_FILE=secret.txt go run native.go
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	sink, err := url.Parse(os.Getenv("SINK"))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", sink.Host)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening for", sink)
	server := &http.Server{Handler: http.HandlerFunc(receive), ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func receive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // do we want notifications? Say the challenge back
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.Header.Get("Webhook-Challenge"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := verify(r.Header, body); err != nil {
		log.Printf("refused: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var event struct {
		Type, Event string // native, FacturaScripts
		Data        json.RawMessage
	}
	if err := json.Unmarshal(body, &event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// The same notification may come twice, with the same id: keep what you have seen.
	fmt.Printf("%s data=%s id=%s\n", event.Type+event.Event, event.Data, r.Header.Get("Webhook-Id"))
	w.WriteHeader(http.StatusNoContent)
}

func verify(header http.Header, body []byte) error {
	secret, err := os.ReadFile(os.Getenv("SECRET_FILE")) // whsec_…
	if err != nil {
		return err
	}
	webhook, err := webhooks.NewWebhook(strings.TrimSpace(string(secret)))
	if err != nil {
		return err
	}
	return webhook.Verify(body, header)
}
