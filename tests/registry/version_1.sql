BEGIN TRANSACTION;
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
INSERT INTO "api_key" VALUES('web/b9iRqI4fmYNW','web','b9iRqI4fmYNW','a18d3f114aa6eb932deb6f7e31ce107da1f6cce4f40576c4495d3fc767f1edba','for the shop','["orders"]',NULL,NULL,NULL,1795910056,1795910056);
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    before  TEXT,
    after   TEXT
) STRICT;
INSERT INTO "audit" VALUES(1,1795910056,'ann','put plan','gold',NULL,'{"name": "gold", "rate_limit": [{"limit": 1000, "per_ms": 86400000, "burst": 1000}]}');
INSERT INTO "audit" VALUES(2,1795910056,'ann','create consumer','web',NULL,'{"source": "registry", "name": "web", "groups": ["staff"], "plan": "gold", "disabled": false, "created": 1795910056, "keys": 0}');
INSERT INTO "audit" VALUES(3,1795910056,'ann','create consumer','app',NULL,'{"source": "registry", "name": "app", "groups": [], "plan": null, "disabled": false, "created": 1795910056, "keys": 0}');
INSERT INTO "audit" VALUES(4,1795910056,'ann','create key','web',NULL,'{"id": "web/b9iRqI4fmYNW", "prefix": "b9iRqI4fmYNW", "description": "for the shop", "scopes": ["orders"], "expires": null, "routes": null, "networks": null, "created": 1795910056, "last_used": null}');
CREATE TABLE consumer (
    name     TEXT PRIMARY KEY,
    groups   TEXT NOT NULL,
    plan     TEXT,
    disabled INTEGER NOT NULL,
    created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "consumer" VALUES('app','[]',NULL,0,1795910056);
INSERT INTO "consumer" VALUES('web','["staff"]','gold',0,1795910056);
CREATE TABLE plan (
    name       TEXT PRIMARY KEY,
    rate_limit TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "plan" VALUES('gold','[{"limit": 1000, "per_ms": 86400000, "burst": 1000}]');
CREATE TABLE registry_version (version INTEGER NOT NULL) STRICT;
INSERT INTO "registry_version" VALUES(1);
CREATE INDEX api_key_consumer ON api_key (consumer);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',4);
COMMIT;
