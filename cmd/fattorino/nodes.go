package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// nodesCommand shows who serves what.
type nodesCommand struct{ clientFlags }

// Help is what --help adds.
func (*nodesCommand) Help() string {
	return `Several processes can serve one PostgreSQL database, each some of its parts. The one that
answers is marked with a star.

Example:

    fattorino nodes`
}

// Run prints the nodes.
func (c *nodesCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	list, err := client.ListNodes(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"", "NODE", "SINCE", "SERVES", "PARTS"}}
	for _, n := range list.Nodes {
		mark, serves := "", fmt.Sprintf("%d of %d", len(n.Parts), list.Parts)
		if n.This {
			mark = "*"
		}
		if n.Leaving {
			serves += ", leaving"
		}
		rows = append(rows, []string{mark, n.Name, moment(n.Since), serves, spans(n.Parts)})
	}
	return table(env.stdout, rows)
}

// spans writes numbers, which ascend, as "0-5 8 10-12".
func spans(numbers []int) string {
	var all []string
	for i := 0; i < len(numbers); {
		first := numbers[i]
		last := first
		for i++; i < len(numbers) && numbers[i] == last+1; i++ {
			last++
		}
		if last == first {
			all = append(all, strconv.Itoa(first))
			continue
		}
		all = append(all, fmt.Sprintf("%d-%d", first, last))
	}
	return strings.Join(all, " ")
}
