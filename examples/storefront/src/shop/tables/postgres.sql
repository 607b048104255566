CREATE TABLE IF NOT EXISTS customers (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    firsthand_id TEXT UNIQUE NULL,  -- a name, not a proof; NULL for customers of the counter
    created_at   BIGINT NOT NULL    -- seconds since 1970
);
CREATE TABLE IF NOT EXISTS names (  -- where the firsthand_id of a customer leads whose records became one
    name     TEXT PRIMARY KEY,
    leads_to TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS names_that_lead ON names (leads_to);
CREATE TABLE IF NOT EXISTS reservations (
    customer   BIGINT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    product    TEXT NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    kept_until BIGINT NOT NULL,     -- seconds since 1970
    PRIMARY KEY (customer, product)
);
CREATE TABLE IF NOT EXISTS stock (
    product   TEXT PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0)
);
CREATE TABLE IF NOT EXISTS order_stock (  -- what an order took, until it is given back
    order_id TEXT NOT NULL,
    product  TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product)
);
CREATE TABLE IF NOT EXISTS sales (
    order_id           TEXT PRIMARY KEY,
    customer           TEXT NULL,        -- the firsthand_id; NULL for guests and for whoever was forgotten
    placed_at          BIGINT NOT NULL,  -- seconds since 1970
    steps_wallet       BIGINT NOT NULL,
    steps_form         BIGINT NOT NULL,
    returning_customer BOOLEAN NULL      -- NULL for guests
);
CREATE INDEX IF NOT EXISTS sales_of_customer ON sales (customer);
CREATE TABLE IF NOT EXISTS repeats (  -- what was ordered in the last ten minutes, by a checksum of all of it
    content   TEXT PRIMARY KEY,
    number    TEXT NOT NULL,  -- of the order
    placed_at BIGINT NOT NULL  -- seconds since 1970
);
