package ui

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A User is someone with a name and a password, as other doors may see them.
type User struct {
	Name       string
	Role       string // viewer, operator, admin
	CreatedAt  time.Time
	PasswordAt time.Time // when the password was set
}

// Users are the users of the pages, for other doors: the first one can be made
// before anybody has signed in.
type Users struct {
	accounts *accounts
	throttle *throttle
}

// NewUsers gives the users that the store keeps.
func NewUsers(read Documents, write Updater) *Users {
	return &Users{&accounts{read: read, write: write}, newThrottle(write)}
}

// List gives all users, by name.
func (u *Users) List(ctx context.Context) ([]User, error) {
	kept, err := u.accounts.users(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]User, len(kept))
	for i, account := range kept {
		list[i] = account.shown()
	}
	return list, nil
}

// Add makes a user. It fails with Invalid, and with Conflict where the name is
// taken.
func (u *Users) Add(ctx context.Context, name, roleName, password string) (User, error) {
	chosen, err := parseRole(roleName)
	if err != nil {
		return User{}, err
	}
	u.throttle.hash(func() { err = u.accounts.addUser(ctx, name, password, chosen) })
	if err != nil {
		return User{}, err
	}
	return u.user(ctx, name)
}

// Change gives a user another role, password or both; what is empty stays. It
// fails with Invalid and NotFound.
func (u *Users) Change(ctx context.Context, name, roleName, password string) (User, error) {
	account, err := u.accounts.user(ctx, name)
	if err != nil {
		return User{}, noSuchUser(err)
	}
	chosen := account.Role
	if roleName != "" {
		if chosen, err = parseRole(roleName); err != nil {
			return User{}, err
		}
	}
	u.throttle.hash(func() { err = u.accounts.changeUser(ctx, name, password, chosen) })
	if err != nil {
		return User{}, noSuchUser(err)
	}
	return u.user(ctx, name)
}

// Delete removes a user, whose sessions are over. It fails with NotFound.
func (u *Users) Delete(ctx context.Context, name string) error {
	if _, err := u.accounts.user(ctx, name); err != nil {
		return noSuchUser(err)
	}
	return u.accounts.deleteUser(ctx, name)
}

func (u *Users) user(ctx context.Context, name string) (User, error) {
	account, err := u.accounts.user(ctx, name)
	if err != nil {
		return User{}, noSuchUser(err)
	}
	return account.shown(), nil
}

// shown leaves out the password's hash.
func (u *user) shown() User {
	return User{Name: u.Name, Role: u.Role.String(), CreatedAt: u.CreatedAt, PasswordAt: u.PasswordAt}
}

func noSuchUser(err error) error {
	if fattorino.KindOf(err) == fattorino.NotFound {
		return &fattorino.Error{Kind: fattorino.NotFound, Msg: "there is no such user", Fix: "list the users to see their names"}
	}
	return err
}
