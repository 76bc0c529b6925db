-- Version 1. An event is written once and never changed; `execution` holds what is known at the start, and the status
-- that the last event left behind, so that open executions and idempotency keys are found without reading histories.

CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;

CREATE TABLE definition (
    hash     TEXT PRIMARY KEY,      -- SHA-256 of the canonical document
    workflow TEXT NOT NULL,         -- namespace/name
    version  TEXT NOT NULL,
    document TEXT NOT NULL          -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE execution (
    id          TEXT PRIMARY KEY,   -- UUIDv7: in order of creation, so neighbours share pages
    workflow    TEXT NOT NULL,
    version     TEXT NOT NULL,
    definition  TEXT NOT NULL,
    status      TEXT NOT NULL,      -- running, suspended, completed, faulted, cancelled
    route       TEXT NOT NULL,
    consumer    TEXT,               -- NULL: nobody was authenticated
    key         TEXT,               -- the caller's idempotency key
    fingerprint TEXT,               -- SHA-256 of the canonical input that came with it
    created     REAL NOT NULL       -- seconds since the epoch
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX execution_key ON execution (workflow, ifnull(consumer, ''), key) WHERE key IS NOT NULL;
CREATE INDEX execution_open ON execution (id) WHERE status IN ('running', 'suspended');

CREATE TABLE event (
    execution TEXT NOT NULL,
    seq       INTEGER NOT NULL,     -- from 0, without gaps
    type      TEXT NOT NULL,        -- a class of stagedoor.workflow.events
    at        REAL NOT NULL,        -- seconds since the epoch
    data      TEXT NOT NULL,        -- its other fields, as JSON
    PRIMARY KEY (execution, seq)
) STRICT, WITHOUT ROWID;
