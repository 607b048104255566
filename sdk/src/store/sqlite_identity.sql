-- Which database this is: a commit that joins a transaction of the merchant's own makes sure that it is the one where
-- its records are. A copy of the file keeps the identity of its original.

CREATE TABLE firsthand_identity (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL
) STRICT;

INSERT INTO firsthand_identity (only_row, id) VALUES (1, lower(hex(randomblob(16))));

INSERT INTO firsthand_migrations (number) VALUES (2);
