-- Version 7: what is told of single tasks.

CREATE TABLE told (                 -- open executions of whose tasks the sink is told
    execution TEXT PRIMARY KEY,
    seq       INTEGER NOT NULL      -- what follows from its events up to this one is in the outbox, or was
) STRICT, WITHOUT ROWID;
