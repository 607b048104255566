-- Which database this is: a commit that joins a transaction of the merchant's own makes sure that it is the one where
-- its records are. A copy of the database keeps the identity of its original: give it another where one program uses
-- both (UPDATE firsthand.identity SET id = gen_random_uuid(), before the program starts).

CREATE TABLE firsthand.identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id uuid NOT NULL
);

INSERT INTO firsthand.identity (id) VALUES (gen_random_uuid());

INSERT INTO firsthand.migrations (number) VALUES (3);
