package ui

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

const codeSink = "https://sink.example/erp?tenant=a"

// signedTokens sign for both contracts.
type signedTokens struct{ key *sign.ES256Key }

func (s signedTokens) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.key.AppendJWT(dst, sign.Claims{ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience}, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID})
}

type signedBodyTokens struct{ key *sign.ES256Key }

func (s signedBodyTokens) AppendJWT(dst []byte, c native.Claims) ([]byte, error) {
	return s.key.AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience}, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID, BodySHA256: c.BodySHA256[:],
	})
}

// A codeCase is a notification for a receiver to check, and whether it is to be
// taken.
type codeCase struct {
	Name, Scheme, Method, Sink, Key string
	Headers                         map[string]string // names in lower case
	Body                            []byte
	Good                            bool
}

// codeCases gives real notifications of every scheme, and each spoiled in what
// its check must notice.
func codeCases(t *testing.T) (all []codeCase) {
	t.Helper()
	signer, err := sign.NewES256Key()
	if err != nil {
		t.Fatal(err)
	}
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	keychain := sign.NewKeychain(vault)
	house, err := native.New(native.Options{Keychain: keychain, BaseURL: "https://hooks.example.com", Signer: signedBodyTokens{signer}})
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := fic.New(fic.Options{Signer: signedTokens{signer}})
	if err != nil {
		t.Fatal(err)
	}
	build := func(c fattorino.Contract, scheme, format string, secrets []fattorino.Secret, at time.Time) (map[string]string, []byte) {
		s := &fattorino.Subscription{ID: 42, Company: 12345, App: 7, Contract: c.Name(), Sink: codeSink, Format: fattorino.Format(format), Secrets: secrets, State: fattorino.Active}
		if c == house {
			s.Options.Signature = scheme
		}
		e := &fattorino.Event{
			ID: "1", Source: "/erp", Type: "invoice.paid", Common: "invoice.paid", Time: at, DataContentType: "application/json", Data: []byte(`{"name":"Müller & figli"}`),
			Form: fattorino.JSONData, Company: 12345, Entity: fattorino.Entity{Type: "invoice", IDs: []string{"42"}}, Seq: 1, Accepted: at, Key: 1,
		}
		r, err := c.Notification(s, e, at)
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{}
		for _, h := range r.Header {
			headers[strings.ToLower(h.Name)] = h.Value
		}
		return headers, r.Body
	}
	for _, x := range []struct {
		scheme, format string
		contract       fattorino.Contract
		bound          string // the field that binds the check to this notification
		forgotten      string // the field whose change it must notice besides
	}{
		{"v1", "structured", house, "webhook-id", "webhook-timestamp"},
		{"v1a", "binary", house, "webhook-id", "webhook-timestamp"},
		{"httpsig", "binary", house, "webhook-id", "ce-type"},
		{"httpsig", "structured", house, "webhook-id", "content-digest"},
		{"jwt", "structured", house, "webhook-id", "authorization"},
		{"fic", "binary", cloud, "ce-id", "ce-subject"},
	} {
		var secrets []fattorino.Secret
		key, other := signer.PublicPEM(), ""
		if stranger, err := sign.NewES256Key(); err != nil {
			t.Fatal(err)
		} else {
			other = stranger.PublicPEM()
		}
		if x.scheme == "v1" || x.scheme == "v1a" || x.scheme == "httpsig" {
			secret, told, err := keychain.NewSecret(x.scheme)
			if err != nil {
				t.Fatal(err)
			}
			_, another, err := keychain.NewSecret(x.scheme)
			if err != nil {
				t.Fatal(err)
			}
			secrets, key, other = []fattorino.Secret{secret}, told, another
		}
		headers, body := build(x.contract, x.scheme, x.format, secrets, time.Now())
		add := func(name string, good bool, change func(*codeCase)) {
			c := codeCase{Name: x.scheme + ", " + x.format + ": " + name, Scheme: x.scheme, Method: "POST", Sink: codeSink, Key: key, Headers: map[string]string{}, Body: body, Good: good}
			for name, value := range headers {
				c.Headers[name] = value
			}
			change(&c)
			all = append(all, c)
		}
		add("as it was sent", true, func(*codeCase) {})
		add("another key", false, func(c *codeCase) { c.Key = other })
		for _, field := range []string{x.bound, x.forgotten} {
			add("another "+field, false, func(c *codeCase) { c.Headers[field] = c.Headers[field][:len(c.Headers[field])-2] + "00" })
		}
		add("hours ago", false, func(c *codeCase) {
			c.Headers, c.Body = build(x.contract, x.scheme, x.format, secrets, time.Now().Add(-4*time.Hour))
		})
		if x.scheme != "fic" { // whose token does not prove the body
			add("another body", false, func(c *codeCase) { c.Body = append(slices.Clone(body), ' ') })
		}
		if x.scheme == "fic" || x.scheme == "jwt" || x.scheme == "httpsig" {
			add("another sink", false, func(c *codeCase) { c.Sink += "&b=1" })
		}
	}
	return all
}

// checkReceivers runs a program with the cases, and compares what it says of
// each: "good", or anything else.
func checkReceivers(t *testing.T, cases []codeCase, program *exec.Cmd) {
	t.Helper()
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	var faults bytes.Buffer
	program.Stdin, program.Stderr = bytes.NewReader(input), &faults
	out, err := program.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, faults.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(cases) {
		t.Fatalf("%d cases, and %d answers:\n%s", len(cases), len(lines), out)
	}
	for i, c := range cases {
		if good := lines[i] == "good"; good != c.Good {
			t.Errorf("%s: %s", c.Name, lines[i])
		}
	}
}

// place writes a sample to a file, with what goes before it.
func place(t *testing.T, name, before, sample string) {
	t.Helper()
	text, err := codeFiles.ReadFile("code/" + sample + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append([]byte(before), text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// codeSchemes are those that code is shown for.
func codeSchemes() []string { return []string{"v1", "v1a", "httpsig", "jwt", "fic"} }

func TestTheCodeInGoChecksRealNotifications(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, scheme := range codeSchemes() {
		place(t, filepath.Join(dir, scheme+".go"), "package main\n\n", scheme+".go")
	}
	write(t, filepath.Join(dir, "go.mod"), "module receiver\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
)

func main() {
	var cases []struct {
		Scheme, Method, Sink, Key string
		Headers                   map[string]string
		Body                      []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	for _, c := range cases {
		h := http.Header{}
		for name, value := range c.Headers {
			h.Set(name, value)
		}
		var key *ecdsa.PublicKey
		if block, _ := pem.Decode([]byte(c.Key)); block != nil {
			parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				panic(err)
			}
			key = parsed.(*ecdsa.PublicKey)
		}
		var err error
		switch c.Scheme {
		case "v1":
			err = verifyV1(h, c.Body, c.Key)
		case "v1a":
			err = verifyV1a(h, c.Body, c.Key)
		case "httpsig":
			err = verifyHTTP(h, c.Method, c.Sink, c.Body, c.Key)
		case "jwt":
			err = verifyToken(h, c.Body, key, c.Sink)
		case "fic":
			err = verifyFIC(h, key, c.Sink)
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("good")
	}
}
`)
	program := filepath.Join(dir, "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkReceivers(t, codeCases(t), exec.CommandContext(t.Context(), program))
}

func TestTheCodeInJavaScriptChecksRealNotifications(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip(`there is no Node here: "make setup" installs it`)
	}
	dir := t.TempDir()
	for _, scheme := range codeSchemes() {
		place(t, filepath.Join(dir, scheme+".mjs"), "", scheme+".js")
	}
	script := filepath.Join(dir, "main.mjs")
	write(t, script, `import { readFileSync } from "node:fs";
import { verifyV1 } from "./v1.mjs";
import { verifyV1a } from "./v1a.mjs";
import { verifyHTTP } from "./httpsig.mjs";
import { verifyToken } from "./jwt.mjs";
import { verifyFIC } from "./fic.mjs";
const checks = {
  v1: (c) => verifyV1(c.Headers, c.Body, c.Key),
  v1a: (c) => verifyV1a(c.Headers, c.Body, c.Key),
  httpsig: (c) => verifyHTTP(c.Headers, c.Method, c.Sink, c.Body, c.Key),
  jwt: (c) => verifyToken(c.Headers, c.Body, c.Key, c.Sink),
  fic: (c) => verifyFIC(c.Headers, c.Key, c.Sink),
};
for (const c of JSON.parse(readFileSync(0))) {
  c.Body = Buffer.from(c.Body, "base64");
  try {
    checks[c.Scheme](c);
    console.log("good");
  } catch (error) {
    console.log(String(error).replaceAll("\n", " "));
  }
}
`)
	checkReceivers(t, codeCases(t), exec.CommandContext(t.Context(), "node", script))
}

func TestTheCodeInPythonChecksRealNotifications(t *testing.T) {
	t.Parallel()
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import jwt, cryptography").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip(`there is no Python with the modules jwt and cryptography here: "make setup" installs them`)
	}
	dir := t.TempDir()
	for _, scheme := range codeSchemes() {
		place(t, filepath.Join(dir, "check_"+scheme+".py"), "", scheme+".py")
	}
	script := filepath.Join(dir, "main.py")
	write(t, script, `import base64, json, sys
from check_v1 import verify_v1
from check_v1a import verify_v1a
from check_httpsig import verify_http
from check_jwt import verify_token
from check_fic import verify_fic
checks = {
    "v1": lambda c: verify_v1(c["Headers"], c["Body"], c["Key"]),
    "v1a": lambda c: verify_v1a(c["Headers"], c["Body"], c["Key"]),
    "httpsig": lambda c: verify_http(c["Headers"], c["Method"], c["Sink"], c["Body"], c["Key"]),
    "jwt": lambda c: verify_token(c["Headers"], c["Body"], c["Key"], c["Sink"]),
    "fic": lambda c: verify_fic(c["Headers"], c["Key"], c["Sink"]),
}
for c in json.load(sys.stdin):
    c["Body"] = base64.b64decode(c["Body"])
    try:
        checks[c["Scheme"]](c)
        print("good")
    except Exception as error:
        print(repr(error).replace("\n", " "))
`)
	checkReceivers(t, codeCases(t), exec.CommandContext(t.Context(), python, script))
}

// The code in PHP is run where there is PHP with the extension sodium. The two
// checks of tokens need a library, and are parsed alone.
func TestTheCodeInPHPChecksRealNotifications(t *testing.T) {
	t.Parallel()
	if exec.CommandContext(t.Context(), "php", "-r", `exit(extension_loaded("sodium") ? 0 : 1);`).Run() != nil {
		t.Skip("there is no PHP with sodium here")
	}
	dir := t.TempDir()
	for _, scheme := range codeSchemes() {
		name := filepath.Join(dir, scheme+".php")
		place(t, name, "", scheme+".php")
		if out, err := exec.CommandContext(t.Context(), "php", "-l", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", scheme, err, out)
		}
	}
	script := filepath.Join(dir, "main.php")
	write(t, script, `<?php
require 'v1.php';
require 'v1a.php';
require 'httpsig.php';
foreach (json_decode(file_get_contents('php://stdin'), true) as $c) {
    foreach ($c['Headers'] as $name => $value) {
        $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] = $value;
    }
    $body = base64_decode($c['Body']);
    try {
        match ($c['Scheme']) {
            'v1' => verifyV1($body, $c['Key']),
            'v1a' => verifyV1a($body, $c['Key']),
            'httpsig' => verifyHTTP($c['Headers'], $c['Method'], $c['Sink'], $body, $c['Key']),
        };
        echo "good\n";
    } catch (Throwable $e) {
        echo strtr($e->getMessage(), "\n", ' ') . "\n";
    }
}
`)
	cases := slices.DeleteFunc(codeCases(t), func(c codeCase) bool { return c.Scheme == "jwt" || c.Scheme == "fic" })
	program := exec.CommandContext(t.Context(), "php", script)
	program.Dir = dir
	checkReceivers(t, cases, program)
}

func TestEveryCheckIsWrittenInEveryLanguage(t *testing.T) {
	t.Parallel()
	for _, scheme := range codeSchemes() {
		samples, err := codeSamples(scheme)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range samples {
			if !strings.Contains(strings.ToLower(sample.Text), "verify") {
				t.Errorf("%s in %s checks nothing", scheme, sample.Name)
			}
		}
	}
	files, err := fs.Glob(codeFiles, "code/*")
	if want := len(codeSchemes()) * len(codeLanguages()); err != nil || len(files) != want {
		t.Errorf("there are %d files, %v; want %d", len(files), err, want)
	}
}
