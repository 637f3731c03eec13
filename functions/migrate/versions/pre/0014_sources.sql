-- Manifests that belong to nothing that is tagged may be left where they are: `skip`. `left_out` is how many of a
-- repository were.
ALTER TABLE import_sources DROP CONSTRAINT import_sources_untagged_check;
ALTER TABLE import_sources ADD CONSTRAINT import_sources_untagged_check CHECK (untagged IN ('grace', 'keep', 'skip'));
ALTER TABLE import_repositories ADD COLUMN left_out bigint NOT NULL DEFAULT 0;

-- As it was, but that a repository's grace is asked for once, however many links come with it: an import brings
-- thousands at once.
CREATE OR REPLACE FUNCTION review_new_links() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('slipway.importing', true) = 'content' THEN RETURN NULL; END IF;
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT new_rows.repository_id, new_rows.digest, now() + of_one.grace, 'upload'
      FROM new_rows
      JOIN (SELECT linked.repository_id, grace('upload', linked.repository_id) AS grace
              FROM (SELECT DISTINCT repository_id FROM new_rows) AS linked
            OFFSET 0) AS of_one USING (repository_id)
     ORDER BY 1, 2
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

-- As it was, but that only a payload with an escape is gone through for those that no text can hold.
CREATE OR REPLACE FUNCTION manifest_document(payload bytea) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE content text := convert_from(payload, 'UTF8');
BEGIN
    IF strpos(content, '\u') > 0 THEN
        content := regexp_replace(content, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g');
    END IF;
    RETURN content::json;
END $$;
