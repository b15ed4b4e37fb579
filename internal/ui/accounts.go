package ui

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Documents is where users and sessions are read.
type Documents interface {
	Document(ctx context.Context, kind string, company int64, id string) (*fattorino.Document, error)
	Documents(ctx context.Context, kind string, company int64, after string, limit int) ([]*fattorino.Document, error)
	DueDocuments(ctx context.Context, kind string, limit int) ([]*fattorino.Document, error)
}

// Updater is how they are written.
type Updater interface {
	Update(ctx context.Context, f func(fattorino.Tx) error) error
}

// The kinds of document. They belong to no company.
const (
	userKind    = "ui_user"
	sessionKind = "ui_session"
)

// Bounds of users.
const (
	maxUsers     = 1000
	minPassword  = 12  // characters (NIST SP 800-63B-4 asks for 15 where it stands alone, for 8 at the least)
	maxPassword  = 512 // bytes
	maxUserName  = 64  // bytes
	sessionHours = 12
)

// A user is someone with a name and a password.
type user struct {
	Name       string    `json:"name"`
	Role       role      `json:"role"`
	Password   string    `json:"password"`    // as hashPassword gives it
	PasswordAt time.Time `json:"password_at"` // when it was set; sessions opened before are over
	CreatedAt  time.Time `json:"created_at"`
}

// A session is a browser that is signed in: as a user, with an admin token, or
// as whom an OpenID issuer vouches for.
type session struct {
	User     string    `json:"user,omitempty"`
	Token    []byte    `json:"token,omitempty"` // hash of the admin token
	Person   *person   `json:"person,omitempty"`
	OpenedAt time.Time `json:"opened_at"`
	EndsAt   time.Time `json:"ends_at"`
}

// accounts keeps users and sessions in the store's documents.
type accounts struct {
	read  Documents
	write Updater
}

// user finds a user; NotFound where there is none.
func (a *accounts) user(ctx context.Context, name string) (*user, error) {
	d, err := a.read.Document(ctx, userKind, 0, strings.ToLower(name))
	if err != nil {
		return nil, err
	}
	return decode[user](d)
}

func decode[T any](d *fattorino.Document) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(d.Body, v); err != nil {
		return nil, fmt.Errorf("%s %s: %w", d.Kind, d.ID, err)
	}
	return v, nil
}

// users gives all of them, by name.
func (a *accounts) users(ctx context.Context) ([]*user, error) {
	documents, err := a.read.Documents(ctx, userKind, 0, "", maxUsers)
	if err != nil {
		return nil, err
	}
	list := make([]*user, 0, len(documents))
	for _, d := range documents {
		u, err := decode[user](d)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

// addUser makes a user; Conflict where the name is taken.
func (a *accounts) addUser(ctx context.Context, name, password string, r role) error {
	if err := checkUser(name, password); err != nil {
		return err
	}
	now := time.Now()
	u := &user{Name: name, Role: r, Password: hashPassword(password), PasswordAt: now, CreatedAt: now}
	return a.write.Update(ctx, func(tx fattorino.Tx) error {
		_, err := tx.Document(userKind, 0, strings.ToLower(name))
		switch {
		case err == nil:
			return &fattorino.Error{
				Kind: fattorino.Conflict, Msg: fmt.Sprintf("there is a user %s already", name),
				Faults: []fattorino.Fault{{Field: "name", Msg: "there is a user of this name already"}},
			}
		case fattorino.KindOf(err) != fattorino.NotFound:
			return err
		}
		return putUser(tx, u)
	})
}

// changeUser gives a user another role, and another password where it is not
// empty.
func (a *accounts) changeUser(ctx context.Context, name, password string, r role) error {
	if password != "" {
		if err := checkUser(name, password); err != nil {
			return err
		}
		password = hashPassword(password)
	}
	return a.write.Update(ctx, func(tx fattorino.Tx) error {
		d, err := tx.Document(userKind, 0, strings.ToLower(name))
		if err != nil {
			return err
		}
		u, err := decode[user](d)
		if err != nil {
			return err
		}
		u.Role = r
		if password != "" {
			u.Password, u.PasswordAt = password, time.Now()
		}
		return putUser(tx, u)
	})
}

func (a *accounts) deleteUser(ctx context.Context, name string) error {
	return a.write.Update(ctx, func(tx fattorino.Tx) error {
		return tx.DeleteDocument(userKind, 0, strings.ToLower(name))
	})
}

func putUser(tx fattorino.Tx, u *user) error {
	body, err := json.Marshal(u) //nolint:gosec // of the password there is a hash
	if err != nil {
		return err
	}
	return tx.PutDocument(&fattorino.Document{Kind: userKind, ID: strings.ToLower(u.Name), Body: body})
}

func checkUser(name, password string) error {
	plain := func(r rune) bool {
		return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || strings.ContainsRune("._@+-", r)
	}
	if name == "" || len(name) > maxUserName || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return fattorino.InvalidField("name", "a name has 1 to %d letters, digits and . _ @ + -", maxUserName)
	}
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return fattorino.InvalidField("password", "a password has %d characters or more", minPassword)
	}
	return nil
}

// openSession keeps a session and gives the secret that its browser shows. It
// sweeps out sessions that have ended.
func (a *accounts) openSession(ctx context.Context, s session) (secret string, err error) {
	secret = rand.Text() + rand.Text() // 256 bits and more
	body, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	ended, err := a.read.DueDocuments(ctx, sessionKind, 100)
	if err != nil {
		return "", err
	}
	ended = slices.DeleteFunc(ended, func(d *fattorino.Document) bool { return d.DueAt.After(s.OpenedAt) })
	return secret, a.write.Update(ctx, func(tx fattorino.Tx) error {
		for _, d := range ended {
			if err := tx.DeleteDocument(sessionKind, 0, d.ID); err != nil {
				return err
			}
		}
		return tx.PutDocument(&fattorino.Document{Kind: sessionKind, ID: sessionID(secret), DueAt: s.EndsAt, Body: body})
	})
}

// session finds the session of a secret; NotFound where there is none, or none
// any more.
func (a *accounts) session(ctx context.Context, secret string, now time.Time) (*session, error) {
	d, err := a.read.Document(ctx, sessionKind, 0, sessionID(secret))
	if err != nil {
		return nil, err
	}
	s, err := decode[session](d)
	if err == nil && !now.Before(s.EndsAt) {
		return nil, fattorino.Errorf(fattorino.NotFound, "the session is over")
	}
	return s, err
}

func (a *accounts) closeSession(ctx context.Context, secret string) error {
	return a.write.Update(ctx, func(tx fattorino.Tx) error {
		return tx.DeleteDocument(sessionKind, 0, sessionID(secret))
	})
}

// sessionID is the form in which a session's secret is kept: its hash.
func sessionID(secret string) string { return hex.EncodeToString(fattorino.HashSecret(secret)) }
