-- What leaves the bucket, and the books that are kept of it.

-- Objects pending deletion: nothing names them any more, and they go after `not_before`.
CREATE TABLE deletions (
    object_name text COLLATE "C" PRIMARY KEY,
    size bigint,
    not_before timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    error text
);
CREATE INDEX deletions_due ON deletions (not_before);

-- What was collected, by day, by level (manifest, link, blob, object) and by the event that had queued it.
CREATE TABLE collected (
    day date NOT NULL,
    level text NOT NULL,
    event text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (day, level, event)
);

CREATE FUNCTION queue_deletion_of_blobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, now() + grace('delete') FROM old_rows ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_deletion AFTER DELETE ON blobs REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_deletion_of_blobs();

-- A blob that was damaged has a new object. A row that fires this is rare: a statement trigger would cost each commit
-- something.
CREATE FUNCTION queue_deletion_of_replaced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before) VALUES (OLD.object_name, OLD.size, now() + grace('delete'))
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_deletion_of_replaced AFTER UPDATE OF object_name ON blobs FOR EACH ROW
    WHEN (OLD.object_name IS DISTINCT FROM NEW.object_name) EXECUTE FUNCTION queue_deletion_of_replaced();

-- All that an upload wrote, but for the object that became a blob.
CREATE FUNCTION queue_deletion_of_upload_objects() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, now() + grace('delete') FROM old_rows
     WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_name = old_rows.object_name)
     ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_deletion AFTER DELETE ON upload_objects REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_deletion_of_upload_objects();
