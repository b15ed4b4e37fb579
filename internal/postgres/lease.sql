-- The one row says who serves the database, until when by the database's clock.
-- epoch is the key so that only another's taking over waits for transactions
-- that hold the row (FOR KEY SHARE), and the holder's renewal does not.
SELECT pg_advisory_xact_lock(7205759403792793603);
CREATE TABLE IF NOT EXISTS lease (
    epoch  bigint      PRIMARY KEY, -- counts the holders
    holder text        NOT NULL,    -- for people
    until  timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO lease SELECT 0, '', '-infinity' WHERE NOT EXISTS (SELECT FROM lease);

-- check_lease fails where the lease is another's, and keeps it from becoming
-- another's until the transaction ends.
CREATE OR REPLACE FUNCTION check_lease(mine bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM lease WHERE epoch = mine FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease is not held' USING ERRCODE = 'FT001';
    END IF;
END $$;
