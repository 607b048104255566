-- The store of Firsthand in PostgreSQL 13 or later; the database's encoding is UTF8.
--
-- `Postgres::new` applies this file, postgres_views.sql, postgres_identity.sql, postgres_orders.sql and postgres_epoch.sql
-- where they are not there yet. A database administrator may apply them instead, in this order and each in one transaction
-- (psql -1 -f postgres.sql), and give the program's role no more than
--     GRANT USAGE ON SCHEMA firsthand TO shop;
--     GRANT SELECT, INSERT, UPDATE, DELETE ON firsthand.records TO shop;
--     GRANT USAGE ON SEQUENCE firsthand.versions TO shop;
--     GRANT EXECUTE ON FUNCTION firsthand.commit_v1 TO shop;
--     GRANT SELECT ON firsthand.migrations TO shop;
--     GRANT SELECT ON firsthand.identity TO shop;

CREATE SCHEMA firsthand;

CREATE TABLE firsthand.migrations (
    number integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One sequence for all records: no version is ever used twice, also not after a delete.
CREATE SEQUENCE firsthand.versions AS bigint NO CYCLE;

-- Keys sort by their bytes (collation "C"). A commit mostly stays in one partition key, hence in one part.
CREATE TABLE firsthand.records (
    partition text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    sort text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    schema integer NOT NULL,
    body jsonb NOT NULL,
    -- Seconds since 1970; from then on the record counts as absent.
    expires_at bigint,
    PRIMARY KEY (partition, kind, sort)
) PARTITION BY HASH (partition);

DO $$
BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format(
            'CREATE TABLE firsthand.records_%s PARTITION OF firsthand.records FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
            part, part);
    END LOOP;
END
$$;

CREATE INDEX records_expires_at ON firsthand.records (expires_at) WHERE expires_at IS NOT NULL;

-- Applies all writes or none, in one round trip; it is the only writer of records beside the sweeper.
--
-- The n-th elements of the arrays are the n-th write. `operations`: 0 checks, 1 deletes, 2 puts. `expected`: null for
-- anything, 0 for absent, else the version. Answers the number of the first write whose expectation does not hold
-- (nothing is written then), else the new versions, null for what is no put.
--
-- Whoever commits holds an advisory lock on each of its keys until its transaction ends: a shared one on what it only
-- checks. A key that is absent has no row to lock, and two commits that each check what the other writes must not both
-- see it as it was. The locks are taken in one order by all, so no two commits wait for each other. Each statement
-- below sees what was committed before it began, which is why the transaction must be READ COMMITTED.
CREATE FUNCTION firsthand.commit_v1(
    IN at bigint,
    IN operations smallint[],
    IN partitions text[],
    IN kinds text[],
    IN sorts text[],
    IN expected bigint[],
    IN schemas integer[],
    IN bodies text[],
    IN expiries bigint[],
    OUT conflict integer,
    OUT versions bigint[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- A transaction that somebody left open must not hold up everybody else for ever.
SET lock_timeout = '5s'
AS $function$
DECLARE
    turn record;
    live bigint;
    fresh bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a commit needs the isolation level READ COMMITTED' USING ERRCODE = 'FH001';
    END IF;
    -- What was answered to a customer must survive a crash of the server.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    FOR turn IN
        SELECT hashtextextended(concat_ws(E'\x1f', w.partition, w.kind, w.sort) COLLATE "C", 0) AS lock,
               bool_or(w.operation <> 0) AS writes
          FROM unnest(operations, partitions, kinds, sorts) AS w (operation, partition, kind, sort)
         GROUP BY 1
         ORDER BY 1
    LOOP
        IF turn.writes THEN
            PERFORM pg_advisory_xact_lock(turn.lock);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(turn.lock);
        END IF;
    END LOOP;

    FOR n IN 1..cardinality(operations) LOOP
        IF expected[n] IS NOT NULL THEN
            SELECT r.version INTO live
              FROM firsthand.records AS r
             WHERE r.partition = partitions[n] AND r.kind = kinds[n] AND r.sort = sorts[n]
               AND (r.expires_at IS NULL OR r.expires_at > at);
            IF coalesce(live, 0) <> expected[n] THEN
                conflict := n;
                RETURN;
            END IF;
        END IF;
    END LOOP;

    versions := '{}';
    FOR n IN 1..cardinality(operations) LOOP
        fresh := NULL;
        IF operations[n] = 1 THEN
            DELETE FROM firsthand.records AS r
             WHERE r.partition = partitions[n] AND r.kind = kinds[n] AND r.sort = sorts[n];
        ELSIF operations[n] = 2 THEN
            fresh := nextval('firsthand.versions');
            INSERT INTO firsthand.records AS r (partition, kind, sort, version, schema, body, expires_at)
            VALUES (partitions[n], kinds[n], sorts[n], fresh, schemas[n], bodies[n]::jsonb, expiries[n])
            ON CONFLICT (partition, kind, sort) DO UPDATE
               SET version = excluded.version, schema = excluded.schema,
                   body = excluded.body, expires_at = excluded.expires_at;
        END IF;
        versions := array_append(versions, fresh);
    END LOOP;
END
$function$;

INSERT INTO firsthand.migrations (number) VALUES (1);
