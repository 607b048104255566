-- Views for reports and joins: versioned public API. A view never changes; what differs becomes a new one, `_v2`.
--
-- They show what a record tells about itself, as of now. To read them is enough:
--     GRANT USAGE ON SCHEMA firsthand TO reports;
--     GRANT SELECT ON firsthand.customers_v1 TO reports;

-- The customers. `id` is what `CustomerId` displays, so it joins a column of your own; `version` grows when the record
-- changes.
CREATE VIEW firsthand.customers_v1 AS
SELECT r.partition AS id,
       CASE WHEN jsonb_typeof(r.body -> 'created_at') = 'number'
            THEN to_timestamp((r.body ->> 'created_at')::double precision)
       END AS created_at,
       CASE WHEN r.expires_at < 253402300800 THEN to_timestamp(r.expires_at)
            WHEN r.expires_at IS NOT NULL THEN 'infinity'::timestamptz
       END AS expires_at,
       r.version
  FROM firsthand.records AS r
 WHERE r.kind = 'customer'
   AND (r.expires_at IS NULL OR r.expires_at > extract(epoch FROM now()));

INSERT INTO firsthand.migrations (number) VALUES (2);
