-- What the shop has had for years.
CREATE TABLE IF NOT EXISTS customers (
    id bigserial PRIMARY KEY,
    email text NOT NULL,
    provider text NOT NULL,
    provider_sub text NOT NULL,
    last_sign_in timestamptz NOT NULL,
    UNIQUE (provider, provider_sub)
);

-- The records of tower-sessions: see sessions.rs.
CREATE TABLE IF NOT EXISTS old_sessions (
    id text PRIMARY KEY,
    record jsonb NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS old_sessions_customer ON old_sessions ((record #>> '{data,old,customer}'));

-- What moving adds. `firsthand_id` is the name under which the customer moved, and stays; `belongs_to` is where that name leads
-- by now, since two customers may turn out to be one: the worker in names.rs writes it.
ALTER TABLE customers
    ADD COLUMN IF NOT EXISTS firsthand_id text UNIQUE,
    ADD COLUMN IF NOT EXISTS belongs_to text,
    ADD COLUMN IF NOT EXISTS moved_at timestamptz;
CREATE INDEX IF NOT EXISTS customers_belongs_to ON customers (belongs_to);
