-- How often this database was put back from a backup: see postgres_restored.sql.

ALTER TABLE firsthand.identity ADD COLUMN epoch bigint NOT NULL DEFAULT 0;

INSERT INTO firsthand.migrations (number) VALUES (5);
