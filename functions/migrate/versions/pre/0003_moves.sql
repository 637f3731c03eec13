-- A repository may change its name and its namespace: its figures go with it. All else names it by its id.
-- Whoever pushes holds its row (begin_push, and foreign keys), so a move waits for pushes, and they for it.

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
