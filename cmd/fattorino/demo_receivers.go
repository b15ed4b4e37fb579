package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// standardReceiver receives what is signed as Standard Webhooks 1.0.0 has it,
// with HMAC: notifications under the contracts facturascripts and native.
type standardReceiver struct {
	secret []byte // nil = not known yet: there are challenges only
}

func (*standardReceiver) proof() string { return "signature good" }

// read takes both bodies: {id, event, timestamp, data} of FacturaScripts, and
// the CloudEvent in structured mode, whose type is "type".
func (s *standardReceiver) read(r *http.Request, body []byte) (message, error) {
	told := message{id: r.Header.Get("Webhook-Id")}
	if err := verifyStandard(s.secret, r.Header, body, time.Now()); err != nil {
		return told, err
	}
	var content struct {
		Event string          `json:"event"`
		Type  string          `json:"type"`
		Data  json.RawMessage `json:"data"`
	}
	var data struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(body, &content); err != nil {
		return told, err
	}
	_ = json.Unmarshal(content.Data, &data) // data need not have an id
	told.typ, told.about, told.state = cmp.Or(content.Event, content.Type), strings.Trim(string(data.ID), `"`), content.Data
	if told.typ == "" {
		return told, errors.New("the body names no type")
	}
	return told, nil
}

// challenge answers with the text that the native contract sends.
func (*standardReceiver) challenge(r *http.Request) (answer []byte, err error) {
	text := r.Header.Get("Webhook-Challenge")
	if text == "" {
		return nil, errNoChallenge
	}
	return json.Marshal(map[string]string{"challenge": text})
}

// parseSecret reads a secret as it is shown: whsec_ and base64.
func parseSecret(shown string) ([]byte, error) {
	text, ok := strings.CutPrefix(shown, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(secret) == 0 {
		return nil, errors.New("the answer holds no secret of the form whsec_…")
	}
	return secret, nil
}

// verifyStandard checks a signature of Standard Webhooks 1.0.0: HMAC-SHA256 over
// id, timestamp and body with dots between, one of those in the header, and not
// older or newer than five minutes.
func verifyStandard(secret []byte, h http.Header, body []byte, now time.Time) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("webhook-id or webhook-timestamp is missing or malformed")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age.Abs() > 5*time.Minute {
		return errors.New("it was signed too long ago")
	}
	if len(secret) == 0 {
		return errors.New("there is no secret to check the signature with")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for one := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		text, ok := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("the signature is wrong")
}

// defactoReceiver receives as Defacto's guide has it: notifications are not
// signed, and the secret is in the URL that was registered.
type defactoReceiver struct{ secret string }

func (*defactoReceiver) proof() string { return "secret in the URL good" }

func (d *defactoReceiver) read(r *http.Request, body []byte) (message, error) {
	told := message{id: r.Header.Get("Webhook-Id")}
	if !hmac.Equal([]byte(r.URL.Query().Get("secret")), []byte(d.secret)) {
		return told, errors.New("the secret in the URL is wrong")
	}
	var content struct {
		ID     string          `json:"id"`
		Type   string          `json:"event_type"`
		Status string          `json:"status"`
		State  json.RawMessage `json:"entity_state"`
	}
	if err := json.Unmarshal(body, &content); err != nil {
		return told, err
	}
	told.typ, told.about, told.state = content.Type, content.ID, content.State
	if !strings.HasSuffix(content.Type, "."+content.Status) {
		return told, fmt.Errorf("%s comes with the status %q", content.Type, content.Status)
	}
	return told, nil
}

func (*defactoReceiver) challenge(*http.Request) (answer []byte, err error) { return nil, errNotAsked }
