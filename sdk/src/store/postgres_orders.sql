-- The orders, for reports and joins: versioned public API, as the views before.
--     GRANT SELECT ON firsthand.orders_v1 TO reports;

-- `customer` joins a column of your own, as in customers_v1; null for a guest. Amounts are integers in the minor unit of
-- the currency, and received_minor = settled_minor + owed_minor + refunded_minor. What is paid may be less than total_minor
-- by waived_minor: what was authorised, and not captured.
CREATE VIEW firsthand.orders_v1 AS
SELECT r.body ->> 'id' AS id,
       r.body ->> 'reference' AS reference,
       r.body #>> '{buyer,customer}' AS customer,
       r.body ->> 'state' AS state,
       r.body #>> '{total,currency}' AS currency,
       (r.body #>> '{total,minor}')::bigint AS total_minor,
       (r.body #>> '{ledger,received,minor}')::bigint AS received_minor,
       (r.body #>> '{ledger,received,minor}')::bigint
           - (r.body #>> '{ledger,owed,minor}')::bigint
           - (r.body #>> '{ledger,refunded,minor}')::bigint AS settled_minor,
       (r.body #>> '{ledger,owed,minor}')::bigint AS owed_minor,
       (r.body #>> '{ledger,refunded,minor}')::bigint AS refunded_minor,
       (r.body #>> '{waived,minor}')::bigint AS waived_minor,
       to_timestamp((r.body ->> 'placed_at')::double precision) AS placed_at,
       r.version
  FROM firsthand.records AS r
 WHERE r.kind = 'order'
   -- What a checkout only tries to sell is no sale yet.
   AND (r.body -> 'checkout' IS NULL OR r.body #> '{checkout,confirmed_at}' IS NOT NULL);

INSERT INTO firsthand.migrations (number) VALUES (4);
