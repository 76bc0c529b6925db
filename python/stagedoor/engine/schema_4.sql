-- Version 4: who may write, and what is on its way out.

CREATE TABLE owner (                -- one row: whoever opened the store last; nobody else can write it
    epoch   INTEGER NOT NULL,       -- one more for each that has opened it
    process INTEGER NOT NULL,
    since   REAL NOT NULL           -- seconds since the epoch
) STRICT;
INSERT INTO owner VALUES (0, 0, 0.0);

CREATE TABLE purged (               -- executions that are no more, of which events may be left
    execution TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
