package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ficReceiver receives as the documentation of Fatture in Cloud has it: every
// request, the challenge included, carries a token signed with the published
// key.
type ficReceiver struct {
	sink string // the audience of its tokens
	key  *ecdsa.PublicKey
}

func (*ficReceiver) proof() string { return "signature and claims good" }

func (f *ficReceiver) read(r *http.Request, body []byte) (told message, err error) {
	told.id, told.typ, told.token = r.Header.Get("Ce-Id"), r.Header.Get("Ce-Type"), r.Header.Get("Authorization")
	claims, err := f.caller(r)
	if err != nil {
		return told, err
	}
	var content struct {
		Data struct {
			IDs []json.Number `json:"ids"`
		} `json:"data"`
	}
	err = errors.Join(json.Unmarshal(body, &content), claims.match(r.Header))
	ids := make([]string, len(content.Data.IDs))
	for i, id := range content.Data.IDs {
		ids[i] = id.String()
	}
	told.about = strings.Join(ids, ",")
	return told, err
}

// challenge answers with the text in an object.
func (f *ficReceiver) challenge(r *http.Request) (answer []byte, err error) {
	if _, err := f.caller(r); err != nil {
		return nil, err
	}
	text := r.Header.Get("X-Fic-Verification-Challenge")
	if text == "" {
		return nil, errNoChallenge
	}
	return json.Marshal(map[string]string{"verification": text})
}

// caller checks the token that a request came with: its signature and the
// claims that do not depend on the message.
func (f *ficReceiver) caller(r *http.Request) (*claims, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, errors.New("there is no bearer token")
	}
	c, err := verifyToken(f.key, token)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.Audience, f.sink) {
		return nil, fmt.Errorf("the token is for %v", c.Audience)
	}
	if now := time.Now().Unix(); now > c.ExpiresAt {
		return nil, errors.New("the token has expired")
	}
	return c, nil
}

// claims are those of a notification's token.
type claims struct {
	ID        string   `json:"jti"`
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  []string `json:"aud"`
	ExpiresAt int64    `json:"exp"`
}

// match compares the claims with the message that the token came with.
func (c *claims) match(h http.Header) error {
	for _, pair := range [][3]string{
		{"jti", c.ID, h.Get("Ce-Id")}, {"iss", c.Issuer, h.Get("Ce-Source")}, {"sub", c.Subject, h.Get("Ce-Subject")},
	} {
		if pair[1] != pair[2] {
			return fmt.Errorf("the token's %s is not the message's", pair[0])
		}
	}
	return nil
}

// parseKey reads a public key as /v1/keys/fic gives it: the base64 of PEM.
func parseKey(text string) (*ecdsa.PublicKey, error) {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(decoded)
	if block == nil {
		return nil, errors.New("the key is not in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not one for ES256")
	}
	return key, nil
}

// verifyToken checks a token's signature (RFC 7515; ES256 is RFC 7518, section
// 3.4) and gives its claims.
func verifyToken(key *ecdsa.PublicKey, token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if key == nil || len(parts) != 3 {
		return nil, errors.New("the token is malformed, or the key is not known")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err := decodePart(parts[0], &header); err != nil || header.Algorithm != "ES256" {
		return nil, errors.New("the token is not signed with ES256")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("the token's signature is malformed")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("the token's signature is wrong")
	}
	var c claims
	return &c, decodePart(parts[1], &c)
}

func decodePart(part string, v any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
