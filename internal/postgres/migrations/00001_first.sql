-- Everything of a company lies in its part (parts.part). In the tables that
-- grow, part leads every key and index, so that a statement of the hot path
-- names one part and is served by one place, and so that the same tables can be
-- distributed by part.
--
-- Times are microseconds since 1970 in UTC, except events.time, which is the
-- producer's text with its offset. Texts that a sink can put its bytes into are
-- bytea, for text must be UTF-8. There are no foreign keys on the tables of the
-- hot path: their rows are written together in one transaction, and a check per
-- row would cost as much as the row.
--
-- Events, deliveries and attempts are partitioned by day. The ids of events and
-- deliveries begin with the day: id = ((day * parts + part) << 32) + number, the
-- day counted from 1970. So an id says which partition and which part it is in,
-- and ids of a part never decrease.

-- +goose Up
CREATE TABLE installation (
    one   boolean  PRIMARY KEY CHECK (one),
    parts smallint NOT NULL, -- how many; fixed when the database is made
    move   text,             -- the move by which a data folder was brought here; null = none was
    moving boolean NOT NULL DEFAULT false -- it has not ended: nobody may serve the database
);

-- How far a move has come, table by table, in one transaction with what it has
-- brought.
CREATE TABLE moves (
    name     text   PRIMARY KEY, -- of what is moved
    after    text   NOT NULL,    -- the place to go on from, as JSON
    count    bigint NOT NULL,    -- rows brought
    checksum bigint NOT NULL     -- of these
);

-- The row of a part is locked by whoever publishes or changes subscriptions in
-- it, until the transaction ends: that gives seq without gaps and ids in the
-- order in which they come to be seen, with any number of nodes. It is updated
-- by every such transaction: the low fillfactor leaves room in the page for its
-- versions, so that they need no entry in the index and go away by themselves.
CREATE TABLE parts (
    part          smallint PRIMARY KEY,
    day           integer  NOT NULL DEFAULT 0, -- of the last id given
    number        bigint   NOT NULL DEFAULT 0, -- of the last id given
    accepted_at   bigint   NOT NULL DEFAULT 0, -- of the last event; never decreases
    version       bigint   NOT NULL DEFAULT 0  -- grows with every change of a subscription
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE companies (
    part       smallint NOT NULL,
    id         bigint   NOT NULL,
    name       text     NOT NULL DEFAULT '',
    last_seq   bigint   NOT NULL DEFAULT 0,
    last_day   integer  NOT NULL DEFAULT 0, -- of its last event
    created_at bigint   NOT NULL,
    PRIMARY KEY (part, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- Where the events of a company are to be looked for: a reader who goes on from
-- a seq finds its day here, and opens no other partition.
CREATE TABLE company_days (
    part      smallint NOT NULL,
    company   bigint   NOT NULL,
    day       integer  NOT NULL,
    first_seq bigint   NOT NULL, -- of its events of the day
    PRIMARY KEY (part, company, day)
);

CREATE TABLE apps (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text   NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE tokens (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text   NOT NULL,
    app        bigint NOT NULL, -- 0 = speaks for no app
    companies  text   NOT NULL, -- JSON array; empty = all
    scopes     text   NOT NULL, -- JSON array
    hash       bytea  NOT NULL UNIQUE,
    hint       text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);

CREATE TABLE keys (
    kid        text   PRIMARY KEY,
    name       text   NOT NULL,
    sealed     bytea  NOT NULL,
    created_at bigint NOT NULL,
    retired_at bigint
);

CREATE TABLE counters (
    name   text   PRIMARY KEY,
    period bigint NOT NULL, -- the start of the window
    count  bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE own_types ( -- what the operator says of event types
    name        text   COLLATE "C" PRIMARY KEY,
    description text   NOT NULL,
    common      text   NOT NULL, -- or empty
    schema      bytea,           -- JSON Schema, byte for byte; null = none
    deprecated  text   NOT NULL, -- or empty
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL
);

CREATE TABLE own_groups (
    name  text COLLATE "C" PRIMARY KEY,
    types text NOT NULL -- JSON array
);

CREATE TABLE documents ( -- what a door keeps for itself
    part    smallint NOT NULL,
    kind    text     NOT NULL,
    company bigint   NOT NULL,
    id      text     COLLATE "C" NOT NULL,
    due_at  bigint, -- null = nothing to do about it
    body    bytea    NOT NULL,
    PRIMARY KEY (part, kind, company, id)
);
CREATE INDEX documents_due ON documents (part, kind, due_at) WHERE due_at IS NOT NULL;

CREATE SEQUENCE subscription_numbers;

CREATE TABLE subscriptions (
    part           smallint NOT NULL,
    id             bigint   NOT NULL, -- number * parts + part
    company        bigint   NOT NULL,
    app            bigint   NOT NULL,
    contract       text     NOT NULL,
    sink           text     NOT NULL,
    types          text     NOT NULL, -- JSON array
    format         text     NOT NULL,
    filters        bytea    NOT NULL, -- JSON array, or empty
    options        text     NOT NULL, -- JSON object
    secrets        text     NOT NULL, -- JSON array; the secrets in it are encrypted
    state          text     NOT NULL,
    before         text     NOT NULL, -- of a deleted one, the state it was deleted in; or empty
    handshake      text     NOT NULL, -- JSON object
    first_error_at bigint,
    expires_at     bigint,
    created_at     bigint   NOT NULL,
    updated_at     bigint   NOT NULL,
    sought         text     NOT NULL, -- what it is searched in: its name and the host of its sink
    PRIMARY KEY (part, id)
);
CREATE INDEX subscriptions_company ON subscriptions (part, company, app);
-- The operator's list goes along this one, whatever it is narrowed to: a search
-- that finds little reads these few bytes of each subscription, and no row.
CREATE INDEX subscriptions_live ON subscriptions (part, id) INCLUDE (app, contract, state, sought)
    WHERE state IN ('unverified', 'active', 'disabled');

-- Subscriptions that were brought here from a data folder keep their ids, which
-- tell nothing of the part. It is read once, and never grows.
CREATE TABLE moved_subscriptions (
    id   bigint   PRIMARY KEY,
    part smallint NOT NULL
);

-- How far each lane has settled: a hint for the next start.
CREATE TABLE lanes (
    part         smallint NOT NULL,
    subscription bigint   NOT NULL,
    settled      bigint   NOT NULL,
    PRIMARY KEY (part, subscription)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- What became of deliveries, by the minute, and of older ones by the hour.
CREATE TABLE tallies (
    part         smallint NOT NULL,
    company      bigint   NOT NULL,
    subscription bigint   NOT NULL, -- 0 = all of the company
    at           bigint   NOT NULL, -- when the minute or hour begins
    hour         smallint NOT NULL, -- 0 of a minute, 1 of an hour
    delivered    bigint   NOT NULL,
    failed       bigint   NOT NULL, -- attempts
    discarded    bigint   NOT NULL,
    -- Attempts by how long the answer took: up to 5 ms, 10 ms and so on; see
    -- LatencyBounds.
    t0 bigint NOT NULL, t1 bigint NOT NULL, t2 bigint NOT NULL, t3 bigint NOT NULL,
    t4 bigint NOT NULL, t5 bigint NOT NULL, t6 bigint NOT NULL, t7 bigint NOT NULL,
    t8 bigint NOT NULL, t9 bigint NOT NULL, t10 bigint NOT NULL, t11 bigint NOT NULL,
    PRIMARY KEY (part, company, subscription, at, hour)
) WITH (fillfactor = 50);
CREATE INDEX tallies_at ON tallies (part, hour, at);

CREATE TABLE pulses ( -- how a subscription's attempts went of late
    part         smallint NOT NULL,
    subscription bigint   NOT NULL,
    succeeded_at bigint,
    failed_at    bigint,
    in_a_row     bigint   NOT NULL, -- failed since the last success
    PRIMARY KEY (part, subscription)
) WITH (fillfactor = 50);

CREATE TABLE events (
    part            smallint NOT NULL,
    key             bigint   NOT NULL,
    company         bigint   NOT NULL,
    seq             bigint   NOT NULL, -- 0 = private
    accepted_at     bigint   NOT NULL, -- never decreases with key
    id              text     NOT NULL,
    source          text     NOT NULL,
    type            text     NOT NULL,
    common          text     NOT NULL,
    subject         text     NOT NULL,
    time            text     NOT NULL,
    datacontenttype text     NOT NULL,
    dataschema      text     NOT NULL,
    extensions      text     NOT NULL, -- JSON object, or empty
    entity          text     NOT NULL,
    form            smallint NOT NULL,
    data            bytea,
    content_hash    bytea    NOT NULL,
    first_delivery  bigint   NOT NULL, -- its deliveries have the ids from here on, one by one
    deliveries      integer  NOT NULL,
    PRIMARY KEY (part, key)
) PARTITION BY RANGE (key);

-- By what an event is known when it is published again. Every publish looks
-- here, however old the event, so its partitions are few and long: 32 days each.
-- The hash is of company, source and id; rows found by it are compared.
CREATE TABLE event_ids (
    part    smallint NOT NULL,
    id_hash bigint   NOT NULL,
    key     bigint   NOT NULL,
    PRIMARY KEY (part, id_hash, key)
) PARTITION BY RANGE (key);

-- A delivery that succeeds at once, which is nearly all, is updated once, and no
-- index is touched by that: none has state or attempts in it, not even in its
-- condition. (PostgreSQL then keeps the new version in the same page: HOT.)
CREATE TABLE deliveries (
    part           smallint NOT NULL,
    id             bigint   NOT NULL,
    event          bigint   NOT NULL,
    subscription   bigint   NOT NULL,
    state          smallint NOT NULL DEFAULT 0, -- 0 pending, 1 delivered, 2 discarded, 3 waiting
    attempts       integer  NOT NULL DEFAULT 0,
    tries          integer  NOT NULL DEFAULT 0,
    status         smallint NOT NULL DEFAULT 0,
    due_at         bigint,                      -- null = never tried, or settled
    first_error_at bigint,
    settled_at     bigint,
    waits_for      bigint,                      -- hash of an entity; null = not waiting
    reason         text,                        -- why it was discarded; null = it was not
    page           bigint,                      -- the delivery with whose first attempt its own lies; null = with its own
    PRIMARY KEY (part, id)
) PARTITION BY RANGE (id);
-- Only ever appended to: what a lane reads next, and the log of a subscription.
CREATE INDEX deliveries_lane ON deliveries (part, subscription, id);
-- Only touched when an attempt fails.
CREATE INDEX deliveries_due ON deliveries (part, subscription, due_at) WHERE due_at IS NOT NULL;
-- Only touched by ordered subscriptions, when a delivery fails.
CREATE INDEX deliveries_waiting ON deliveries (part, subscription, waits_for, id) WHERE waits_for IS NOT NULL;
CREATE INDEX deliveries_discarded ON deliveries (part, subscription, id) WHERE reason IS NOT NULL;

-- Attempts lie on pages of several (package attemptlog), each of which is found
-- by the first attempt on it. Of a delivery whose first attempt is elsewhere,
-- deliveries.page says with which.
CREATE TABLE attempts (
    part     smallint NOT NULL,
    delivery bigint   NOT NULL,
    number   integer  NOT NULL,
    page     bytea    NOT NULL,
    PRIMARY KEY (part, delivery, number)
) PARTITION BY RANGE (delivery);

-- make_day makes the partitions of a day. It may be called by several nodes at
-- once, and for days that are there. A table is made first and attached then:
-- that takes a lock which neither reading nor writing waits for.
--
-- deliveries: nearly every row is updated once, soon after it was written. Half
-- of each page is kept free for that, so that the new version is beside the old
-- one and no index is touched (measured: two thirds of the server's time at
-- fillfactor 90). Vacuum runs early, because a day's table grows from nothing and
-- the usual fifth would come late.
-- events, attempts: rows are only ever added, so there is nothing to clean but
-- the visibility map, which spares a later vacuum against wraparound the reading.
-- attempts: two pages fill a block; only what is longer is compressed, and put
-- beside the table where that is not enough.
-- +goose StatementBegin
CREATE FUNCTION make_day(day integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    width bigint := (SELECT parts FROM installation)::bigint << 32;
    low   bigint := day * width;
    month integer := day / 32;
    t     text;
BEGIN
    PERFORM pg_advisory_xact_lock(7205759403792793602);
    IF to_regclass('event_ids_' || month) IS NULL THEN
        EXECUTE format('CREATE TABLE event_ids_%s (LIKE event_ids INCLUDING ALL)', month);
        EXECUTE format('ALTER TABLE event_ids ATTACH PARTITION event_ids_%s FOR VALUES FROM (%s) TO (%s)', month, month * 32 * width, (month + 1) * 32 * width);
    END IF;
    FOREACH t IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
        IF to_regclass(t || '_' || day) IS NULL THEN
            EXECUTE format('CREATE TABLE %s_%s (LIKE %1$s INCLUDING ALL)', t, day);
            EXECUTE CASE t
                WHEN 'deliveries' THEN format('ALTER TABLE deliveries_%s SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1)', day)
                WHEN 'attempts' THEN format('ALTER TABLE attempts_%s SET (toast_tuple_target = 4080, autovacuum_vacuum_insert_scale_factor = 0.5)', day)
                ELSE format('ALTER TABLE %s_%s SET (autovacuum_vacuum_insert_scale_factor = 0.5)', t, day)
            END;
            IF t = 'events' THEN
                EXECUTE format('CREATE UNIQUE INDEX ON events_%s (part, company, seq) WHERE seq > 0', day);
            END IF;
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %1$s_%s FOR VALUES FROM (%s) TO (%s)', t, day, low, low + width);
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION make_day;
DROP TABLE attempts, deliveries, event_ids, events, tallies, pulses, lanes, subscriptions, documents, own_groups, own_types,
    counters, keys, tokens, apps, company_days, companies, parts, moved_subscriptions, moves, installation;
DROP SEQUENCE subscription_numbers;
