-- The store of Firsthand in SQLite: everything it makes is named firsthand_*.

CREATE TABLE firsthand_migrations (
    number INTEGER NOT NULL PRIMARY KEY
) STRICT;

INSERT INTO firsthand_migrations (number) VALUES (1);

-- The last version counted, of whatever record; it only ever grows. Commits that join a transaction of the merchant's
-- own draw theirs, from 2^62 on.
CREATE TABLE firsthand_sequence (
    version INTEGER NOT NULL
) STRICT;

INSERT INTO firsthand_sequence (version) VALUES (0);

-- Text sorts by its bytes (the collation BINARY, in a database of UTF-8).
CREATE TABLE firsthand_records (
    partition TEXT NOT NULL,
    kind TEXT NOT NULL,
    sort TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- Seconds since 1970; from then on the record counts as absent.
    expires_at INTEGER,
    PRIMARY KEY (partition, kind, sort)
) STRICT;

CREATE INDEX firsthand_records_expires_at ON firsthand_records (expires_at) WHERE expires_at IS NOT NULL;
