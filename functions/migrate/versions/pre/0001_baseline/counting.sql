-- The triggers that keep usage: each counts once a statement, and locks repositories by id before it changes their
-- rows.

CREATE FUNCTION start_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, namespace_id FROM new_rows;
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, count(*) FROM new_rows GROUP BY 1;
    PERFORM obey_repository_quota(ARRAY(SELECT DISTINCT namespace_id FROM new_rows));
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

-- Its usage goes with it, after its content has gone.
CREATE FUNCTION end_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, -count(*) FROM old_rows GROUP BY 1;
    RETURN NULL;
END $$;
CREATE TRIGGER end_usage AFTER DELETE ON repositories REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION end_repository_usage();

-- The rows whose figures are about to change, in one order, as everywhere. To change a single one locks it as well.
CREATE FUNCTION lock_usage(ids bigint[]) RETURNS void LANGUAGE sql AS $$
    SELECT FROM repository_usage WHERE repository_id = ANY (ids) ORDER BY repository_id FOR NO KEY UPDATE
$$;

CREATE FUNCTION count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER count_inserted AFTER INSERT ON manifests REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_manifests();
CREATE TRIGGER count_deleted AFTER DELETE ON manifests REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_manifests();

-- A manifest was pushed again, maybe as another media type.
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

CREATE FUNCTION count_tags() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER count_inserted AFTER INSERT ON tags REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tags();
CREATE TRIGGER count_deleted AFTER DELETE ON tags REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tags();

-- What a tag left may be reached by none: an untagged scan is due.
CREATE FUNCTION untagged_scan_after_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE repository_usage SET untagged_scan_due = true
     WHERE NOT untagged_scan_due AND repository_id IN (
           SELECT repository_id FROM old_rows JOIN new_rows USING (repository_id, name)
            WHERE old_rows.manifest_id <> new_rows.manifest_id);
    RETURN NULL;
END $$;
CREATE TRIGGER untagged_scan_after_move AFTER UPDATE ON tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION untagged_scan_after_move();

CREATE FUNCTION count_links() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER count_inserted AFTER INSERT ON repository_blobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_links();
CREATE TRIGGER count_deleted AFTER DELETE ON repository_blobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_links();

CREATE FUNCTION count_namespace_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, blobs, blob_bytes)
    SELECT namespace_id, sign * count(*), sign * sum(size) FROM changed GROUP BY 1;
    IF TG_OP = 'INSERT' THEN
        PERFORM obey_quota(namespace_id, sum(size)::bigint) FROM changed GROUP BY namespace_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON namespace_blobs REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_namespace_blobs();
CREATE TRIGGER count_deleted AFTER DELETE ON namespace_blobs REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_namespace_blobs();

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

-- A repository may change its name and its namespace: its figures go with it. All else names it by its id. Whoever
-- pushes holds its row (begin_push, and foreign keys), so a move waits for pushes, and they for it.
CREATE FUNCTION move_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(
        SELECT new_rows.id FROM old_rows JOIN new_rows USING (id) WHERE old_rows.namespace_id <> new_rows.namespace_id);
    left_namespaces bigint[];
    left_digests bytea[];
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    INSERT INTO usage_changes (namespace_id, repositories, tags, manifests, manifest_bytes, pushed_at)
    SELECT side.namespace_id, sum(side.sign), sum(side.sign * usage.tags), sum(side.sign * usage.manifests),
           sum(side.sign * usage.manifest_bytes), max(usage.pushed_at)
      FROM repository_usage AS usage
      JOIN (SELECT id, namespace_id, 1 AS sign FROM new_rows
             UNION ALL SELECT id, namespace_id, -1 FROM old_rows) AS side ON side.id = usage.repository_id
     WHERE usage.repository_id = ANY (ids)
     GROUP BY 1;
    WITH changed AS (
        INSERT INTO namespace_blobs AS shared (namespace_id, digest, size, links)
        SELECT side.namespace_id, link.digest, min(link.size), sum(side.sign)
          FROM repository_blobs AS link
          JOIN (SELECT id, namespace_id, 1 AS sign FROM new_rows
                 UNION ALL SELECT id, namespace_id, -1 FROM old_rows) AS side ON side.id = link.repository_id
         WHERE link.repository_id = ANY (ids)
         GROUP BY 1, 2 HAVING sum(side.sign) <> 0 ORDER BY 1, 2
        ON CONFLICT (namespace_id, digest) DO UPDATE SET links = shared.links + excluded.links
        RETURNING namespace_id, digest, links
    )
    SELECT array_agg(namespace_id), array_agg(digest) INTO left_namespaces, left_digests FROM changed WHERE links = 0;
    -- By their keys: to look for the links that are 0 would be to look at all that move for each.
    DELETE FROM namespace_blobs AS shared
     USING unnest(left_namespaces, left_digests) AS emptied (namespace_id, digest)
     WHERE shared.namespace_id = emptied.namespace_id AND shared.digest = emptied.digest;
    UPDATE repository_usage AS usage SET namespace_id = new_rows.namespace_id
      FROM new_rows WHERE usage.repository_id = new_rows.id AND new_rows.id = ANY (ids);
    -- Blobs that came were looked at already, with the manifests.
    PERFORM obey_quota(namespace_id, sum(manifest_bytes)::bigint)
       FROM repository_usage WHERE repository_id = ANY (ids) GROUP BY namespace_id;
    PERFORM obey_repository_quota(ARRAY(SELECT DISTINCT namespace_id FROM new_rows WHERE id = ANY (ids)));
    RETURN NULL;
END $$;
CREATE TRIGGER move_usage AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION move_usage();
