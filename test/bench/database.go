package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// What cases with a database measure besides.
const (
	besideSQLite = "÷ SQLite"
	besideOne    = "÷ one process"
	databaseCPU  = "database CPU µs/delivery"
)

// onPostgres is the same on PostgreSQL.
func (t throughput) onPostgres() throughput {
	t.nodes = 1
	return t
}

// companiesOfNodes is how many companies a load for several processes speaks
// of: each serves some of them, and one alone would serve one.
const companiesOfNodes = 64

// onNodes is the same on so many processes.
func (t throughput) onNodes(n int) throughput {
	t.nodes, t.companies = n, companiesOfNodes
	return t
}

// postgresCase is a case of A or B on PostgreSQL, beside the same on SQLite.
func postgresCase(name string, t throughput) benchCase {
	c := throughputCase(name, t.onPostgres(), shown{besideSQLite, "≥", 0.5}, shown{figure: cpuPerDelivery}, shown{figure: databaseCPU})
	c.nodes = 1
	return c
}

// nodesCase is one on so many processes.
func nodesCase(name string, t throughput, n int) benchCase {
	c := throughputCase(fmt.Sprint(name, "-", n), t.onNodes(n), shown{figure: besideOne}, shown{figure: cpuPerDelivery}, shown{figure: databaseCPU})
	c.nodes = n
	return c
}

// compare sets the rate beside that of the same load, measured in this round or
// now: on SQLite, or with one process.
func (t throughput) compare(ctx context.Context, b *bench, f figures) error {
	other, figure := t, besideOne
	switch {
	case t.nodes == 0:
		return nil
	case t.companies == 0:
		other.nodes, figure = 0, besideSQLite
	default:
		other.nodes = 1
	}
	if b.throughputs[other] == 0 { // it is not among the cases of this run
		if _, err := other.run(ctx, b); err != nil {
			return err
		}
	}
	f[figure] = f[delivered] / b.throughputs[other]
	return nil
}

// startOnPostgres starts so many servers on a new cluster, whose commits are
// synced to the disk like those of SQLite. The first stands for all: see
// server.others.
func (b *bench) startOnPostgres(ctx context.Context, processes int, args ...string) (*server, error) {
	cluster, err := pgcluster.New(ctx, pgcluster.Options{Durable: true, Settings: map[string]string{"shared_buffers": "512MB", "max_connections": "100"}})
	if err != nil {
		return nil, err
	}
	first, err := b.start(ctx, append(args, "--database", cluster.URL("postgres"))...)
	if err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	first.database = cluster
	for err == nil && len(first.others) < processes-1 {
		err = first.join(ctx, b)
	}
	if err == nil {
		err = first.awaitShares(ctx)
	}
	if err != nil {
		first.stop()
		return nil, err
	}
	return first, nil
}

// awaitShares waits until each of several servers serves its share of the
// parts, as /readyz tells.
func (s *server) awaitShares(ctx context.Context) error {
	for _, one := range s.others {
		for {
			text, err := one.readiness()
			var held, all int
			n, _ := fmt.Sscanf(text, "ready: %d of %d parts", &held, &all)
			if err != nil {
				return err
			}
			if n == 2 && held >= all/(1+len(s.others)) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("a server does not get its share of the work: %s", text)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// join starts one more server on the database, with the same master keys.
func (s *server) join(ctx context.Context, b *bench) error {
	other, err := b.prepare(s.given...)
	if err != nil {
		return err
	}
	s.others = append(s.others, other)
	keys, err := os.ReadFile(filepath.Join(s.dir, "master.keys"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(other.dir, "master.keys"), keys, 0o600); err != nil {
		return err
	}
	return other.launch(ctx)
}

// databaseTime gives the processor time that the database has taken, its
// connections and what it does by the side included.
func (s *server) databaseTime() time.Duration {
	if s.database == nil {
		return 0
	}
	pid, err := s.database.PID()
	if err != nil {
		return 0
	}
	return familyCPU(pid)
}
