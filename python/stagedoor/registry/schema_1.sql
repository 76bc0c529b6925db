-- Version 1. Lists are JSON, times are seconds since 1970. No secret is here: of a key only its keyed hash.

CREATE TABLE registry_version (version INTEGER NOT NULL) STRICT;

CREATE TABLE consumer (
    name     TEXT PRIMARY KEY,
    groups   TEXT NOT NULL,
    plan     TEXT,
    disabled INTEGER NOT NULL,
    created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id          TEXT PRIMARY KEY,      -- names it in logs
    consumer    TEXT NOT NULL REFERENCES consumer (name) ON DELETE CASCADE,
    prefix      TEXT NOT NULL UNIQUE,  -- the part of the key that finds it
    hmac        TEXT NOT NULL,         -- HMAC-SHA-256 of the whole key, hex
    description TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    expires     INTEGER,
    routes      TEXT,                  -- NULL: all
    networks    TEXT,                  -- NULL: all
    created     INTEGER NOT NULL,
    last_used   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_consumer ON api_key (consumer);

CREATE TABLE plan (
    name       TEXT PRIMARY KEY,
    rate_limit TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    before  TEXT,
    after   TEXT
) STRICT;
