-- How often this database was put back from a backup: see sqlite_restored.sql.

ALTER TABLE firsthand_identity ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

INSERT INTO firsthand_migrations (number) VALUES (3);
