package sign_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// webhookHeader gives the three fields; one whose value is empty is left out.
func webhookHeader(id, timestamp, signature string) []fattorino.Header {
	header := []fattorino.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Webhook-Id", Value: id},
		{Name: "webhook-timestamp", Value: timestamp},
		{Name: "WEBHOOK-SIGNATURE", Value: signature},
	}
	return slices.DeleteFunc(header, func(f fattorino.Header) bool { return f.Value == "" })
}

func fault(err error) sign.WebhookFault {
	if refused, ok := errors.AsType[*sign.WebhookError](err); ok {
		return refused.Fault
	}
	if err != nil {
		return "no WebhookError"
	}
	return ""
}

// SW-5, SW-6 and SW-9, and the table of negatives. "" is accepted.
func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	now := time.Unix(vectorTime, 999_999_999)
	secret, public := parseSecret(t, vectorSecret), parsePublic(t, vectorPublic)
	both := []sign.WebhookVerifier{sign.NewHMACSecret(), public, sign.NewEd25519Key().Public(), secret}
	strangers := []sign.WebhookVerifier{sign.NewHMACSecret(), sign.NewEd25519Key().Public()}
	const ts, bad = "1614265330", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	v1, v1a := strings.TrimPrefix(vectorV1, "v1,"), strings.TrimPrefix(vectorV1a, "v1a,")

	for _, tc := range []struct {
		name                      string
		id, timestamp, sigs, body string
		after                     time.Duration // from the attempt to the check
		keys                      []sign.WebhookVerifier
		want                      sign.WebhookFault
	}{
		{"SW-5 v1", vectorID, ts, vectorV1, vectorBody, 0, []sign.WebhookVerifier{secret}, ""},
		{"SW-5 v1a", vectorID, ts, vectorV1a, vectorBody, 0, []sign.WebhookVerifier{public}, ""},
		{"SW-5 white space around the values", " " + vectorID + "\t", ts + " ", " " + vectorV1, vectorBody, 0, both, ""},
		{"SW-6 two bad and one good", vectorID, ts, bad + " " + strings.Replace(vectorV1a, "h", "g", 1) + " " + vectorV1, vectorBody, 0, both, ""},
		{"SW-6 two spaces", vectorID, ts, bad + "  " + vectorV1a, vectorBody, 0, both, ""},
		{"SW-6 unknown version first", vectorID, ts, "v9,x v1b," + v1 + " " + vectorV1, vectorBody, 0, both, ""},
		{"SW-6 unknown version only", vectorID, ts, "v2," + v1, vectorBody, 0, both, sign.NoMatch},
		{"SW-6 signed with two keys, one is known", vectorID, ts, vectorV1 + " " + vectorV1a, vectorBody, 0, []sign.WebhookVerifier{public}, ""},
		{"SW-6 as many signatures as are read", vectorID, ts, strings.Repeat(bad+" ", 31) + vectorV1, vectorBody, 0, both, ""},
		{"SW-6 too many signatures", vectorID, ts, strings.Repeat(bad+" ", 32) + vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"SW-9 five minutes old", vectorID, ts, vectorV1, vectorBody, 5 * time.Minute, both, ""},
		{"SW-9 a second older", vectorID, ts, vectorV1, vectorBody, 5*time.Minute + time.Second, both, sign.TooOld},
		{"SW-9 five minutes ahead", vectorID, ts, vectorV1, vectorBody, -5 * time.Minute, both, ""},
		{"SW-9 a second further ahead", vectorID, ts, vectorV1, vectorBody, -5*time.Minute - time.Second, both, sign.TooNew},
		{"no id", "", ts, vectorV1, vectorBody, 0, both, sign.FieldMissing},
		{"no timestamp", vectorID, "", vectorV1, vectorBody, 0, both, sign.FieldMissing},
		{"no signature", vectorID, ts, "", vectorBody, 0, both, sign.FieldMissing},
		{"blank signature", vectorID, ts, "  ", vectorBody, 0, both, sign.FieldMissing},
		{"other secret and key", vectorID, ts, vectorV1 + " " + vectorV1a, vectorBody, 0, strangers, sign.NoMatch},
		{"no key", vectorID, ts, vectorV1, vectorBody, 0, nil, sign.NoMatch},
		{"other id", "msg_2", ts, vectorV1, vectorBody, 0, both, sign.NoMatch},
		{"id with a dot", vectorID + ".1", ts, vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"id with a space", "msg 1", ts, vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"other body", vectorID, ts, vectorV1 + " " + vectorV1a, `{"test": 2432232315}`, 0, both, sign.NoMatch},
		{"no body", vectorID, ts, vectorV1 + " " + vectorV1a, "", 0, both, sign.NoMatch},
		{"other timestamp", vectorID, "1614265331", vectorV1 + " " + vectorV1a, vectorBody, 0, both, sign.NoMatch},
		{"timestamp with a sign", vectorID, "+1614265330", vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"timestamp with a zero before", vectorID, "01614265330", vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"timestamp with a fraction", vectorID, "1614265330.0", vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"timestamp in words", vectorID, "yesterday", vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"timestamp beyond 64 bits", vectorID, "99999999999999999999", vectorV1, vectorBody, 0, both, sign.FieldMalformed},
		{"smallest timestamp", vectorID, "-9223372036854775808", vectorV1, vectorBody, 0, both, sign.TooOld},
		{"largest timestamp", vectorID, "9223372036854775807", vectorV1, vectorBody, 0, both, sign.TooNew},
		{"empty v1", vectorID, ts, "v1,", vectorBody, 0, both, sign.NoMatch},
		{"empty v1a", vectorID, ts, "v1a,", vectorBody, 0, both, sign.NoMatch},
		{"version alone", vectorID, ts, "v1", vectorBody, 0, both, sign.NoMatch},
		{"no version", vectorID, ts, v1, vectorBody, 0, both, sign.NoMatch},
		{"truncated v1", vectorID, ts, vectorV1[:len(vectorV1)-5], vectorBody, 0, both, sign.NoMatch},
		{"truncated v1a", vectorID, ts, vectorV1a[:len(vectorV1a)-5], vectorBody, 0, both, sign.NoMatch},
		{"more after v1", vectorID, ts, vectorV1 + ",x", vectorBody, 0, both, sign.NoMatch},
		{"more after v1a", vectorID, ts, vectorV1a + "AAAA", vectorBody, 0, both, sign.NoMatch},
		{"v1 without padding", vectorID, ts, strings.TrimRight(vectorV1, "="), vectorBody, 0, both, sign.NoMatch},
		{"v1 as v1a", vectorID, ts, "v1a," + v1, vectorBody, 0, both, sign.NoMatch},
		{"v1a as v1", vectorID, ts, "v1," + v1a, vectorBody, 0, both, sign.NoMatch},
		{"version in capitals", vectorID, ts, "V1," + v1, vectorBody, 0, both, sign.NoMatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := sign.VerifyWebhook(webhookHeader(tc.id, tc.timestamp, tc.sigs), []byte(tc.body), now.Add(tc.after), tc.keys...)
			if fault(err) != tc.want {
				t.Errorf("got %v, want fault %q", err, tc.want)
			}
		})
	}
}

func TestAnIDOrTimestampSentTwiceIsRefused(t *testing.T) {
	t.Parallel()
	now, secret := time.Unix(vectorTime, 0), parseSecret(t, vectorSecret)
	genuine := webhookHeader(vectorID, strconv.Itoa(vectorTime), vectorV1)
	for _, f := range genuine[1:3] {
		twice := append(slices.Clone(genuine), f)
		if err := sign.VerifyWebhook(twice, []byte(vectorBody), now, secret); err == nil {
			t.Errorf("%s may be sent twice", f.Name)
		}
	}
}

func TestEachFaultHasItsOwnWords(t *testing.T) {
	t.Parallel()
	seen := map[string]sign.WebhookFault{}
	for _, f := range []sign.WebhookFault{sign.FieldMissing, sign.FieldMalformed, sign.TooOld, sign.TooNew, sign.NoMatch} {
		text := (&sign.WebhookError{Fault: f, Field: "webhook-id"}).Error()
		if earlier, twice := seen[text]; twice {
			t.Errorf("%s and %s are both told as %q", earlier, f, text)
		}
		seen[text] = f
	}
}

func TestTheErrorNamesTheField(t *testing.T) {
	t.Parallel()
	secret := parseSecret(t, vectorSecret)
	for _, field := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		header := slices.DeleteFunc(webhookHeader(vectorID, strconv.Itoa(vectorTime), vectorV1), func(f fattorino.Header) bool {
			return strings.EqualFold(f.Name, field)
		})
		err := sign.VerifyWebhook(header, []byte(vectorBody), time.Unix(vectorTime, 0), secret)
		refused, ok := errors.AsType[*sign.WebhookError](err)
		if !ok || refused.Field != field || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}

func FuzzVerifyWebhook(f *testing.F) {
	f.Add(vectorID, strconv.Itoa(vectorTime), vectorV1, vectorBody)
	f.Add(vectorID, strconv.Itoa(vectorTime), "v9,x "+vectorV1a, vectorBody)
	f.Add("", "-0", " v1 v1a,\n ,", "")
	secret, key := parseSecret(f, vectorSecret), parseKey(f, vectorPrivate)
	now := time.Unix(vectorTime, 0)
	f.Fuzz(func(t *testing.T, id, timestamp, signatures, body string) {
		header := webhookHeader(id, timestamp, signatures)
		if err := sign.VerifyWebhook(header, []byte(body), now, secret, key.Public()); err == nil {
			// Nobody can forge one, so that it must be ours.
			seconds, err := strconv.ParseInt(strings.TrimSpace(timestamp), 10, 64)
			if err != nil {
				t.Fatalf("accepted with the timestamp %q", timestamp)
			}
			v1 := signature(t, secret, strings.Trim(id, " \t"), seconds, body)
			v1a := signature(t, key, strings.Trim(id, " \t"), seconds, body)
			if !strings.Contains(signatures, v1) && !strings.Contains(signatures, v1a) {
				t.Errorf("%q is accepted for id %q, timestamp %q, body %q", signatures, id, timestamp, body)
			}
		}
		// And whatever id and body are, what we sign we accept.
		ours, err := sign.WebhookKeys{secret, key}.AppendSignature(nil, id, now.Unix(), []byte(body))
		if err != nil {
			return
		}
		header = webhookHeader(id, strconv.FormatInt(now.Unix(), 10), string(ours))
		for _, k := range []sign.WebhookVerifier{secret, key.Public()} {
			if err := sign.VerifyWebhook(header, []byte(body), now, k); err != nil {
				t.Errorf("our own is refused for id %q, body %q: %v", id, body, err)
			}
		}
	})
}
