-- With the push, in its transaction; no statement of its own.
CREATE FUNCTION queue_platforms() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO platforms (manifest_id)
    SELECT id FROM new_rows WHERE kind = 'image' AND config_digest IS NOT NULL ORDER BY id;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_platforms AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_platforms();
