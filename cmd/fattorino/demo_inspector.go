package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// A demoBin is a bin of the inspector, used by its pages as by a browser.
type demoBin struct {
	client  http.Client // which is signed in
	page    string      // its address in the management UI
	address string      // what is sent to it
}

// openBin signs in with the admin token and makes a bin.
func (d *demo) openBin(ctx context.Context) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	d.bin.client = http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if _, err := d.submit(ctx, "/ui/sign-in", url.Values{"secret": {d.tokens.admin}}); err != nil {
		return "", err
	}
	to, err := d.submit(ctx, "/ui/inspect", url.Values{"name": {"Demo"}})
	if err != nil {
		return "", err
	}
	path, _, _ := strings.Cut(to, "?")
	d.bin.page = d.app.URL() + path
	d.bin.address = d.app.URL() + strings.TrimPrefix(path, "/ui")
	return d.bin.address, nil
}

// submit sends a form of the management UI, and gives the path that it leads on
// to.
func (d *demo) submit(ctx context.Context, path string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.app.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := d.bin.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // it is not read
	if response.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("the form at %s was answered with %d", path, response.StatusCode)
	}
	return response.Header.Get("Location"), nil
}

// subscribeBin subscribes the bin under the native contract, and tells it the
// secret, so that it can check signatures.
func (d *demo) subscribeBin(ctx context.Context) (string, error) {
	var made struct{ State, Secret string }
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: fmt.Sprintf("/v1/companies/%d/subscriptions", demoCompany), token: d.tokens.api,
		body:   map[string]any{"contract": "native", "sink": d.bin.address, "types": []string{paidType}},
		answer: &made, status: http.StatusCreated,
	})
	if err != nil {
		return "", err
	}
	if made.State != "active" {
		return "", fmt.Errorf("the new subscription is %s", made.State)
	}
	_, err = d.submit(ctx, strings.TrimPrefix(d.bin.page, d.app.URL())+"/keys", url.Values{"key": {made.Secret}})
	return "it has answered the challenge by itself", err
}

// shownByBin waits until the bin's page shows the notification, whose signature
// it has checked.
func (d *demo) shownByBin(ctx context.Context) (string, error) {
	const look = 50 * time.Millisecond
	for {
		page, err := d.binPage(ctx)
		if err != nil {
			return "", err
		}
		if strings.Contains(page, paidType) {
			if !strings.Contains(page, "Signature valid") {
				return "", errors.New("the bin does not take the signature for good")
			}
			return "signature valid, at " + d.bin.page, nil
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return "", fmt.Errorf("nothing arrived: %w", ctx.Err())
		}
	}
}

// binPage gives what is on the bin's page.
func (d *demo) binPage(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.bin.page, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := d.bin.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	page, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s was answered with %d", d.bin.page, response.StatusCode)
	}
	return string(page), err
}
