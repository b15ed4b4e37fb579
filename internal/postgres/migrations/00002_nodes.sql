-- Several nodes share the work: each serves the parts that it has leased, and
-- any of them writes to any part.

-- +goose Up

-- The nodes that live. The row of one is renewed by it all the while, and is
-- deleted by the others when it was not: from then on what it writes as the
-- owner of its parts is refused (check_node), whatever it believes.
CREATE SEQUENCE node_numbers; -- a number is given once: it is the epoch of a node's leases
CREATE TABLE nodes (
    id      bigint      PRIMARY KEY,
    name    text        NOT NULL, -- for people
    until   timestamptz NOT NULL, -- by the database's clock
    leaving boolean     NOT NULL DEFAULT false, -- it gives its parts back, and takes none
    since   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

-- Who serves which part; null or a node that is not there = nobody.
CREATE TABLE leases (
    part smallint PRIMARY KEY,
    node bigint
) WITH (fillfactor = 50);
INSERT INTO leases SELECT part FROM parts;

-- check_node fails where the node is not among those that live, and keeps it
-- among them until the transaction ends.
-- +goose StatementBegin
CREATE FUNCTION check_node(node bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM nodes WHERE id = node FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the node has lost its leases' USING ERRCODE = 'FT001';
    END IF;
END $$;
-- +goose StatementEnd

-- What each node knows in memory is told apart from what the others have
-- written since by numbers that grow.
ALTER TABLE parts ADD COLUMN resent bigint NOT NULL DEFAULT 0; -- grows when a use case sets a delivery on its way
ALTER TABLE subscriptions ADD COLUMN version bigint NOT NULL DEFAULT 0; -- of its part, when it was last changed
CREATE INDEX subscriptions_version ON subscriptions (part, version);
ALTER TABLE installation ADD COLUMN version bigint NOT NULL DEFAULT 0; -- grows with what belongs to no company: tokens, keys, types

-- Two nodes that have each attempted a delivery for the first time have both
-- done so.
ALTER TABLE attempts ADD COLUMN epoch bigint NOT NULL DEFAULT 0; -- of the lease it was made under
ALTER TABLE attempts DROP CONSTRAINT attempts_pkey;
ALTER TABLE attempts ADD PRIMARY KEY (part, delivery, number, epoch);

-- +goose Down
ALTER TABLE attempts DROP CONSTRAINT attempts_pkey;
ALTER TABLE attempts DROP COLUMN epoch;
ALTER TABLE attempts ADD PRIMARY KEY (part, delivery, number);
ALTER TABLE installation DROP COLUMN version;
DROP INDEX subscriptions_version;
ALTER TABLE subscriptions DROP COLUMN version;
ALTER TABLE parts DROP COLUMN resent;
DROP FUNCTION check_node;
DROP TABLE leases, nodes;
DROP SEQUENCE node_numbers;
