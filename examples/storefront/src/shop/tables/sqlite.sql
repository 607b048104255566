CREATE TABLE IF NOT EXISTS customers (
    id           INTEGER PRIMARY KEY,
    firsthand_id TEXT UNIQUE NULL,  -- a name, not a proof; NULL for customers of the counter
    created_at   INTEGER NOT NULL   -- seconds since 1970
);
CREATE TABLE IF NOT EXISTS reservations (
    customer   INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    product    TEXT NOT NULL,
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    kept_until INTEGER NOT NULL,    -- seconds since 1970
    PRIMARY KEY (customer, product)
);
