package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The kinds of document. They belong to no company.
const (
	binKind     = "inspect_bin"
	requestKind = "inspect_request"
)

// maxName bounds the name of a bin, in bytes.
const maxName = 100

// A Bin is a URL that records what is sent to it.
type Bin struct {
	ID        string    `json:"id"` // that nobody can guess
	Owner     string    `json:"owner"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	EndsAt    time.Time `json:"ends_at"` // when it is deleted, with all it has recorded
	Answer    Answer    `json:"answer"`
	Keys      []Key     `json:"keys,omitempty"` // to check signatures with

	First int64 `json:"first"` // number of the oldest request that is kept
	Next  int64 `json:"next"`  // number that the next one gets
	Size  int64 `json:"size"`  // bytes of the requests that are kept

	Whole time.Time `json:"whole,omitzero"` // when it takes as many at once again as it ever does
}

// take takes one of the requests that the bin takes now; TooMany where there is
// none.
func (b *Bin) take(now time.Time) error {
	then, wait := pace().Take(b.Whole, now)
	if wait > 0 {
		return &fattorino.Error{Kind: fattorino.TooMany, Msg: "more comes in than this bin takes", Fix: "send less at a time", RetryAfter: wait}
	}
	b.Whole = then
	return nil
}

// Kept is how many requests there are.
func (b *Bin) Kept() int64 { return b.Next - b.First }

// A Request is one as it was received.
type Request struct {
	Number int64              `json:"number"`
	At     time.Time          `json:"at"`      // when its header had come
	ReadIn time.Duration      `json:"read_in"` // until its body had
	Remote string             `json:"remote"`  // address that it came from
	Method string             `json:"method"`
	URL    string             `json:"url"`  // as it was addressed
	Path   string             `json:"path"` // below the bin's URL, as "/erp"; may be empty
	Query  string             `json:"query,omitempty"`
	Proto  string             `json:"proto"`
	Header []fattorino.Header `json:"header"`
	Body   []byte             `json:"body,omitempty"`
	Cut    bool               `json:"cut,omitempty"` // it had more body than is kept
	Given  Given              `json:"given"`
	Token  *Check             `json:"token,omitempty"` // of the token that it carried, checked as it came; nil = it had none
}

// Given is what a request was answered.
type Given struct {
	Why    string             `json:"why"` // proof, failed, set, too_large
	Status int                `json:"status"`
	Header []fattorino.Header `json:"header,omitempty"`
	Body   string             `json:"body,omitempty"`
	Delay  time.Duration      `json:"delay,omitempty"` // before it was sent
	Left   int                `json:"left,omitempty"`  // of those that fail on purpose, how many more will
}

// Why a request was answered as it was.
const (
	Proof    = "proof"     // its challenge was answered
	Failed   = "failed"    // it was one of those to fail
	Set      = "set"       // as the owner has set
	TooLarge = "too_large" // its body was too long
)

func requestID(bin string, number int64) string { return fmt.Sprintf("%s/%012d", bin, number) }

func decode[T any](d *fattorino.Document) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(d.Body, v); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Kind, err)
	}
	return v, nil
}

// find gives a bin that is in force.
func (b *Bins) find(ctx context.Context, id string, now time.Time) (*Bin, error) {
	d, err := b.Documents.Document(ctx, binKind, 0, id)
	return inForce(d, err, now)
}

// ownBin is find in a transaction, for the owner.
func ownBin(tx fattorino.Tx, owner, id string) (*Bin, error) {
	d, err := tx.Document(binKind, 0, id)
	bin, err := inForce(d, err, time.Now())
	if err == nil && bin.Owner != owner {
		return nil, noBin()
	}
	return bin, err
}

func inForce(d *fattorino.Document, err error, now time.Time) (*Bin, error) {
	if fattorino.KindOf(err) == fattorino.NotFound && err != nil {
		return nil, noBin()
	}
	if err != nil {
		return nil, err
	}
	bin, err := decode[Bin](d)
	if err == nil && !now.Before(bin.EndsAt) {
		return nil, noBin()
	}
	return bin, err
}

// all gives the bins in force.
func (b *Bins) all(ctx context.Context, now time.Time) ([]*Bin, error) {
	list, err := b.Documents.Documents(ctx, binKind, 0, "", maxBins)
	if err != nil {
		return nil, err
	}
	bins := make([]*Bin, 0, len(list))
	for _, d := range list {
		bin, err := decode[Bin](d)
		if err != nil {
			return nil, err
		}
		bins = append(bins, bin)
	}
	return slices.DeleteFunc(bins, func(bin *Bin) bool { return !now.Before(bin.EndsAt) }), nil
}

func putBin(tx fattorino.Tx, bin *Bin) error {
	body, err := json.Marshal(bin)
	if err != nil {
		return err
	}
	return tx.PutDocument(&fattorino.Document{Kind: binKind, ID: bin.ID, DueAt: bin.EndsAt, Body: body})
}

// putRequest writes a request under the bin's next number. The oldest give way
// to it.
func putRequest(tx fattorino.Tx, bin *Bin, r *Request) error {
	r.Number = bin.Next
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	bin.Next++
	bin.Size += int64(len(body))
	for bin.Kept() > maxKept || (bin.Size > maxKeptSize && bin.Kept() > 1) {
		if err := dropOldest(tx, bin); err != nil {
			return err
		}
	}
	return tx.PutDocument(&fattorino.Document{Kind: requestKind, ID: requestID(bin.ID, r.Number), Body: body})
}

func dropOldest(tx fattorino.Tx, bin *Bin) error {
	id := requestID(bin.ID, bin.First)
	d, err := tx.Document(requestKind, 0, id)
	if err != nil {
		return err
	}
	bin.First++
	bin.Size -= int64(len(d.Body))
	return tx.DeleteDocument(requestKind, 0, id)
}

func dropRequests(tx fattorino.Tx, bin *Bin) error {
	for n := bin.First; n < bin.Next; n++ {
		if err := tx.DeleteDocument(requestKind, 0, requestID(bin.ID, n)); err != nil {
			return err
		}
	}
	return nil
}

func deleteBin(tx fattorino.Tx, bin *Bin) error {
	if err := dropRequests(tx, bin); err != nil {
		return err
	}
	return tx.DeleteDocument(binKind, 0, bin.ID)
}
