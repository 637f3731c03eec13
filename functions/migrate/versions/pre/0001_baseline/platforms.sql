-- What single images run on.

-- It stands in their configs, which lie in the bucket and which no push reads: garbage collection does so later, a row
-- at a time. Until then `look_after` says when; after it that is null, and so are the others if the config told
-- nothing. A table of its own, for a manifest that is written again would be described and reviewed again.
CREATE TABLE platforms (
    manifest_id bigint PRIMARY KEY REFERENCES manifests ON DELETE CASCADE,
    os text COLLATE "C",
    architecture text COLLATE "C",
    variant text COLLATE "C",
    look_after timestamptz DEFAULT now(),
    attempts int NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX platforms_due ON platforms (look_after) WHERE look_after IS NOT NULL;

-- Queued with the push, in its transaction; no statement of its own.
CREATE FUNCTION queue_platforms() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO platforms (manifest_id)
    SELECT id FROM new_rows WHERE kind = 'image' AND config_digest IS NOT NULL ORDER BY id;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_platforms AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_platforms();
