package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxAnswer bounds what the client reads of an answer.
const maxAnswer = 64 << 20

// A Client calls the API of a server. Its methods fail with a
// [fattorino.Error] of the Kind that the server meant, as if the use case had
// been called here; Unavailable where the server cannot be reached.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient makes a client of the server at baseURL, as
// "http://localhost:8080". A nil http.Client stands for one that waits for an
// answer for one minute.
func NewClient(baseURL, token string, c *http.Client) *Client {
	if c == nil {
		c = &http.Client{Timeout: time.Minute}
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, http: c}
}

// Publish publishes events, all or none.
func (c *Client) Publish(ctx context.Context, events ...*fattorino.Event) (*Receipts, error) {
	body, contentType := cloudevents.AppendBatch(nil, events), cloudevents.BatchType
	if len(events) == 1 {
		body, contentType = cloudevents.AppendStructured(nil, events[0]), cloudevents.StructuredType
	}
	var answer Receipts
	return &answer, c.do(ctx, http.MethodPost, "/v1/events", contentType, body, &answer)
}

// CreateApp registers an app.
func (c *Client) CreateApp(ctx context.Context, name string) (*App, error) {
	var answer App
	return &answer, c.send(ctx, "/v1/apps", NewApp{Name: name}, &answer)
}

// ListApps gives all apps, by id.
func (c *Client) ListApps(ctx context.Context) ([]App, error) {
	return collect(func(after int64) ([]App, int64, error) {
		var page AppPage
		err := c.get(ctx, "/v1/apps", afterQuery(after), &page)
		return page.Apps, page.Next, err
	})
}

// CreateToken makes a token; its secret is in the answer alone.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (*CreatedToken, error) {
	var answer CreatedToken
	return &answer, c.send(ctx, "/v1/tokens", t, &answer)
}

// ListTokens gives all tokens, by id.
func (c *Client) ListTokens(ctx context.Context) ([]Token, error) {
	return collect(func(after int64) ([]Token, int64, error) {
		var page TokenPage
		err := c.get(ctx, "/v1/tokens", afterQuery(after), &page)
		return page.Tokens, page.Next, err
	})
}

// RevokeToken puts a token out of force.
func (c *Client) RevokeToken(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodDelete, "/v1/tokens/"+strconv.FormatInt(id, 10), "", nil, nil)
}

// Catalogs gives the catalogs of all contracts.
func (c *Client) Catalogs(ctx context.Context) ([]Catalog, error) {
	var answer Catalogs
	err := c.get(ctx, "/v1/catalogs", nil, &answer)
	return answer.Catalogs, err
}

// Type gives one type of the native catalog.
func (c *Client) Type(ctx context.Context, name string) (*TypeDetail, error) {
	var answer TypeDetail
	return &answer, c.get(ctx, typePath(name), nil, &answer)
}

// PutType makes a type of the operator's, or replaces what is said of it; a dry
// run only checks.
func (c *Client) PutType(ctx context.Context, name string, t NewType, dryRun bool) (*TypeDetail, error) {
	var answer TypeDetail
	return &answer, c.put(ctx, typePath(name), dryRun, t, &answer)
}

// DeleteType takes back what the operator said of a type.
func (c *Client) DeleteType(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, typePath(name), "", nil, nil)
}

// DryRunSchema checks stored events of a type against a schema.
func (c *Client) DryRunSchema(ctx context.Context, name string, r DryRunRequest) (*DryRunAnswer, error) {
	var answer DryRunAnswer
	return &answer, c.send(ctx, typePath(name)+"/dry-run", r, &answer)
}

// PutGroup makes a group of the operator's, or replaces its types; a dry run
// only checks.
func (c *Client) PutGroup(ctx context.Context, name string, g NewGroup, dryRun bool) (*TypeGroup, error) {
	var answer TypeGroup
	return &answer, c.put(ctx, groupPath(name), dryRun, g, &answer)
}

// DeleteGroup deletes a group of the operator's.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, groupPath(name), "", nil, nil)
}

func typePath(name string) string  { return "/v1/catalogs/native/types/" + url.PathEscape(name) }
func groupPath(name string) string { return "/v1/catalogs/native/groups/" + url.PathEscape(name) }

// Key gives the public key that signs for the name, as "fic".
func (c *Client) Key(ctx context.Context, name string) (*PublicKey, error) {
	var answer PublicKey
	return &answer, c.get(ctx, "/v1/keys/"+url.PathEscape(name), nil, &answer)
}

// RotateKey puts a new key in the place of the one that signs for the name.
func (c *Client) RotateKey(ctx context.Context, name string) (*PublicKey, error) {
	var answer PublicKey
	return &answer, c.do(ctx, http.MethodPost, "/v1/keys/"+url.PathEscape(name)+"/rotate", "", nil, &answer)
}

// ListUsers gives the users of the management UI.
func (c *Client) ListUsers(ctx context.Context) ([]User, error) {
	var answer UserList
	err := c.get(ctx, "/v1/users", nil, &answer)
	return answer.Users, err
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, u NewUser) (*User, error) {
	var answer User
	return &answer, c.send(ctx, "/v1/users", u, &answer)
}

// ChangeUser gives a user another role, password or both.
func (c *Client) ChangeUser(ctx context.Context, name string, change UserChange) (*User, error) {
	body, err := json.Marshal(change) //nolint:gosec // the password is what the server is to be told
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	var answer User
	return &answer, c.do(ctx, http.MethodPatch, userPath(name), "application/json", body, &answer)
}

// DeleteUser deletes a user.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, userPath(name), "", nil, nil)
}

func userPath(name string) string { return "/v1/users/" + url.PathEscape(name) }

// ListNodes gives the processes that serve the database.
func (c *Client) ListNodes(ctx context.Context) (*NodeList, error) {
	var answer NodeList
	return &answer, c.get(ctx, "/v1/nodes", nil, &answer)
}

// ListMasterKeys gives the ids of the master keys.
func (c *Client) ListMasterKeys(ctx context.Context) (*MasterKeys, error) {
	var answer MasterKeys
	return &answer, c.get(ctx, "/v1/master-keys", nil, &answer)
}

// AddMasterKey makes a master key.
func (c *Client) AddMasterKey(ctx context.Context) (*MasterKeys, error) {
	var answer MasterKeys
	return &answer, c.do(ctx, http.MethodPost, "/v1/master-keys", "", nil, &answer)
}

// RemoveMasterKey removes a master key that is not used any more.
func (c *Client) RemoveMasterKey(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/master-keys/"+url.PathEscape(id), "", nil, nil)
}

// Reseal seals some secrets under the current master key, or counts them.
func (c *Client) Reseal(ctx context.Context, r ResealRequest) (*Resealed, error) {
	var answer Resealed
	return &answer, c.send(ctx, "/v1/master-keys/reseal", r, &answer)
}

// ListDeliveries gives one page of a company's deliveries, newest first; its
// Next is the Cursor of the page after it.
func (c *Client) ListDeliveries(ctx context.Context, company int64, p ListDeliveriesParams) (*DeliveryPage, error) {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("subscription", strings.Join(p.Subscription, ","))
	set("state", string(p.State))
	set("type", strings.Join(p.Type, ","))
	set("entity", p.Entity)
	set("cursor", p.Cursor)
	if !p.From.IsZero() {
		set("from", p.From.Format(time.RFC3339Nano))
	}
	if !p.To.IsZero() {
		set("to", p.To.Format(time.RFC3339Nano))
	}
	if p.Limit != nil {
		set("limit", strconv.Itoa(*p.Limit))
	}
	var answer DeliveryPage
	return &answer, c.get(ctx, fmt.Sprintf("/v1/companies/%d/deliveries", company), q, &answer)
}

func afterQuery(after int64) url.Values {
	return url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(maxLimit)}}
}

// collect joins the pages of a list.
func collect[T any](page func(after int64) ([]T, int64, error)) ([]T, error) {
	var all []T
	for after := int64(0); ; {
		items, next, err := page(after)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next <= after {
			return all, nil
		}
		after = next
	}
}

func (c *Client) get(ctx context.Context, path string, query url.Values, answer any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, "", nil, answer)
}

// put puts v; a dry run only checks.
func (c *Client) put(ctx context.Context, path string, dryRun bool, v, answer any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if dryRun {
		path += "?dry_run=true"
	}
	return c.do(ctx, http.MethodPut, path, "application/json", body, answer)
}

func (c *Client) send(ctx context.Context, path string, v, answer any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, "application/json", body, answer)
}

// do makes one request; answer nil = none is expected.
func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return &fattorino.Error{Kind: fattorino.Malformed, Msg: "the address of the server is no URL", Fix: "give it as http://host:port", Err: err}
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return &fattorino.Error{
			Kind: fattorino.Unavailable, Msg: "the server at " + request.URL.Host + " does not answer",
			Fix: "check its address, and that it is running", Err: err,
		}
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the server's answer broke off", Err: err}
	}
	if response.StatusCode >= 300 {
		return readProblem(response, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return &fattorino.Error{Msg: "the server's answer is not what was expected: is it Fattorino at this address?", Err: err}
	}
	return nil
}

// readProblem turns an answer that tells of an error back into that error.
func readProblem(response *http.Response, text []byte) error {
	e := &fattorino.Error{Kind: kindOf(response.StatusCode)}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var p Problem
	isProblem := strings.HasPrefix(response.Header.Get("Content-Type"), problemType)
	if !isProblem || json.Unmarshal(text, &p) != nil || p.Detail == "" {
		e.Msg = fmt.Sprintf("the server answered with status %d and no explanation", response.StatusCode)
		e.Fix = "check that what answers at this address is Fattorino"
		return e
	}
	e.Msg, e.Code, e.Fix = p.Detail, p.Code, p.Fix
	for _, f := range p.Errors {
		e.Faults = append(e.Faults, fattorino.Fault{Field: f.Field, Msg: f.Detail})
	}
	return e
}
