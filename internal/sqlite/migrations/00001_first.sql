-- Times are microseconds since 1970 in UTC, except events.time, which is the
-- producer's text with its offset. There are no foreign keys on the tables of
-- the hot path (events, deliveries, attempts): their rows are written together
-- in one transaction by one writer, and a check per row would cost as much as
-- the row.

-- +goose Up
-- The last ids given are those of the newest rows, so that a commit need not
-- write them. What is deleted notes here how far they had come: no id and no
-- seq is given twice.
CREATE TABLE ids (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    event    INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    page     INTEGER NOT NULL, -- of attempts
    listed   INTEGER NOT NULL, -- the events up to this one are in kinds and entities
    hashed   INTEGER NOT NULL  -- and in id_hashes
) STRICT;
INSERT INTO ids VALUES (1, 0, 0, 0, 0, 0);

CREATE TABLE companies (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL DEFAULT '',
    pruned_seq INTEGER NOT NULL DEFAULT 0, -- greatest seq that was deleted
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE apps (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    app        INTEGER NOT NULL, -- 0 = speaks for no app
    companies  TEXT    NOT NULL, -- JSON array; empty = all
    scopes     TEXT    NOT NULL, -- JSON array
    hash       BLOB    NOT NULL UNIQUE,
    hint       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE keys (
    kid        TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

CREATE TABLE counters (
    name   TEXT    PRIMARY KEY,
    window INTEGER NOT NULL,
    count  INTEGER NOT NULL
) STRICT;

CREATE TABLE own_types ( -- what the operator says of event types
    name        TEXT    PRIMARY KEY,
    description TEXT    NOT NULL,
    common      TEXT    NOT NULL, -- or empty
    schema      BLOB,             -- JSON Schema; null = none
    deprecated  TEXT    NOT NULL, -- or empty
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE own_groups (
    name  TEXT PRIMARY KEY,
    types TEXT NOT NULL -- JSON array
) STRICT;

CREATE TABLE documents ( -- what a door keeps for itself
    kind    TEXT    NOT NULL,
    company INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    due_at  INTEGER, -- null = nothing to do about it
    body    BLOB    NOT NULL,
    PRIMARY KEY (kind, company, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_due ON documents (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE subscriptions (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    company        INTEGER NOT NULL,
    app            INTEGER NOT NULL,
    contract       TEXT    NOT NULL,
    sink           TEXT    NOT NULL,
    types          TEXT    NOT NULL, -- JSON array
    format         TEXT    NOT NULL,
    filters        TEXT    NOT NULL, -- JSON array, or empty
    options        TEXT    NOT NULL, -- JSON object
    secrets        TEXT    NOT NULL, -- JSON array; the secrets in it are encrypted
    state          TEXT    NOT NULL,
    before         TEXT    NOT NULL, -- of a deleted one, the state it was deleted in; or empty
    handshake      TEXT    NOT NULL, -- JSON object
    first_error_at INTEGER,
    expires_at     INTEGER,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    sought         TEXT    NOT NULL -- what it is searched in: its name and the host of its sink
) STRICT;
CREATE INDEX subscriptions_company ON subscriptions (company, app);
-- The operator's list goes along this one, whatever it is narrowed to: a search
-- that finds little reads these few bytes of each subscription, and no row.
CREATE INDEX subscriptions_live ON subscriptions (id, app, contract, state, sought)
    WHERE state IN ('unverified', 'active', 'disabled');

-- How far each lane has settled: a hint for the next start, in a table of its
-- own so that saving it does not rewrite subscriptions.
CREATE TABLE lanes (
    subscription INTEGER PRIMARY KEY,
    settled      INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    key             INTEGER PRIMARY KEY,
    company         INTEGER NOT NULL,
    seq             INTEGER NOT NULL, -- 0 = private
    accepted_at     INTEGER NOT NULL, -- never decreases with key
    id              TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    common          TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    time            TEXT    NOT NULL,
    datacontenttype TEXT    NOT NULL,
    dataschema      TEXT    NOT NULL,
    extensions      TEXT    NOT NULL, -- JSON object, or empty
    entity          TEXT    NOT NULL,
    form            INTEGER NOT NULL,
    id_hash         INTEGER NOT NULL, -- of company, source and id
    content_hash    BLOB    NOT NULL,
    first_delivery  INTEGER NOT NULL, -- its deliveries have the ids from here on, one by one; never decreases with key
    deliveries      INTEGER NOT NULL,
    targets         BLOB    NOT NULL, -- to which subscriptions, in this order
    data            BLOB              -- last, so that the others are read without it
) STRICT;
CREATE UNIQUE INDEX events_seq ON events (company, seq) WHERE seq > 0;

-- What events that were accepted before are found by. A short integer hash
-- keeps it small; the events are compared. It is no index of events, for the
-- hashes of the newest are kept in memory, and written later in this order.
CREATE TABLE id_hashes (
    id_hash INTEGER NOT NULL,
    event   INTEGER NOT NULL,
    PRIMARY KEY (id_hash, event)
) STRICT, WITHOUT ROWID;

-- The events of a type, in pages, and those about an entity: what they are found
-- by. Every few hundred events are listed at once, which costs a fraction of what
-- an index of events would; ids.listed tells up to where.
CREATE TABLE kinds (
    company INTEGER NOT NULL,
    common  TEXT    NOT NULL, -- or empty
    type    TEXT    NOT NULL,
    heard   INTEGER NOT NULL, -- 0 by nobody, 1 by some subscription, 2 by its own: private
    first   INTEGER NOT NULL, -- the smallest key in it
    page    BLOB    NOT NULL, -- keys of events
    PRIMARY KEY (company, common, type, heard, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE entities ( -- of events that somebody heard; those about several are listed at once
    company INTEGER NOT NULL,
    entity  TEXT    NOT NULL, -- a single one, as invoice/42: no hash, so that new ones are together
    event   INTEGER NOT NULL,
    PRIMARY KEY (company, entity, event)
) STRICT, WITHOUT ROWID;

-- A delivery that has not been tried is in its event and in its lane, and one
-- that was delivered at the first attempt is among the successes besides. What
-- becomes of others, which are few, is here, and comes before what is there.
CREATE TABLE deliveries (
    id             INTEGER PRIMARY KEY,
    event          INTEGER NOT NULL,
    subscription   INTEGER NOT NULL,
    page           INTEGER,          -- of attempts, with the first one; null = among the successes, or none
    state          INTEGER NOT NULL, -- 0 pending, 1 delivered, 2 discarded, 3 waiting
    reason         TEXT    NOT NULL,
    attempts       INTEGER NOT NULL,
    tries          INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    due_at         INTEGER,                    -- null = never tried, or settled
    first_error_at INTEGER,
    settled_at     INTEGER,
    waits_for      INTEGER                     -- hash of an entity; null = not waiting
) STRICT;
-- Only touched by ordered subscriptions, when a delivery fails.
CREATE INDEX deliveries_waiting ON deliveries (subscription, waits_for, id) WHERE waits_for IS NOT NULL;
-- Only touched when an attempt fails.
CREATE INDEX deliveries_due ON deliveries (subscription, due_at) WHERE due_at IS NOT NULL;
-- What did not go well at once: only touched when an attempt fails, or a
-- delivery waits or is discarded. The log is filtered by it.
CREATE INDEX deliveries_failed ON deliveries (subscription, state, id) WHERE state >= 2 OR due_at IS NOT NULL;

-- What a lane reads next, and the log of a subscription: its deliveries and their
-- events, those of one commit in a row. Only ever appended to, but for what is
-- pruned.
CREATE TABLE lane_pages (
    subscription INTEGER NOT NULL,
    first        INTEGER NOT NULL, -- the smallest id in it
    last         INTEGER NOT NULL, -- the greatest id in it
    page         BLOB    NOT NULL,
    PRIMARY KEY (subscription, first)
) STRICT, WITHOUT ROWID;

-- What was delivered at the first attempt: of each 512 deliveries in the order of
-- their ids, with the pages of the attempts.
CREATE TABLE successes (
    block  INTEGER PRIMARY KEY, -- id / 512
    packed BLOB    NOT NULL
) STRICT;

-- What was attempted, in pages of package attemptlog: those that one commit
-- recorded share a row, and their texts.
CREATE TABLE attempts (
    page        INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    attempts    BLOB    NOT NULL
) STRICT;

CREATE TABLE retries ( -- where the second and later attempts of a delivery are
    delivery INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    page     INTEGER NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- What became of deliveries, by the minute, and of older ones by the hour.
CREATE TABLE tallies (
    company      INTEGER NOT NULL,
    subscription INTEGER NOT NULL, -- 0 = all of the company
    at           INTEGER NOT NULL, -- when the minute or hour begins
    hour         INTEGER NOT NULL, -- 0 of a minute, 1 of an hour
    delivered    INTEGER NOT NULL,
    failed       INTEGER NOT NULL, -- attempts
    discarded    INTEGER NOT NULL,
    -- Attempts by how long the answer took: up to 5 ms, 10 ms and so on; see
    -- LatencyBounds.
    t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, t2 INTEGER NOT NULL, t3 INTEGER NOT NULL,
    t4 INTEGER NOT NULL, t5 INTEGER NOT NULL, t6 INTEGER NOT NULL, t7 INTEGER NOT NULL,
    t8 INTEGER NOT NULL, t9 INTEGER NOT NULL, t10 INTEGER NOT NULL, t11 INTEGER NOT NULL,
    PRIMARY KEY (company, subscription, at, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX tallies_at ON tallies (hour, at);

CREATE TABLE pulses ( -- how a subscription's attempts went of late
    subscription INTEGER PRIMARY KEY,
    succeeded_at INTEGER,
    failed_at    INTEGER,
    in_a_row     INTEGER NOT NULL -- failed since the last success
) STRICT;

-- +goose Down
DROP TABLE pulses;
DROP TABLE tallies;
DROP TABLE retries;
DROP TABLE attempts;
DROP TABLE successes;
DROP TABLE lane_pages;
DROP TABLE deliveries;
DROP TABLE entities;
DROP TABLE id_hashes;
DROP TABLE kinds;
DROP TABLE events;
DROP TABLE lanes;
DROP TABLE subscriptions;
DROP TABLE documents;
DROP TABLE own_groups;
DROP TABLE own_types;
DROP TABLE counters;
DROP TABLE keys;
DROP TABLE tokens;
DROP TABLE apps;
DROP TABLE companies;
DROP TABLE ids;
