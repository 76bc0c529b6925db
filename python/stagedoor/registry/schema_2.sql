-- From version 1 to 2: credentials that are no API keys. Nothing is here that would let anybody call: of a password its
-- slow hash, of a certificate what it says, of a pair of keys the public one.

CREATE TABLE credential (
    id          TEXT PRIMARY KEY,      -- names it in logs
    consumer    TEXT NOT NULL REFERENCES consumer (name) ON DELETE CASCADE,
    kind        TEXT NOT NULL,         -- the scheme that takes it: basic, mtls, signature
    mark        TEXT NOT NULL,         -- what of a request finds it: a username, field:value of a certificate, a keyid
    settings    TEXT NOT NULL,         -- what proves it, by its kind
    description TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    expires     INTEGER,
    routes      TEXT,                  -- NULL: all
    networks    TEXT,                  -- NULL: all
    created     INTEGER NOT NULL,
    last_used   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_consumer ON credential (consumer);
CREATE INDEX credential_mark ON credential (kind, mark);
