-- Usage that lists can be sorted by, and totals for the registry; and no row that all pushes of a namespace wait for.
--
-- A repository's row is changed in place, and is locked first: it also says which namespace its figures belong to, which
-- a move changes. What a change means to a namespace and to the registry is a row of its own in usage_changes. A reader
-- adds those up (namespace_totals, registry_totals); garbage collection folds them into namespace_usage and registry_usage.

ALTER TABLE repository_usage
    ADD COLUMN namespace_id bigint REFERENCES namespaces,
    ADD COLUMN bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED,
    ADD COLUMN pushed_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN pulled_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN pulls bigint NOT NULL DEFAULT 0,
    -- What no tag reaches, as of the last untagged scan; one is due once anything has changed.
    ADD COLUMN untagged bigint NOT NULL DEFAULT 0,
    ADD COLUMN untagged_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN untagged_as_of timestamptz,
    ADD COLUMN untagged_scan_due boolean NOT NULL DEFAULT true;
UPDATE repository_usage AS usage
   SET namespace_id = repositories.namespace_id,
       pushed_at = coalesce((SELECT max(manifests.pushed_at) FROM manifests
                              WHERE manifests.repository_id = repositories.id), '-infinity')
  FROM repositories WHERE repositories.id = usage.repository_id;
ALTER TABLE repository_usage ALTER COLUMN namespace_id SET NOT NULL;

-- Of the registry, and of one namespace, by each order there is.
CREATE INDEX repository_usage_bytes ON repository_usage (bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pushed ON repository_usage (pushed_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pulled ON repository_usage (pulled_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pulls ON repository_usage (pulls, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_tags ON repository_usage (tags, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_untagged ON repository_usage (untagged_bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_bytes ON repository_usage (namespace_id, bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_pushed ON repository_usage (namespace_id, pushed_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_pulled ON repository_usage (namespace_id, pulled_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_pulls ON repository_usage (namespace_id, pulls, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_tags ON repository_usage (namespace_id, tags, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_untagged ON repository_usage (namespace_id, untagged_bytes, repository_id)
    WHERE manifests > 0;
CREATE INDEX repository_usage_untagged_scan ON repository_usage (repository_id) WHERE untagged_scan_due;

CREATE TABLE repository_kinds (
    repository_id bigint NOT NULL REFERENCES repositories ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL,
    manifests bigint NOT NULL,
    PRIMARY KEY (repository_id, kind)
) WITH (fillfactor = 50);
INSERT INTO repository_kinds SELECT repository_id, kind, count(*) FROM manifests GROUP BY 1, 2;

ALTER TABLE namespace_usage
    ADD COLUMN repositories bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED,
    ADD COLUMN pushed_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN pulled_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN pulls bigint NOT NULL DEFAULT 0;
UPDATE namespace_usage AS usage
   SET repositories = counted.repositories, pushed_at = counted.pushed_at
  FROM (SELECT namespace_id, count(*) AS repositories, max(pushed_at) AS pushed_at
          FROM repository_usage GROUP BY 1) AS counted
 WHERE counted.namespace_id = usage.namespace_id;
CREATE INDEX namespace_usage_bytes ON namespace_usage (bytes, namespace_id);
CREATE INDEX namespace_usage_pushed ON namespace_usage (pushed_at, namespace_id);
CREATE INDEX namespace_usage_pulled ON namespace_usage (pulled_at, namespace_id);
CREATE INDEX namespace_usage_pulls ON namespace_usage (pulls, namespace_id);
CREATE INDEX namespace_usage_tags ON namespace_usage (tags, namespace_id);
CREATE INDEX namespace_usage_repositories ON namespace_usage (repositories, namespace_id);

-- One row. Blobs are counted once for the whole registry.
CREATE TABLE registry_usage (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    repositories bigint NOT NULL,
    tags bigint NOT NULL,
    manifests bigint NOT NULL,
    manifest_bytes bigint NOT NULL,
    blobs bigint NOT NULL,
    blob_bytes bigint NOT NULL,
    bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED
);
INSERT INTO registry_usage (repositories, tags, manifests, manifest_bytes, blobs, blob_bytes)
SELECT coalesce(sum(repositories), 0), coalesce(sum(tags), 0), coalesce(sum(manifests), 0),
       coalesce(sum(manifest_bytes), 0),
       (SELECT count(*) FROM blobs), (SELECT coalesce(sum(size), 0) FROM blobs)
  FROM namespace_usage;

-- `registry_blobs` and `registry_blob_bytes` are the registry's; all else is a namespace's, and so the registry's too,
-- but for a namespace's blobs. Namespace 0 is none.
CREATE TABLE usage_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL,
    repositories bigint NOT NULL DEFAULT 0,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0,
    registry_blobs bigint NOT NULL DEFAULT 0,
    registry_blob_bytes bigint NOT NULL DEFAULT 0,
    pushed_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX usage_changes_namespace ON usage_changes (namespace_id);

CREATE VIEW namespace_totals AS
SELECT usage.namespace_id,
       usage.repositories + pending.repositories AS repositories,
       usage.tags + pending.tags AS tags,
       usage.manifests + pending.manifests AS manifests,
       usage.manifest_bytes + pending.manifest_bytes AS manifest_bytes,
       usage.blobs + pending.blobs AS blobs,
       usage.blob_bytes + pending.blob_bytes AS blob_bytes,
       usage.bytes + pending.manifest_bytes + pending.blob_bytes AS bytes,
       greatest(usage.pushed_at, pending.pushed_at) AS pushed_at,
       usage.pulled_at,
       usage.pulls
  FROM namespace_usage AS usage
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(changes.repositories), 0)::bigint AS repositories,
              coalesce(sum(changes.tags), 0)::bigint AS tags,
              coalesce(sum(changes.manifests), 0)::bigint AS manifests,
              coalesce(sum(changes.manifest_bytes), 0)::bigint AS manifest_bytes,
              coalesce(sum(changes.blobs), 0)::bigint AS blobs,
              coalesce(sum(changes.blob_bytes), 0)::bigint AS blob_bytes,
              max(changes.pushed_at) AS pushed_at
         FROM usage_changes AS changes
        WHERE changes.namespace_id = usage.namespace_id) AS pending;

CREATE VIEW registry_totals AS
SELECT usage.repositories + pending.repositories AS repositories,
       usage.tags + pending.tags AS tags,
       usage.manifests + pending.manifests AS manifests,
       usage.manifest_bytes + pending.manifest_bytes AS manifest_bytes,
       usage.blobs + pending.blobs AS blobs,
       usage.blob_bytes + pending.blob_bytes AS blob_bytes,
       usage.bytes + pending.manifest_bytes + pending.blob_bytes AS bytes
  FROM registry_usage AS usage
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(changes.repositories), 0)::bigint AS repositories,
              coalesce(sum(changes.tags), 0)::bigint AS tags,
              coalesce(sum(changes.manifests), 0)::bigint AS manifests,
              coalesce(sum(changes.manifest_bytes), 0)::bigint AS manifest_bytes,
              coalesce(sum(changes.registry_blobs), 0)::bigint AS blobs,
              coalesce(sum(changes.registry_blob_bytes), 0)::bigint AS blob_bytes
         FROM usage_changes AS changes
        WHERE changes.namespace_id >= 0) AS pending
 WHERE usage.is_only;

CREATE OR REPLACE FUNCTION start_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, namespace_id FROM new_rows;
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, count(*) FROM new_rows GROUP BY 1;
    PERFORM obey_repository_quota(ARRAY(SELECT DISTINCT namespace_id FROM new_rows));
    RETURN NULL;
END $$;

-- Its usage goes with it, after its content has gone.
CREATE FUNCTION end_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, -count(*) FROM old_rows GROUP BY 1;
    RETURN NULL;
END $$;
CREATE TRIGGER end_usage AFTER DELETE ON repositories REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION end_repository_usage();

-- Whose figures are about to change, in one order, as everywhere. To change a single one locks it as well.
CREATE FUNCTION lock_usage(ids bigint[]) RETURNS void LANGUAGE sql AS $$
    SELECT FROM repository_usage WHERE repository_id = ANY (ids) ORDER BY repository_id FOR NO KEY UPDATE
$$;

CREATE OR REPLACE FUNCTION count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
    moment timestamptz := CASE TG_OP WHEN 'INSERT' THEN now() ELSE '-infinity' END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    IF cardinality(ids) > 1 THEN PERFORM lock_usage(ids); END IF;
    WITH counted AS (
        UPDATE repository_usage AS usage
           SET manifests = usage.manifests + sign * delta.count,
               manifest_bytes = usage.manifest_bytes + sign * delta.bytes,
               pushed_at = greatest(usage.pushed_at, moment), untagged_scan_due = true
          FROM (SELECT repository_id, count(*) AS count, sum(length(payload)) AS bytes FROM changed GROUP BY 1) AS delta
         WHERE usage.repository_id = delta.repository_id
        RETURNING usage.namespace_id, delta.count, delta.bytes
    )
    INSERT INTO usage_changes (namespace_id, manifests, manifest_bytes, pushed_at)
    SELECT namespace_id, sign * sum(count), sign * sum(bytes), moment FROM counted GROUP BY 1;
    INSERT INTO repository_kinds AS kinds (repository_id, kind, manifests)
    SELECT repository_id, kind, sign * count(*) FROM changed GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (repository_id, kind) DO UPDATE SET manifests = kinds.manifests + excluded.manifests;
    -- Where nobody has a quota, asking that is all that it costs.
    IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM quotas WHERE namespace > '') THEN
        PERFORM obey_quota(usage.namespace_id, sum(length(payload))::bigint)
           FROM changed JOIN repository_usage AS usage USING (repository_id) GROUP BY usage.namespace_id;
    END IF;
    RETURN NULL;
END $$;

-- Pushed again, maybe as another media type.
CREATE FUNCTION recount_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM new_rows);
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    INSERT INTO repository_kinds AS kinds (repository_id, kind, manifests)
    SELECT repository_id, kind, sum(count)
      FROM (SELECT repository_id, kind, 1 AS count FROM new_rows
             UNION ALL SELECT repository_id, kind, -1 FROM old_rows) AS delta
     GROUP BY 1, 2 HAVING sum(count) <> 0 ORDER BY 1, 2
    ON CONFLICT (repository_id, kind) DO UPDATE SET manifests = kinds.manifests + excluded.manifests;
    IF coalesce(current_setting('slipway.describing', true), '') <> '' THEN RETURN NULL; END IF;
    UPDATE repository_usage SET pushed_at = now() WHERE repository_id = ANY (ids);
    INSERT INTO usage_changes (namespace_id, pushed_at)
    SELECT DISTINCT namespace_id, now() FROM repository_usage WHERE repository_id = ANY (ids);
    RETURN NULL;
END $$;
CREATE TRIGGER count_updated AFTER UPDATE ON manifests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION recount_manifests();

CREATE OR REPLACE FUNCTION count_tags() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    IF cardinality(ids) > 1 THEN PERFORM lock_usage(ids); END IF;
    WITH counted AS (
        UPDATE repository_usage AS usage SET tags = usage.tags + sign * delta.count, untagged_scan_due = true
          FROM (SELECT repository_id, count(*) AS count FROM changed GROUP BY 1) AS delta
         WHERE usage.repository_id = delta.repository_id
        RETURNING usage.namespace_id, delta.count
    )
    INSERT INTO usage_changes (namespace_id, tags) SELECT namespace_id, sign * sum(count) FROM counted GROUP BY 1;
    RETURN NULL;
END $$;

-- What a tag left may be reached by none.
CREATE FUNCTION untagged_scan_after_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE repository_usage SET untagged_scan_due = true
     WHERE NOT untagged_scan_due AND repository_id IN (
           SELECT repository_id FROM old_rows JOIN new_rows USING (repository_id, name)
            WHERE old_rows.manifest_id <> new_rows.manifest_id);
    RETURN NULL;
END $$;
CREATE TRIGGER untagged_scan_after_move AFTER UPDATE ON tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION untagged_scan_after_move();

CREATE OR REPLACE FUNCTION count_links() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    UPDATE repository_usage AS usage
       SET blobs = usage.blobs + sign * delta.count, blob_bytes = usage.blob_bytes + sign * delta.bytes,
           untagged_scan_due = true
      FROM (SELECT repository_id, count(*) AS count, sum(size) AS bytes FROM changed GROUP BY 1) AS delta
     WHERE usage.repository_id = delta.repository_id;
    -- Upserted in key order: two repositories that link the same blob at once wait for each other here alone.
    INSERT INTO namespace_blobs AS shared (namespace_id, digest, size, links)
    SELECT usage.namespace_id, digest, min(size), sign * count(*)
      FROM changed JOIN repository_usage AS usage USING (repository_id)
     GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (namespace_id, digest) DO UPDATE SET links = shared.links + excluded.links;
    DELETE FROM namespace_blobs AS shared
     USING (SELECT DISTINCT usage.namespace_id, digest
              FROM changed JOIN repository_usage AS usage USING (repository_id)) AS delta
     WHERE shared.namespace_id = delta.namespace_id AND shared.digest = delta.digest AND shared.links = 0;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_namespace_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, blobs, blob_bytes)
    SELECT namespace_id, sign * count(*), sign * sum(size) FROM changed GROUP BY 1;
    IF TG_OP = 'INSERT' THEN
        PERFORM obey_quota(namespace_id, sum(size)::bigint) FROM changed GROUP BY namespace_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION count_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, registry_blobs, registry_blob_bytes)
    SELECT 0, sign * count(*), sign * sum(size) FROM changed HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON blobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_blobs();
CREATE TRIGGER count_deleted AFTER DELETE ON blobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_blobs();
