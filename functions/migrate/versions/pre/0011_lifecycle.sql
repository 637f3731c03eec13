-- The tags that belong to a manifest by their names, as tag_subject reads them.
CREATE FUNCTION auxiliary_tags(subject bytea) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN get_byte(subject, 0) = 1
                THEN ARRAY(SELECT 'sha256-' || encode(substr(subject, 2), 'hex') || suffix
                             FROM unnest(ARRAY['', '.att', '.sbom', '.sig']) AS kind (suffix)) ELSE '{}' END
$$;

-- Tags whose subject was deleted here at `gone_at`. Only those: a tag whose subject never was in its repository belongs
-- to something elsewhere. There is no foreign key to tags, for it would lock a tag after the figures of its repository,
-- which a push of that tag locks the other way round.
CREATE TABLE tag_reviews (
    repository_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    review_after timestamptz NOT NULL,
    event text NOT NULL,
    gone_at timestamptz NOT NULL DEFAULT now(),
    attempts int NOT NULL DEFAULT 0,
    error text,
    PRIMARY KEY (repository_id, tag)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX tag_reviews_due ON tag_reviews (review_after);

-- As with referrers: the grace of what a subject held, and at least as long as that can be put back.
CREATE FUNCTION review_auxiliary_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO tag_reviews AS review (repository_id, tag, review_after, event)
    SELECT tags.repository_id, tags.name,
           now() + CASE WHEN is_final() THEN grace('cascade', tags.repository_id)
                        ELSE greatest(grace('cascade', tags.repository_id), undo_floor(tags.repository_id)) END,
           'cascade'
      FROM old_rows AS subject
     CROSS JOIN LATERAL unnest(auxiliary_tags(subject.digest)) AS auxiliary (name)
      JOIN tags ON tags.repository_id = subject.repository_id AND tags.name = auxiliary.name
     ORDER BY tags.repository_id, tags.name
    ON CONFLICT (repository_id, tag) DO UPDATE
       SET review_after = greatest(review.review_after, excluded.review_after), gone_at = excluded.gone_at;
    RETURN NULL;
END $$;
CREATE TRIGGER review_auxiliary_tags AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_auxiliary_tags();

-- What a plan would free, of which `bytes` is for the registry: what nothing else needs there.
ALTER TABLE retention_runs ADD COLUMN bytes_in_namespace bigint;

-- As before, but for the rows, which are found by their ids: where a run of retention takes tags of many repositories at
-- once, all rows of the table were read for each batch.
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
         WHERE usage.repository_id = delta.repository_id AND usage.repository_id = ANY (ids)
        RETURNING usage.namespace_id, delta.count
    )
    INSERT INTO usage_changes (namespace_id, tags) SELECT namespace_id, sign * sum(count) FROM counted GROUP BY 1;
    RETURN NULL;
END $$;
