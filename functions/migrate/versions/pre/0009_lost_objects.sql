-- Blobs can be read until the index is made. Who writes waits from the beginning: who had begun could end in a deadlock
-- with what follows.
LOCK TABLE blobs IN EXCLUSIVE MODE;

-- An index with a predicate, for one without makes a column part of a key: whoever names that column in an UPDATE would
-- wait for all transactions that refer to the row, whatever it changes. A commit names it each time.
CREATE UNIQUE INDEX blobs_object ON blobs (object_name) WHERE object_name IS NOT NULL;

-- Null for those that the previous release wrote: they may be of any age. Before the next, as who ends an upload
-- goes from these to the blobs.
ALTER TABLE upload_objects ADD COLUMN finished_at timestamptz;

-- A blob whose object is gone, or isn't the blob: it is answered as if it were not there, until a push brings it again.
ALTER TABLE blobs ADD COLUMN damaged_at timestamptz, DROP CONSTRAINT blobs_object_name_key;
CREATE INDEX blobs_damaged ON blobs (digest) WHERE damaged_at IS NOT NULL;

-- A row that fires it is rare: a statement trigger would cost each commit something.
CREATE FUNCTION queue_deletion_of_replaced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before) VALUES (OLD.object_name, OLD.size, now() + grace('delete'))
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_deletion_of_replaced AFTER UPDATE OF object_name ON blobs FOR EACH ROW
    WHEN (OLD.object_name IS DISTINCT FROM NEW.object_name) EXECUTE FUNCTION queue_deletion_of_replaced();

-- Asked before an upload begins: true, or refused. `needed` bytes are 0 where the client doesn't say. No room is needed
-- for the blob `known` if the namespace has it: it is counted already. Nor where a blob is damaged, for what comes may be
-- that one. Whatever else comes is refused once it is to be counted.
DROP FUNCTION require_room(text, bigint);
CREATE FUNCTION require_room(of_namespace text, needed bigint, known bytea DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
    used bigint;
BEGIN
    IF most IS NULL THEN RETURN true; END IF;
    used := used_bytes(of_namespace);
    IF used + greatest(needed, 1) <= most THEN RETURN true; END IF;
    IF EXISTS (SELECT FROM namespaces JOIN namespace_blobs AS held ON held.namespace_id = namespaces.id
                WHERE namespaces.name = of_namespace AND held.digest = known)
    OR EXISTS (SELECT FROM blobs AS damaged
                 JOIN namespace_blobs AS held ON held.digest = damaged.digest
                 JOIN namespaces ON namespaces.id = held.namespace_id
                WHERE damaged.damaged_at IS NOT NULL AND namespaces.name = of_namespace)
    THEN RETURN true; END IF;
    PERFORM refuse(quota_refusal(of_namespace, used, most, needed));
    RETURN true;
END $$;
