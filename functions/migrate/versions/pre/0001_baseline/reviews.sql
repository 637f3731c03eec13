-- Review queues: a row says "may be garbage after review_after". Triggers write them, so that no path can forget;
-- they run once a statement and write in key order, so that two pushes never wait for each other crosswise.
-- A review that failed is rescheduled: `attempts` counts, `error` says why.

-- How long what became unreferenced is kept, by what happened to it. `delete` is how long an object outlives its row:
-- longer than any signed URL to it.
CREATE TABLE gc_settings (
    event text PRIMARY KEY,
    grace interval NOT NULL CHECK (grace >= interval '0' AND grace <= interval '1 year')
);
INSERT INTO gc_settings VALUES
    ('upload', '24 hours'),
    ('push', '24 hours'),
    ('untag', '24 hours'),
    ('cascade', '13 hours'),
    ('lease', '24 hours'),
    ('unlink', '0'),
    ('delete', '65 minutes');

CREATE TABLE manifest_reviews (
    manifest_id bigint PRIMARY KEY REFERENCES manifests ON DELETE CASCADE,
    review_after timestamptz NOT NULL,
    event text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    error text
);
CREATE INDEX manifest_reviews_due ON manifest_reviews (review_after);

CREATE TABLE link_reviews (
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    review_after timestamptz NOT NULL,
    event text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    error text,
    PRIMARY KEY (repository_id, digest),
    FOREIGN KEY (repository_id, digest) REFERENCES repository_blobs ON DELETE CASCADE
);
CREATE INDEX link_reviews_due ON link_reviews (review_after);

CREATE TABLE blob_reviews (
    digest bytea PRIMARY KEY REFERENCES blobs ON DELETE CASCADE,
    review_after timestamptz NOT NULL,
    event text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    error text
);
CREATE INDEX blob_reviews_due ON blob_reviews (review_after);

-- A repository's own grace, if it has one, else the registry's for this event. The jitter spreads what was pushed at
-- once over a minute.
CREATE FUNCTION grace(happened text, repository bigint DEFAULT NULL) RETURNS interval STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN chosen = interval '0' THEN chosen ELSE chosen + random() * interval '1 minute' END
      FROM (SELECT coalesce((SELECT grace FROM repositories WHERE id = repository), grace) AS chosen
              FROM gc_settings WHERE event = happened) AS settings
$$;

-- An event never shortens what an earlier one promised.
CREATE FUNCTION review_manifests(ids bigint[], happened text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
    SELECT id, now() + grace(happened, repository_id), happened FROM manifests WHERE id = ANY (ids) ORDER BY id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after
$$;

-- Pushed, or pushed again.
CREATE FUNCTION review_pushed_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT id FROM new_rows), 'push');
    RETURN NULL;
END $$;
CREATE TRIGGER review_inserted AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_pushed_manifests();
-- A description that is written later (`slipway.describing`) is no push.
CREATE TRIGGER review_updated AFTER UPDATE ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (coalesce(current_setting('slipway.describing', true), '') = '')
    EXECUTE FUNCTION review_pushed_manifests();

-- The subject is gone: its referrers lived with it.
CREATE FUNCTION review_referrers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT referrer.id
          FROM old_rows JOIN manifests AS referrer
            ON referrer.repository_id = old_rows.repository_id AND referrer.subject = old_rows.digest), 'cascade');
    RETURN NULL;
END $$;
CREATE TRIGGER review_referrers AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_referrers();

-- The index is gone: its children lived with it.
CREATE FUNCTION review_children() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT child_id FROM old_rows), 'cascade');
    RETURN NULL;
END $$;
CREATE TRIGGER review_children AFTER DELETE ON manifest_children REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_children();

CREATE FUNCTION review_untagged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT manifest_id FROM old_rows), 'untag');
    RETURN NULL;
END $$;
CREATE TRIGGER review_untagged AFTER DELETE ON tags REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_untagged();

CREATE FUNCTION review_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT old_rows.manifest_id
          FROM old_rows JOIN new_rows USING (repository_id, name)
         WHERE old_rows.manifest_id <> new_rows.manifest_id), 'untag');
    RETURN NULL;
END $$;
CREATE TRIGGER review_moved AFTER UPDATE ON tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_moved();

-- A manifest that named the blobs is gone.
CREATE FUNCTION review_released_links() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest, now() + grace('cascade', repository_id), 'cascade'
      FROM (SELECT DISTINCT repository_id, digest FROM old_rows) AS released
      JOIN repository_blobs USING (repository_id, digest)
     ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;
CREATE TRIGGER review_released AFTER DELETE ON manifest_blobs REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_released_links();
CREATE TRIGGER review_released AFTER DELETE ON sparse_references REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_released_links();

-- As for an index's children, where they came after it.
CREATE FUNCTION review_sparse_children() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT id FROM old_rows JOIN manifests USING (repository_id, digest)), 'cascade');
    RETURN NULL;
END $$;
CREATE TRIGGER review_children AFTER DELETE ON sparse_references REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_sparse_children();

-- Uploaded or mounted, for the first time or again.
CREATE FUNCTION review_new_links() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest, now() + grace('upload', repository_id), 'upload'
      FROM new_rows ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;
CREATE TRIGGER review_inserted AFTER INSERT ON repository_blobs REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_new_links();
CREATE TRIGGER review_updated AFTER UPDATE ON repository_blobs REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_new_links();

CREATE FUNCTION review_unlinked_blobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO blob_reviews AS review (digest, review_after, event)
    SELECT digest, now() + grace('unlink'), 'unlink'
      FROM (SELECT DISTINCT digest FROM old_rows) AS unlinked JOIN blobs USING (digest)
     ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;
CREATE TRIGGER review_unlinked AFTER DELETE ON repository_blobs REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_unlinked_blobs();

-- Whether a tag reaches a manifest: it has one itself, or an index that lists it is reached, or its subject is. What is
-- above it and still in grace reaches it too, unless only tags are asked for: a child lives as long as its index, and a
-- referrer as long as its subject. Its own grace is no reason, or a circle would never end: whatever is due last in one
-- finds nothing else in grace. Upwards, level by level, until something is found or nothing is left; every manifest is
-- visited once.
CREATE FUNCTION is_reached(manifest bigint, only_by_tags boolean DEFAULT false) RETURNS boolean
STABLE LANGUAGE plpgsql AS $$
DECLARE
    visited bigint[] := ARRAY[manifest];
    level bigint[] := visited;
BEGIN
    WHILE level <> '{}' LOOP
        IF EXISTS (SELECT FROM tags WHERE manifest_id = ANY (level)) THEN RETURN true; END IF;
        IF NOT only_by_tags AND level <> ARRAY[manifest] AND EXISTS (
            SELECT FROM manifest_reviews WHERE manifest_id = ANY (level) AND review_after > now())
        THEN RETURN true; END IF;
        level := ARRAY(
            SELECT parent_id FROM manifest_children WHERE child_id = ANY (level)
            UNION
            SELECT sparse.manifest_id
              FROM manifests AS child
              JOIN sparse_references AS sparse
                ON sparse.repository_id = child.repository_id AND sparse.digest = child.digest
             WHERE child.id = ANY (level)
            UNION
            SELECT subject.id
              FROM manifests AS referrer
              JOIN manifests AS subject
                ON subject.repository_id = referrer.repository_id AND subject.digest = referrer.subject
             WHERE referrer.id = ANY (level)
            EXCEPT
            SELECT unnest(visited));
        visited := visited || level;
    END LOOP;
    RETURN false;
END $$;

-- Untagged manifests are kept no longer: all of them may be garbage now.
CREATE FUNCTION review_kept_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT manifests.id
          FROM old_rows
          JOIN new_rows ON new_rows.id = old_rows.id AND old_rows.keep_untagged AND NOT new_rows.keep_untagged
          JOIN manifests ON manifests.repository_id = new_rows.id
         WHERE NOT EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id)), 'untag');
    RETURN NULL;
END $$;
CREATE TRIGGER review_kept AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_kept_manifests();
