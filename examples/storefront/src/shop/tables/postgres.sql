CREATE TABLE IF NOT EXISTS customers (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    firsthand_id TEXT UNIQUE NULL,  -- a name, not a proof; NULL for customers of the counter
    created_at   BIGINT NOT NULL    -- seconds since 1970
);
CREATE TABLE IF NOT EXISTS reservations (
    customer   BIGINT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    product    TEXT NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    kept_until BIGINT NOT NULL,     -- seconds since 1970
    PRIMARY KEY (customer, product)
);
