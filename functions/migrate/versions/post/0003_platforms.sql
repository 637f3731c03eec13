-- The latest first, at most twenty a second: no GC run has more of them than it does by the way. In small
-- transactions, for whoever deletes a manifest waits for the one that queues it.
DO $$
DECLARE
    newest bigint := (SELECT max(id) FROM manifests);
    last bigint := newest;
BEGIN
    WHILE last > 0 LOOP
        INSERT INTO platforms (manifest_id, look_after)
        SELECT id, now() + (newest - id) * interval '50 milliseconds'
          FROM manifests
         WHERE id > last - 5000 AND id <= last AND kind = 'image' AND config_digest IS NOT NULL
        ON CONFLICT (manifest_id) DO NOTHING;
        COMMIT;
        last := last - 5000;
    END LOOP;
END $$;
