package app

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/ui"
)

// users are those of the management UI, as the API knows them.
type users struct{ kept *ui.Users }

var _ api.Users = users{}

// List implements [api.Users].
func (u users) List(ctx context.Context) ([]api.User, error) {
	kept, err := u.kept.List(ctx)
	list := make([]api.User, len(kept))
	for i, one := range kept {
		list[i] = shownUser(one)
	}
	return list, err
}

// Add implements [api.Users].
func (u users) Add(ctx context.Context, n api.NewUser) (api.User, error) {
	made, err := u.kept.Add(ctx, n.Name, string(n.Role), n.Password)
	return shownUser(made), err
}

// Change implements [api.Users].
func (u users) Change(ctx context.Context, name string, c api.UserChange) (api.User, error) {
	changed, err := u.kept.Change(ctx, name, string(c.Role), c.Password)
	return shownUser(changed), err
}

// Delete implements [api.Users].
func (u users) Delete(ctx context.Context, name string) error { return u.kept.Delete(ctx, name) }

func shownUser(u ui.User) api.User {
	return api.User{Name: u.Name, Role: api.UserRole(u.Role), CreatedAt: u.CreatedAt.UTC(), PasswordAt: u.PasswordAt.UTC()}
}
