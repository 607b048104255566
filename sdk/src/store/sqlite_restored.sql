-- For a database that was put back from a backup: to be applied before any program uses it again, in one transaction
-- (BEGIN IMMEDIATE; .read sqlite_restored.sql; COMMIT). `Sqlite::restored` does it.
--
-- What ended since the backup was made has not ended in it. So all that works once or for a while ends here: sessions, of
-- which some were closed since, questions to wallets that were answered, and invitations. Customers keep their keys, and
-- begin a session with them as after a pause. The epoch goes into every nonce: none from before is taken again.

UPDATE firsthand_identity SET epoch = epoch + 1;

DELETE FROM firsthand_records
 WHERE kind IN (
    'session', 'customer_session', 'session_answer', 'presentation', 'passkey_ceremony',
    'join', 'meeting', 'meeting_at', 'merge_offer', 'announced_call'
 );
