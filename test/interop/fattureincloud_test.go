package interop_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
)

const challengeField = "x-fic-verification-challenge"

// proof is a sink that proves itself and takes every notification.
func proof(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := r.Header.Get(challengeField)
		if challenge == "" {
			challenge = r.URL.Query().Get(challengeField)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge})
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hook?key=s3cret"
}

// mute is a sink that does not prove itself.
func mute(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

// An answer is what the SDK made of the server's answer.
type answer struct {
	Status      int
	ContentType string
	RetryAfter  string
	Data        json.RawMessage // the body as the SDK decoded it
}

// sdkError is the one form of an error that the SDK's users know.
type sdkError struct {
	Error struct {
		Message          string
		Code             string
		ValidationResult map[string][]string `json:"validation_result"`
	}
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Data, &v); err != nil {
		t.Fatalf("%v in %s", err, a.Data)
	}
	return v
}

func TestTheOfficialSDKDrivesAllSixOperations(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const company = 12345
	moved := proof(t)
	var got map[string]answer
	answersOf(t, "fattureincloud.mjs", map[string]any{
		"base": s.url, "company": company, "token": s.token(t, "api", company), "stranger": s.token(t, "api", company),
		"sink": proof(t), "moved": moved, "mute": mute(t),
	}, &got)

	type one struct {
		Data     subscription
		Warnings []string
	}
	type many struct{ Data []subscription }
	const prefix = "it.fattureincloud.webhooks."

	t.Run("statuses", func(t *testing.T) {
		for step, want := range map[string]int{
			"list of none": 200, "create": 200, "create with a type that is taken": 200,
			"create with nothing left": 422, "create without a body": 422, "create with a bad sink": 422,
			"get": 200, "list": 200, "modify the types": 200, "modify the sink": 200,
			"verify what is verified": 409, "create with a mute sink": 200, "verify": 200, "verify too early": 429,
			"delete": 200, "get what is deleted": 404, "delete what is deleted": 404, "get without an id": 404,
			"list with a bad token": 401, "list of another company": 403,
			"list of another app": 200, "get of another app": 404,
		} {
			if got[step].Status != want {
				t.Errorf("%s: status %d, want %d\n%s", step, got[step].Status, want, text(got[step]))
			}
			if len(got[step].Data) > 2 && got[step].ContentType != "application/json" {
				t.Errorf("%s: content type %q, which the Go SDK cannot decode", step, got[step].ContentType)
			}
		}
	})
	t.Run("create explodes groups and warns of what does not exist", func(t *testing.T) {
		created := decode[one](t, got["create"])
		want := []string{prefix + "entities.clients.create", prefix + "entities.suppliers.create", prefix + "issued_documents.invoices.update"}
		if d := created.Data; !slices.Equal(d.Types, want) || !d.Verified || d.Config.Mapping != "structured" {
			t.Errorf("got %s", text(d))
		}
		if want := []string{"The '" + prefix + "no.such.type' event does not exist"}; !slices.Equal(created.Warnings, want) {
			t.Errorf("warnings %q, want %q", created.Warnings, want)
		}
	})
	t.Run("a type that is taken is left out", func(t *testing.T) {
		second := decode[one](t, got["create with a type that is taken"])
		// This version of the SDK knows the self-invoices as one family.
		if want := []string{prefix + "receipts.create", prefix + "issued_documents.self_invoices.create"}; !slices.Equal(second.Data.Types, want) || second.Data.Config.Mapping != "binary" {
			t.Errorf("got %s", text(second.Data))
		}
		want := []string{"The '" + prefix + "entities.clients.create' event is already registered for this application"}
		if !slices.Equal(second.Warnings, want) {
			t.Errorf("warnings %q, want %q", second.Warnings, want)
		}
	})
	t.Run("get and list show what create gave", func(t *testing.T) {
		created := decode[one](t, got["create"]).Data
		if shown := decode[one](t, got["get"]).Data; text(shown) != text(created) {
			t.Errorf("got %s, want %s", text(shown), text(created))
		}
		if list := decode[many](t, got["list"]).Data; len(list) != 2 || text(list[0]) != text(created) {
			t.Errorf("got %s", text(list))
		}
		if list := decode[many](t, got["list of none"]).Data; list == nil || len(list) != 0 {
			t.Errorf("got %s, want an empty list", text(list))
		}
	})
	t.Run("modify merges", func(t *testing.T) {
		created := decode[one](t, got["create"]).Data
		changed := decode[one](t, got["modify the types"])
		if d := changed.Data; !slices.Equal(d.Types, []string{prefix + "entities.suppliers.delete"}) ||
			d.Sink != created.Sink || d.Config != created.Config || !d.Verified || changed.Warnings != nil {
			t.Errorf("got %s", text(changed))
		}
		after := decode[one](t, got["modify the sink"]).Data
		if after.Sink != moved || !after.Verified || after.ID != created.ID {
			t.Errorf("got %s", text(after))
		}
	})
	t.Run("a mute sink is not verified, and a retry too soon says when", func(t *testing.T) {
		if decode[one](t, got["create with a mute sink"]).Data.Verified {
			t.Error("it is verified")
		}
		if wait, err := strconv.Atoi(got["verify too early"].RetryAfter); err != nil || wait < 1 || wait > 600 {
			t.Errorf("Retry-After %q, want seconds up to 10 minutes", got["verify too early"].RetryAfter)
		}
	})
	t.Run("errors have the form that the SDK knows", func(t *testing.T) {
		for step, field := range map[string]string{
			"create with nothing left": "data.types", "create without a body": "data", "create with a bad sink": "data.sink",
		} {
			if e := decode[sdkError](t, got[step]).Error; e.Message == "" || len(e.ValidationResult[field]) == 0 {
				t.Errorf("%s: got %s, want a reason for %s", step, text(e), field)
			}
		}
		for _, step := range []string{"verify what is verified", "verify too early", "get what is deleted", "list with a bad token", "list of another company"} {
			if e := decode[sdkError](t, got[step]).Error; e.Message == "" || e.Code == "" {
				t.Errorf("%s: got %s", step, text(e))
			}
		}
		if e := decode[sdkError](t, got["list of another company"]).Error; e.Code != "NO_PERMISSION" {
			t.Errorf("code %q, want NO_PERMISSION", e.Code)
		}
	})
}
