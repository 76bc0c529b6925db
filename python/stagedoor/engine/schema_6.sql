-- Version 6: states of long executions, and large payloads beside the log.

CREATE TABLE snapshot (              -- of each long execution the last one
    execution TEXT PRIMARY KEY,
    seq       INTEGER NOT NULL,      -- the last event that is in it
    at        REAL NOT NULL,         -- seconds since the epoch
    compacted INTEGER NOT NULL,      -- 1: some of the events before it are gone
    data      TEXT NOT NULL          -- the machine's state, as JSON
) STRICT;

CREATE TABLE blob (                  -- what is too large for a row of the log, once
    hash TEXT PRIMARY KEY,           -- SHA-256 of the data
    data TEXT NOT NULL               -- JSON
) STRICT;

CREATE TABLE blob_use (              -- who refers to it: an event, or by -1 - seq a snapshot
    execution TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    hash      TEXT NOT NULL,
    PRIMARY KEY (execution, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_use_hash ON blob_use (hash);

-- Whoever deletes an execution or an event deletes with it what nobody else refers to.
CREATE TRIGGER execution_gone AFTER DELETE ON execution BEGIN
    DELETE FROM snapshot WHERE execution = OLD.id;
END;
CREATE TRIGGER snapshot_gone AFTER DELETE ON snapshot BEGIN
    DELETE FROM blob_use WHERE execution = OLD.execution AND seq = -1 - OLD.seq;
END;
CREATE TRIGGER event_gone AFTER DELETE ON event BEGIN
    DELETE FROM blob_use WHERE execution = OLD.execution AND seq = OLD.seq;
END;
CREATE TRIGGER blob_use_gone AFTER DELETE ON blob_use
WHEN NOT EXISTS (SELECT 1 FROM blob_use WHERE hash = OLD.hash) BEGIN
    DELETE FROM blob WHERE hash = OLD.hash;
END;
