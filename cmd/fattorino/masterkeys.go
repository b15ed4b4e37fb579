package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// rotateMasterCommand puts a new master key in the place of the current one.
type rotateMasterCommand struct {
	clientFlags
	DryRun bool `help:"Only show which secrets are sealed under which master key."`
}

// Help is what --help adds.
func (*rotateMasterCommand) Help() string {
	return `Makes a new master key and seals every secret in the database under it, a hundred
subscriptions at a time, while deliveries go on. It may be broken off at any time: run
again it goes on where it was, and makes no further key before all is sealed under the
current one.

The keys before it stay, for backups of the database need them. Where the keys come from
FATTORINO_MASTER_KEYS, put a new one first there and start the server again before.

Example:

    fattorino keys rotate-master --dry-run
    fattorino keys rotate-master`
}

// Run counts, makes a key where none is under way, and seals anew.
func (c *rotateMasterCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	keys, err := client.ListMasterKeys(ctx)
	if err != nil {
		return err
	}
	before, err := reseal(ctx, client, true, func(int) {})
	if err != nil {
		return err
	}
	if c.DryRun {
		return printMasterKeys(env, keys.MasterKeys, before)
	}
	if total, current := sum(before), before[keys.MasterKeys[0]]; current < total {
		_, _ = fmt.Fprintf(env.stdout, "%d of %d secrets are not under the current master key: going on with it\n", total-current, total)
	} else if keys, err = client.AddMasterKey(ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(env.stdout, "the master key is %s\n", keys.MasterKeys[0])
	_, err = reseal(ctx, client, false, func(done int) { _, _ = fmt.Fprintf(env.stdout, "sealed anew: %d\n", done) })
	if err != nil {
		return err
	}
	after, err := reseal(ctx, client, true, func(int) {}) // so that what came in meanwhile is seen too
	if err != nil {
		return err
	}
	return reportRotation(env, keys.MasterKeys, after)
}

// reportRotation says what is sealed under which key, and what is left to do.
func reportRotation(env *environment, keys []string, found map[string]int) error {
	if err := printMasterKeys(env, keys, found); err != nil {
		return err
	}
	var unused []string
	for _, key := range keys[1:] {
		if found[key] == 0 {
			unused = append(unused, "\n    fattorino keys remove-master "+key)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(env.stdout, "\nOnce no backup of the database needs them, remove those that are not used:"+strings.Join(unused, ""))
	return err
}

// reseal seals everything anew, or only counts, and gives how much it found
// under which master key.
func reseal(ctx context.Context, client *api.Client, dryRun bool, progress func(done int)) (map[string]int, error) {
	found, done := map[string]int{}, 0
	for after := int64(0); ; {
		page, err := client.Reseal(ctx, api.ResealRequest{After: after, DryRun: dryRun})
		if err != nil {
			return nil, err
		}
		for _, f := range page.Found {
			found[f.MasterKey] += f.Secrets
		}
		if done += page.Resealed; page.Resealed > 0 {
			progress(done)
		}
		if after = page.Next; after == 0 {
			return found, nil
		}
	}
}

func sum(found map[string]int) (total int) {
	for n := range maps.Values(found) {
		total += n
	}
	return total
}

// printMasterKeys shows the keys, and those that are missing and needed.
func printMasterKeys(env *environment, keys []string, found map[string]int) error {
	rows := [][]string{{"MASTER KEY", "SECRETS", ""}}
	for i, key := range keys {
		note := ""
		if i == 0 {
			note = "current"
		}
		rows = append(rows, []string{key, strconv.Itoa(found[key]), note})
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if !slices.Contains(keys, key) {
			rows = append(rows, []string{key, strconv.Itoa(found[key]), "missing: put it back"})
		}
	}
	return table(env.stdout, rows)
}

// removeMasterCommand removes a master key that is not used any more.
type removeMasterCommand struct {
	clientFlags
	ID string `arg:"" help:"The key's id, as \"fattorino keys rotate-master --dry-run\" shows it."`
}

// Help is what --help adds.
func (*removeMasterCommand) Help() string {
	return `A key under which anything is sealed is not removed. Backups of the database from before
the rotation can be read with it alone: keep a copy of the file of master keys with them.

Example:

    fattorino keys remove-master 2c26b46b`
}

// Run removes the key.
func (c *removeMasterCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if err := client.RemoveMasterKey(ctx, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "the master key %s is removed\n", c.ID)
	return err
}
