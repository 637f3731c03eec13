-- Counters, exact, in the transaction that changes what they count. Bytes of blobs are counted once within each scope.
-- Rows are locked in one order: repositories by id, then namespaces by id.

CREATE TABLE repository_usage (
    repository_id bigint PRIMARY KEY REFERENCES repositories ON DELETE CASCADE,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE namespace_usage (
    namespace_id bigint PRIMARY KEY REFERENCES namespaces ON DELETE CASCADE,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- How many repositories of a namespace link a blob: the first counts its bytes, the last takes them away.
CREATE TABLE namespace_blobs (
    namespace_id bigint NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    links bigint NOT NULL,
    PRIMARY KEY (namespace_id, digest)
);

CREATE FUNCTION start_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_usage (repository_id) SELECT id FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER start_usage AFTER INSERT ON repositories REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION start_repository_usage();

CREATE FUNCTION start_namespace_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER start_usage AFTER INSERT ON namespaces REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION start_namespace_usage();

CREATE FUNCTION count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN RETURN NULL; END IF;
    PERFORM FROM repository_usage WHERE repository_id IN (SELECT repository_id FROM changed)
      ORDER BY repository_id FOR NO KEY UPDATE;
    UPDATE repository_usage AS usage
       SET manifests = usage.manifests + sign * delta.count, manifest_bytes = usage.manifest_bytes + sign * delta.bytes
      FROM (SELECT repository_id, count(*) AS count, sum(length(payload)) AS bytes FROM changed GROUP BY 1) AS delta
     WHERE usage.repository_id = delta.repository_id;
    PERFORM FROM namespace_usage WHERE namespace_id IN
        (SELECT namespace_id FROM changed JOIN repositories ON repositories.id = repository_id)
      ORDER BY namespace_id FOR NO KEY UPDATE;
    UPDATE namespace_usage AS usage
       SET manifests = usage.manifests + sign * delta.count, manifest_bytes = usage.manifest_bytes + sign * delta.bytes
      FROM (SELECT namespace_id, count(*) AS count, sum(length(payload)) AS bytes
              FROM changed JOIN repositories ON repositories.id = repository_id GROUP BY 1) AS delta
     WHERE usage.namespace_id = delta.namespace_id;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON manifests REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_manifests();
CREATE TRIGGER count_deleted AFTER DELETE ON manifests REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_manifests();

CREATE FUNCTION count_tags() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN RETURN NULL; END IF;
    PERFORM FROM repository_usage WHERE repository_id IN (SELECT repository_id FROM changed)
      ORDER BY repository_id FOR NO KEY UPDATE;
    UPDATE repository_usage AS usage SET tags = usage.tags + sign * delta.count
      FROM (SELECT repository_id, count(*) AS count FROM changed GROUP BY 1) AS delta
     WHERE usage.repository_id = delta.repository_id;
    PERFORM FROM namespace_usage WHERE namespace_id IN
        (SELECT namespace_id FROM changed JOIN repositories ON repositories.id = repository_id)
      ORDER BY namespace_id FOR NO KEY UPDATE;
    UPDATE namespace_usage AS usage SET tags = usage.tags + sign * delta.count
      FROM (SELECT namespace_id, count(*) AS count
              FROM changed JOIN repositories ON repositories.id = repository_id GROUP BY 1) AS delta
     WHERE usage.namespace_id = delta.namespace_id;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON tags REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tags();
CREATE TRIGGER count_deleted AFTER DELETE ON tags REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tags();

CREATE FUNCTION count_links() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN RETURN NULL; END IF;
    PERFORM FROM repository_usage WHERE repository_id IN (SELECT repository_id FROM changed)
      ORDER BY repository_id FOR NO KEY UPDATE;
    UPDATE repository_usage AS usage
       SET blobs = usage.blobs + sign * delta.count, blob_bytes = usage.blob_bytes + sign * delta.bytes
      FROM (SELECT repository_id, count(*) AS count, sum(size) AS bytes FROM changed GROUP BY 1) AS delta
     WHERE usage.repository_id = delta.repository_id;
    -- Upserted in key order: two repositories that link the same blob at once wait for each other here alone.
    INSERT INTO namespace_blobs AS shared (namespace_id, digest, size, links)
    SELECT namespace_id, digest, min(size), sign * count(*)
      FROM changed JOIN repositories ON repositories.id = repository_id
     GROUP BY namespace_id, digest ORDER BY namespace_id, digest
    ON CONFLICT (namespace_id, digest) DO UPDATE SET links = shared.links + excluded.links;
    DELETE FROM namespace_blobs AS shared
     USING (SELECT DISTINCT namespace_id, digest
              FROM changed JOIN repositories ON repositories.id = repository_id) AS delta
     WHERE shared.namespace_id = delta.namespace_id AND shared.digest = delta.digest AND shared.links = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON repository_blobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_links();
CREATE TRIGGER count_deleted AFTER DELETE ON repository_blobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_links();

CREATE FUNCTION count_namespace_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN RETURN NULL; END IF;
    PERFORM FROM namespace_usage WHERE namespace_id IN (SELECT namespace_id FROM changed)
      ORDER BY namespace_id FOR NO KEY UPDATE;
    UPDATE namespace_usage AS usage
       SET blobs = usage.blobs + sign * delta.count, blob_bytes = usage.blob_bytes + sign * delta.bytes
      FROM (SELECT namespace_id, count(*) AS count, sum(size) AS bytes FROM changed GROUP BY 1) AS delta
     WHERE usage.namespace_id = delta.namespace_id;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON namespace_blobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_namespace_blobs();
CREATE TRIGGER count_deleted AFTER DELETE ON namespace_blobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_namespace_blobs();
