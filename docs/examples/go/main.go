// Command go receives notifications and checks who sent them.
//
//	FATTORINO=http://127.0.0.1:8480 SINK=http://127.0.0.1:9001/ go run .
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const challenge = "X-Fic-Verification-Challenge"

type receiver struct {
	fattorino string
	issuer    string
	sink      string // the URL of this receiver, exactly as subscribed with

	mu   sync.Mutex
	keys jose.JSONWebKeySet
}

// An event is a notification; in binary mode all but Data is in the header.
type event struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Data    struct {
		IDs []int64 `json:"ids"`
	} `json:"data"`
}

func main() {
	r := &receiver{fattorino: os.Getenv("FATTORINO"), issuer: os.Getenv("ISSUER"), sink: os.Getenv("SINK")}
	if r.issuer == "" {
		r.issuer = "https://api-v2.fattureincloud.it"
	}
	address, err := url.Parse(r.sink)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", address.Host)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening for", r.sink)
	server := &http.Server{Handler: r, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	claims, err := r.check(req)
	if err != nil {
		log.Printf("refused: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if req.Method == http.MethodGet { // do we want notifications? Say the challenge back
		answer := req.Header.Get(challenge)
		if answer == "" {
			answer = req.URL.Query().Get(strings.ToLower(challenge))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"verification": answer})
		return
	}
	e := event{ID: req.Header.Get("Ce-Id"), Type: req.Header.Get("Ce-Type"), Subject: req.Header.Get("Ce-Subject")}
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&e); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if claims.ID != e.ID || claims.Subject != e.Subject { // the token of another notification
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// The same notification may come twice, with the same id: keep what you have seen.
	fmt.Printf("%s %s ids=%v id=%s\n", e.Type, e.Subject, e.Data.IDs, e.ID)
	w.WriteHeader(http.StatusNoContent)
}

// check gives what the request's token says, if it is one for us.
func (r *receiver) check(req *http.Request) (*jwt.Claims, error) {
	raw := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	key, err := r.key(token.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var claims jwt.Claims
	if err := token.Claims(key, &claims); err != nil {
		return nil, err
	}
	return &claims, claims.Validate(jwt.Expected{Issuer: r.issuer, AnyAudience: jwt.Audience{r.sink}, Time: time.Now()})
}

// key gives the public key of the name, and reads the key set for one that is new.
func (r *receiver) key(kid string) (*jose.JSONWebKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.keys.Key(kid); len(found) > 0 {
		return &found[0], nil
	}
	answer, err := http.Get(r.fattorino + "/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&r.keys); err != nil {
		return nil, err
	}
	if found := r.keys.Key(kid); len(found) > 0 {
		return &found[0], nil
	}
	return nil, errors.New("unknown key")
}
