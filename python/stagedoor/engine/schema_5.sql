-- Version 5. Executions that wait for points in time alone, so that these need not be found out by reading histories.

CREATE TABLE timer (
    execution TEXT NOT NULL,
    timer     TEXT NOT NULL,        -- the id of the command that asked for it
    at        REAL NOT NULL,        -- seconds since the epoch
    seq       INTEGER NOT NULL,     -- of the execution's next event: what was written before it no longer counts
    PRIMARY KEY (execution, timer)
) STRICT, WITHOUT ROWID;
