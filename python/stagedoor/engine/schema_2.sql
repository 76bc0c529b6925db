-- Version 2: events between workflows and the world, and what schedules have started.

CREATE TABLE outbox (               -- events that are owed to the sink and to listeners; gone once they have them
    n         INTEGER PRIMARY KEY AUTOINCREMENT,
    execution TEXT NOT NULL,
    event     TEXT NOT NULL         -- a CloudEvent as JSON
) STRICT;

CREATE TABLE inbox (                -- events that came in, kept for listeners that begin later and to know duplicates
    n      INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    id     TEXT NOT NULL,
    at     REAL NOT NULL,           -- when it came, in seconds since the epoch
    event  TEXT NOT NULL,           -- a CloudEvent as JSON
    taken  INTEGER NOT NULL,        -- 1: an execution has it
    UNIQUE (source, id)
) STRICT;

CREATE TABLE tick (                 -- at most one start for each
    workflow  TEXT NOT NULL,        -- namespace/name
    tick      TEXT NOT NULL,        -- a point in time, or the events that it was
    execution TEXT NOT NULL,
    at        REAL NOT NULL,
    PRIMARY KEY (workflow, tick)
) STRICT, WITHOUT ROWID;
