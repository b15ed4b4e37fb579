package api

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

// The bounds of a page of requests, as openapi.yaml states them.
const (
	defaultBinLimit = 50
	maxBinLimit     = 100
)

// binOwner gives to whom the caller's bins belong: to the token, as in the pages
// for who signs in with it.
func binOwner(r *http.Request) (string, error) {
	caller := callerOf(r)
	if caller.Kind == fattorino.APIToken || caller.Kind == fattorino.AdminToken {
		return "token/" + hex.EncodeToString(caller.Hash), nil
	}
	return "", &fattorino.Error{
		Kind: fattorino.Denied, Code: "NO_PERMISSION",
		Msg: "a token of kind \"" + string(caller.Kind) + "\" has no bins", Fix: `use a token of kind "api"`,
	}
}

// asOwner runs one operation for the owner of bins.
func (s *server) asOwner(w http.ResponseWriter, r *http.Request, f func(owner string) error) {
	s.do(w, r, func() error {
		owner, err := binOwner(r)
		if err != nil {
			return err
		}
		return f(owner)
	})
}

// ListBins lists the bins of the token.
func (s *server) ListBins(w http.ResponseWriter, r *http.Request) {
	s.asOwner(w, r, func(owner string) error {
		bins, err := s.Bins.List(r.Context(), owner)
		if err != nil {
			return err
		}
		list := BinList{Bins: make([]Bin, 0, len(bins))}
		for _, bin := range bins {
			list.Bins = append(list.Bins, s.showBin(r, bin))
		}
		return httpjson.Write(w, http.StatusOK, list)
	})
}

// CreateBin makes a bin.
func (s *server) CreateBin(w http.ResponseWriter, r *http.Request) {
	s.asOwner(w, r, func(owner string) error {
		var body NewBin
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		bin, err := s.Bins.Create(r.Context(), owner, body.Name)
		if err != nil {
			return err
		}
		if err := s.noteBin(r, "bin.make", bin.ID); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusCreated, s.showBin(r, bin))
	})
}

// noteBin writes into the audit what was done with a bin. It is named by the
// beginning of its id, for who knows the whole of it can send there.
func (s *server) noteBin(r *http.Request, action, id string) error {
	return s.note(r, action, 0, "bin/"+id[:min(len(id), 8)]+"…")
}

// GetBin shows a bin.
func (s *server) GetBin(w http.ResponseWriter, r *http.Request, id BinID) {
	s.asOwner(w, r, func(owner string) error { return s.writeBin(w, r, owner, id) })
}

func (s *server) writeBin(w http.ResponseWriter, r *http.Request, owner, id string) error {
	bin, err := s.Bins.Bin(r.Context(), owner, id)
	if err != nil {
		return err
	}
	return httpjson.Write(w, http.StatusOK, s.showBin(r, bin))
}

// DeleteBin deletes a bin with all it has recorded.
func (s *server) DeleteBin(w http.ResponseWriter, r *http.Request, id BinID) {
	s.asOwner(w, r, func(owner string) error {
		if err := s.Bins.Delete(r.Context(), owner, id); err != nil {
			return err
		}
		if err := s.noteBin(r, "bin.delete", id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// ClearBin deletes what a bin has recorded.
func (s *server) ClearBin(w http.ResponseWriter, r *http.Request, id BinID) {
	s.asOwner(w, r, func(owner string) error {
		if err := s.Bins.Clear(r.Context(), owner, id); err != nil {
			return err
		}
		if err := s.noteBin(r, "bin.clear", id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// SetBinAnswer says how a bin answers from now on.
func (s *server) SetBinAnswer(w http.ResponseWriter, r *http.Request, id BinID) {
	s.asOwner(w, r, func(owner string) error {
		var body BinAnswer
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		if err := s.Bins.SetAnswer(r.Context(), owner, id, body.answer()); err != nil {
			return err
		}
		if err := s.noteBin(r, "bin.answer", id); err != nil {
			return err
		}
		return s.writeBin(w, r, owner, id)
	})
}

// answer gives what is asked for, and where nothing is said that of a new bin.
func (b *BinAnswer) answer() inspect.Answer {
	a := inspect.Answer{Proves: true, Status: http.StatusOK, FailStatus: http.StatusInternalServerError, Body: b.Body, Fail: b.Fail}
	a.Delay = time.Duration(b.Delay * float64(time.Second))
	if b.Proves != nil {
		a.Proves = *b.Proves
	}
	if b.Status != nil {
		a.Status = *b.Status
	}
	if b.FailStatus != nil {
		a.FailStatus = *b.FailStatus
	}
	for _, h := range b.Headers {
		a.Header = append(a.Header, fattorino.Header{Name: h.Name, Value: h.Value})
	}
	return a
}

// ListBinRequests lists what has arrived at a bin.
func (s *server) ListBinRequests(w http.ResponseWriter, r *http.Request, id BinID, params ListBinRequestsParams) {
	s.asOwner(w, r, func(owner string) error {
		limit := defaultBinLimit
		if params.Limit != nil {
			limit = *params.Limit
		}
		if limit < 1 || limit > maxBinLimit {
			return badParameter("limit", "limit is %d: it must be from 1 to %d", limit, maxBinLimit)
		}
		if params.Before < 0 {
			return badParameter("before", "before is %d: numbers are positive", params.Before)
		}
		bin, err := s.Bins.Bin(r.Context(), owner, id)
		if err != nil {
			return err
		}
		found, err := s.Bins.Requests(r.Context(), bin, params.Before, limit)
		if err != nil {
			return err
		}
		page := BinRequestPage{Requests: make([]BinRequest, 0, len(found))}
		for _, request := range found {
			page.Requests = append(page.Requests, showBinRequest(request))
		}
		if n := len(found); n > 0 && found[n-1].Number > bin.First {
			page.Next = found[n-1].Number
			linkNext(w, r, "before", strconv.FormatInt(page.Next, 10))
		}
		return httpjson.Write(w, http.StatusOK, page)
	})
}

func (s *server) showBin(r *http.Request, bin *inspect.Bin) Bin {
	a := bin.Answer
	return Bin{
		ID: bin.ID, Name: bin.Name, URL: s.Bins.URL(r, bin.ID), Requests: bin.Kept(), CreatedAt: utc(bin.CreatedAt), EndsAt: utc(bin.EndsAt),
		Answer: BinAnswer{
			Proves: &a.Proves, Status: &a.Status, Delay: a.Delay.Seconds(), Headers: showHeader(a.Header), Body: a.Body, Fail: a.Fail, FailStatus: &a.FailStatus,
		},
	}
}

func showBinRequest(q *inspect.Request) BinRequest {
	shown := BinRequest{Number: q.Number, At: utc(q.At), Remote: q.Remote, Method: q.Method, URL: q.URL, Path: q.Path, Headers: showHeader(q.Header), Truncated: q.Cut}
	shown.Body, shown.BodyBase64 = showBody(q.Body, q.Cut)
	shown.Answered.Status, shown.Answered.Why = q.Given.Status, BinRequestAnsweredWhy(q.Given.Why)
	return shown
}
