-- An existing registry that is moved in. Its blobs stay where they are, under the names that they have; the rest is read
-- repository by repository, and object by object where somebody asks first. Words: a *source* is a registry that is moved
-- in; it is *open* from its start until it is sealed; a *listed* tag is one as the source has it.

-- One row for each registry. `prefix` is what the names of its objects begin with in the bucket of this registry; NULL
-- where it lies elsewhere. It always ends as a layout does: an empty one would hold back all objects of ours.
-- `mark` is what is written beside the layout, so that no second registry takes the same bucket.
-- `listed_at` tells whether all names are known; until then a name that isn't here may be the source's all the same.
-- added: nothing happens yet
-- opening: what it has is held; nothing is taken over before the last deletion from before is over
-- listing: its names are being read; open: they all are
-- paused: nobody works at it, for the `reason`; what is held stays held, and what is asked for is fetched
-- sealing, sealed: the last steps, and the end of it
CREATE TABLE import_sources (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('layout', 'registry')),
    address text COLLATE "C" NOT NULL,
    prefix text COLLATE "C" CHECK (prefix LIKE '%docker/registry/v2/'),
    mark uuid NOT NULL DEFAULT gen_random_uuid(),
    mode text NOT NULL DEFAULT 'follow' CHECK (mode IN ('follow', 'lead')),
    state text NOT NULL DEFAULT 'added'
          CHECK (state IN ('added', 'opening', 'listing', 'open', 'paused', 'sealing', 'sealed')),
    reason text,
    untagged text NOT NULL DEFAULT 'grace' CHECK (untagged IN ('grace', 'keep')),
    workers int NOT NULL DEFAULT 8 CHECK (workers BETWEEN 1 AND 64),
    options jsonb NOT NULL DEFAULT '{}',
    counts jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    opened_at timestamptz,
    listed_at timestamptz,
    sealed_at timestamptz
);
CREATE UNIQUE INDEX import_sources_mark ON import_sources (mark);
CREATE UNIQUE INDEX import_sources_address ON import_sources (address) WHERE state <> 'sealed';
-- Asked by each collection and by each write: without a source it is an index without entries.
CREATE INDEX import_sources_open ON import_sources (id) WHERE state NOT IN ('added', 'sealed');

-- Who decides where it isn't the source's own mode: of the patterns that fit a repository the latest.
CREATE TABLE import_modes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    pattern text COLLATE "C" NOT NULL,
    pattern_regex text COLLATE "C" NOT NULL,
    pattern_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(pattern)) STORED,
    pattern_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(pattern)) STORED,
    mode text NOT NULL CHECK (mode IN ('follow', 'lead')),
    UNIQUE (source_id, pattern)
);
CREATE INDEX import_modes_latest ON import_modes (source_id, id);

-- Pieces of what is gone through from one end to the other; gone once that is done. Of a listing: the names from `start`
-- on, up to but not `stop`, and `cursor` is the last that was read. A verification goes by the ids of import_repositories,
-- a rehash by digests, of as many of a hundred as `start` says.
CREATE TABLE import_ranges (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    tree text NOT NULL CHECK (tree IN ('blobs', 'repositories', 'verification', 'rehash')),
    start text COLLATE "C" NOT NULL,
    stop text COLLATE "C",
    cursor text COLLATE "C" NOT NULL DEFAULT '',
    lease bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts int NOT NULL DEFAULT 0,
    error text
);
CREATE UNIQUE INDEX import_ranges_pieces ON import_ranges (source_id, tree, start);
CREATE INDEX import_ranges_due ON import_ranges (source_id, lease_until, id);

-- As many rows as workers may be at a source at once. Whoever takes one has it until `lease_until`, or leaves it before.
CREATE TABLE import_places (
    source_id bigint NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    number int NOT NULL,
    lease bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (source_id, number)
);

-- One row for each repository of a source. `path` is its name there, `name` the one that it gets here: no two sources
-- have the same; NULL if it is refused. `repository_id` is the repository here, once something of it is here; it stays
-- when that is renamed.
-- listed: nothing or little of it is here; what is asked for is fetched by itself
-- importing: a worker is at it
-- imported: all of it is here; what is missing now is missing
-- refused: it can't be imported; import_problems says why
-- handed_back: the source decides about it again, and for good
-- dropped: it was deleted here, and stays so
-- `lease` is raised by each claim, and every step ends unless it is still the one that was claimed: a worker that slept
-- past `lease_until` writes nothing. `due_at` is when somebody is to look at it: NULL for never; `asked_at` when a client
-- asked for something of it, which puts it first. `export_due_at` is when what differs is to be written back there, once
-- every transaction that was under way at `export_after` is over; then it is handed back, if `is_handing_back`.
CREATE TABLE import_repositories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    path text COLLATE "C" NOT NULL,
    name text COLLATE "C",
    repository_id bigint,
    state text NOT NULL DEFAULT 'listed'
          CHECK (state IN ('listed', 'importing', 'imported', 'refused', 'handed_back', 'dropped')),
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    links bigint NOT NULL DEFAULT 0,
    objects bigint NOT NULL DEFAULT 0,
    oldest timestamptz,
    newest timestamptz,
    cursor text COLLATE "C" NOT NULL DEFAULT '',
    lease bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    due_at timestamptz DEFAULT now(),
    asked_at timestamptz,
    attempts int NOT NULL DEFAULT 0,
    error text,
    imported_at timestamptz,
    compared_at timestamptz,
    exported_at timestamptz,
    export_due_at timestamptz,
    export_after xid8 NOT NULL DEFAULT pg_current_xact_id(),
    is_handing_back boolean NOT NULL DEFAULT false,
    CONSTRAINT import_repositories_name UNIQUE (name),
    CONSTRAINT import_repositories_path UNIQUE (source_id, path)
);
CREATE INDEX import_repositories_here ON import_repositories (repository_id) WHERE repository_id IS NOT NULL;
-- For lists, which show these beside what is here: with almost all imported, the rest is found without passing those by.
CREATE INDEX import_repositories_old ON import_repositories (name) WHERE state IN ('listed', 'importing');
CREATE INDEX import_repositories_due ON import_repositories (source_id, due_at, objects) WHERE due_at IS NOT NULL;
CREATE INDEX import_repositories_export ON import_repositories (export_due_at) WHERE export_due_at IS NOT NULL;
CREATE INDEX import_repositories_asked ON import_repositories (source_id, asked_at)
 WHERE asked_at IS NOT NULL AND state IN ('listed', 'importing');
-- In the order in which a listing of objects has them.
CREATE INDEX import_repositories_order ON import_repositories (source_id, (path || '/_'));
CREATE INDEX import_repositories_states ON import_repositories (source_id, state, id);

-- One row for each tag of a source, until that is sealed: what the tag names there, and since when. It is the list before
-- an import, and what is compared with after it. `generation` only grows. Imported tags have `updated_at` as it is here:
-- a tag with the same digest and another time was pushed to this registry.
-- listed: not here yet; applied: it was put in as it is; overruled: something else was here first.
CREATE TABLE import_tags (
    import_id bigint NOT NULL REFERENCES import_repositories ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    generation bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'listed' CHECK (state IN ('listed', 'applied', 'overruled')),
    PRIMARY KEY (import_id, name)
);
CREATE INDEX import_tags_digest ON import_tags (import_id, digest);
CREATE INDEX import_tags_listed ON import_tags (import_id, name) WHERE state = 'listed';

-- What somebody deleted here while a source was open: a tag, or a manifest by its digest. It must not come back from the
-- source. By the name that the repository has in import_repositories, and not by that row: it need not be there yet.
CREATE TABLE import_deleted (
    repository text COLLATE "C" NOT NULL,
    tag text COLLATE "C" NOT NULL DEFAULT '',
    digest bytea NOT NULL DEFAULT '',
    PRIMARY KEY (repository, tag, digest)
);

-- What could not be imported, or only in part, or had to be repaired. `repository` is a path of the source, '' for the
-- source as a whole; `key` a tag, a digest or an object's name. What is found again is no new row; what was found to be
-- right since has `gone_at`.
CREATE TABLE import_problems (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id bigint NOT NULL REFERENCES import_sources ON DELETE CASCADE,
    repository text COLLATE "C" NOT NULL DEFAULT '',
    kind text NOT NULL CHECK (kind IN ('repository', 'tag', 'manifest', 'layer', 'blob', 'object')),
    key text COLLATE "C" NOT NULL DEFAULT '',
    reason text NOT NULL CHECK (reason IN (
        'name', 'tag_name', 'link_broken', 'link_missing', 'manifest_missing', 'manifest_empty', 'manifest_digest',
        'manifest_json', 'manifest_refused', 'manifest_too_large', 'schema1', 'child_missing', 'blob_missing',
        'blob_size', 'blob_digest', 'link_repaired', 'tag_repaired', 'conflict', 'stray', 'unreadable')),
    detail text NOT NULL DEFAULT '',
    seen_at timestamptz NOT NULL DEFAULT now(),
    gone_at timestamptz,
    CONSTRAINT import_problems_once UNIQUE (source_id, repository, kind, key)
);
CREATE INDEX import_problems_open ON import_problems (source_id, id) WHERE gone_at IS NULL;
CREATE INDEX import_problems_reasons ON import_problems (source_id, reason, id) WHERE gone_at IS NULL;

-- What is imported without a tag was kept for ever where it comes from. What nothing named there is looked at later still.
INSERT INTO gc_settings (event, grace) VALUES ('import', interval '90 days'), ('orphan', interval '30 days')
ON CONFLICT (event) DO NOTHING;

CREATE FUNCTION digest_text(digest bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE get_byte(digest, 0) WHEN 1 THEN 'sha256:' ELSE 'sha512:' END || encode(substr(digest, 2), 'hex')
$$;

CREATE FUNCTION is_import_open() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed'))
$$;

-- Whoever claims deletions at this moment decides by what it saw before: it is waited for, and whoever comes later sees
-- what this transaction has written.
CREATE FUNCTION lock_deletions() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    LOCK TABLE deletions IN SHARE ROW EXCLUSIVE MODE;
END $$;

-- Whether this transaction is an import's own. Only import statements set it, to `links` or `content`; no request can.
CREATE FUNCTION is_importing() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('slipway.importing', true), '') <> ''
$$;

-- Whether the object belongs to a source that is not sealed: a repository that isn't imported yet may need it.
CREATE FUNCTION is_held(object text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM import_sources
                    WHERE state NOT IN ('added', 'sealed') AND prefix IS NOT NULL AND starts_with(object, prefix))
$$;

-- Whether somebody may still be deleting the object: an attempt was made, and less than an hour ago. An attempt puts the
-- next one off by 1, 2, 4, … minutes, at most a day.
CREATE FUNCTION is_being_deleted(attempts int, not_before timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT attempts > 0
       AND not_before - least(interval '1 minute' * power(2, least(attempts - 1, 20)), interval '1 day')
           > now() - interval '1 hour'
$$;

-- follow: the source decides about the repository; lead: this registry does.
CREATE FUNCTION import_mode(source bigint, repository text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT modes.mode FROM import_modes AS modes
                      WHERE modes.source_id = source AND repository LIKE modes.pattern_like
                        AND glob_fits(repository, modes.pattern, modes.pattern_form, modes.pattern_regex)
                      ORDER BY modes.id DESC LIMIT 1),
                    (SELECT mode FROM import_sources WHERE id = source))
$$;

-- Whether the repository may hold less than it has in its source, or the source decides about it: what nothing names here
-- may be named there. Nobody knows of a repository without a row while a source is still being listed.
CREATE FUNCTION is_awaiting_import(repository bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE theirs record;
BEGIN
    IF NOT is_import_open() THEN RETURN false; END IF;
    SELECT old.state, import_mode(old.source_id, old.name) AS mode INTO theirs
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.repository_id = repository
        OR (old.repository_id IS NULL AND old.name = (SELECT here.name FROM repositories AS here WHERE here.id = repository));
    IF FOUND THEN
        RETURN theirs.state IN ('listed', 'importing') OR (theirs.state <> 'dropped' AND theirs.mode = 'follow');
    END IF;
    RETURN EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL);
END $$;

-- Whether the source decides about the repository of that name, so that it takes no writes here. Of a name that nobody has
-- listed yet that is so unless the repository of that name holds something already.
CREATE FUNCTION is_followed(of_repository text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE theirs record;
BEGIN
    -- What is copied over the other registry's API is pushed as all else is, but for this.
    IF is_importing() OR current_setting('slipway.copying', true) = 'on' OR NOT is_import_open() THEN
        RETURN false;
    END IF;
    SELECT old.state, import_mode(old.source_id, old.name) AS mode INTO theirs
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.repository_id = (SELECT here.id FROM repositories AS here WHERE here.name = of_repository)
        OR (old.repository_id IS NULL AND old.name = of_repository);
    IF FOUND THEN RETURN theirs.state <> 'dropped' AND theirs.mode = 'follow'; END IF;
    RETURN EXISTS (SELECT FROM import_sources
                    WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL
                      AND import_mode(id, of_repository) = 'follow')
       AND NOT EXISTS (SELECT FROM repositories AS here JOIN repository_usage AS held ON held.repository_id = here.id
                        WHERE here.name = of_repository AND held.manifests > 0);
END $$;

CREATE FUNCTION refuse_followed(of_repository text) RETURNS void LANGUAGE plpgsql STABLE AS $$ BEGIN
    IF is_followed(of_repository) THEN
        RAISE EXCEPTION USING ERRCODE = 'SW002',
            MESSAGE = format('%s is still decided about by the registry that it is imported from: write there',
                             of_repository);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION begin_push(of_repository text, tags text[], rank text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE key bigint;
BEGIN
    PERFORM claim_quota(split_part(of_repository, '/', 1), false);
    PERFORM FROM repositories WHERE name = of_repository FOR KEY SHARE;
    PERFORM refuse_followed(of_repository);
    FOR key IN
        SELECT DISTINCT hashtextextended(of_repository || ':' || tag, 0) AS key FROM unnest(tags) AS tag ORDER BY key
    LOOP
        PERFORM pg_advisory_xact_lock(key);
    END LOOP;
    RETURN set_config('slipway.rank', rank, true);
END $$;

-- A tag that somebody deletes. Of a repository that was dropped one row says it all; and one that has a name which an
-- imported one had before is another.
CREATE FUNCTION remember_deleted_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    PERFORM refuse_followed(here.name)
       FROM (SELECT DISTINCT repository_id AS id FROM old_rows) AS changed JOIN repositories AS here USING (id);
    INSERT INTO import_deleted (repository, tag)
    SELECT coalesce(theirs.name, here.name), old_rows.name
      FROM old_rows
      JOIN repositories AS here ON here.id = old_rows.repository_id
      LEFT JOIN import_repositories AS theirs
        ON theirs.repository_id = here.id OR (theirs.repository_id IS NULL AND theirs.name = here.name)
     WHERE theirs.state IS DISTINCT FROM 'dropped'
       AND (theirs.id IS NOT NULL
            OR NOT EXISTS (SELECT FROM import_repositories AS renamed WHERE renamed.name = here.name))
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER remember_deleted AFTER DELETE ON tags REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION remember_deleted_tags();

-- A manifest that somebody deletes where it would be fetched again. A collection passes those by, so it was a person.
CREATE FUNCTION remember_deleted_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    PERFORM refuse_followed(here.name)
       FROM (SELECT DISTINCT repository_id AS id FROM old_rows) AS changed JOIN repositories AS here USING (id);
    INSERT INTO import_deleted (repository, digest)
    SELECT here.name, old_rows.digest
      FROM old_rows
      JOIN (SELECT DISTINCT repository_id AS id FROM old_rows) AS changed ON changed.id = old_rows.repository_id
      JOIN repositories AS here ON here.id = changed.id
     WHERE is_awaiting_import(here.id)
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    -- With the tags that it has there, and not here yet.
    INSERT INTO import_deleted (repository, tag)
    SELECT theirs.name, listed.name
      FROM old_rows
      JOIN repositories AS here ON here.id = old_rows.repository_id
      JOIN import_repositories AS theirs ON theirs.name = here.name AND theirs.state IN ('listed', 'importing')
      JOIN import_tags AS listed
        ON listed.import_id = theirs.id AND listed.digest = old_rows.digest AND listed.state = 'listed'
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER remember_deleted AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION remember_deleted_manifests();

-- A push of what was deleted.
CREATE FUNCTION forget_deleted_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    DELETE FROM import_deleted AS gone
     USING new_rows JOIN repositories AS here ON here.id = new_rows.repository_id
     WHERE gone.repository = here.name AND gone.tag = '' AND gone.digest = new_rows.digest;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_deleted AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION forget_deleted_manifests();

-- A repository that somebody deletes, whatever of it was here: nothing of it comes back.
CREATE FUNCTION drop_imported() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    PERFORM refuse_followed(name) FROM old_rows;
    UPDATE import_repositories AS theirs
       SET state = 'dropped', repository_id = NULL, due_at = NULL, asked_at = NULL
      FROM old_rows
     WHERE (theirs.repository_id = old_rows.id OR (theirs.repository_id IS NULL AND theirs.name = old_rows.name))
       AND theirs.state <> 'refused';
    RETURN NULL;
END $$;
CREATE TRIGGER drop_imported AFTER DELETE ON repositories REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION drop_imported();

-- Objects of an open source are kept out of the way of whoever claims deletions, which passes them by; its seal dates
-- them.
CREATE OR REPLACE FUNCTION queue_deletion_of_blobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, CASE WHEN is_held(object_name) THEN 'infinity' ELSE now() + grace('delete') END
      FROM old_rows ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION queue_deletion_of_replaced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    VALUES (OLD.object_name, OLD.size,
            CASE WHEN is_held(OLD.object_name) THEN 'infinity' ELSE now() + grace('delete') END)
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

-- What follows is as it was, but for what an import's own transaction has its own way of: it queues its reviews itself,
-- it takes the times as they are in the source, what exists is not refused by a quota or by a rule about new tags, and
-- configs are read at a rate that a collection manages by the way.

-- Links come before the manifests that name them, in a transaction of their own: each has its review as after an upload,
-- so that a crash, a move or a deletion between the two leaves nothing that nobody looks at.
CREATE OR REPLACE FUNCTION review_new_links() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('slipway.importing', true) = 'content' THEN RETURN NULL; END IF;
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest, now() + grace('upload', repository_id), 'upload'
      FROM new_rows ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION review_pushed_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() THEN RETURN NULL; END IF;
    PERFORM review_manifests(ARRAY(SELECT id FROM new_rows), 'push');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    IF cardinality(ids) > 1 THEN PERFORM lock_usage(ids); END IF;
    WITH counted AS (
        UPDATE repository_usage AS usage
           SET manifests = usage.manifests + sign * delta.count,
               manifest_bytes = usage.manifest_bytes + sign * delta.bytes,
               pushed_at = greatest(usage.pushed_at, delta.moment), untagged_scan_due = true
          FROM (SELECT repository_id, count(*) AS count, sum(length(payload)) AS bytes,
                       CASE TG_OP WHEN 'INSERT' THEN max(pushed_at) ELSE '-infinity' END AS moment
                  FROM changed GROUP BY 1) AS delta
         WHERE usage.repository_id = delta.repository_id
        RETURNING usage.namespace_id, delta.count, delta.bytes, delta.moment
    )
    INSERT INTO usage_changes (namespace_id, manifests, manifest_bytes, pushed_at)
    SELECT namespace_id, sign * sum(count), sign * sum(bytes), max(moment) FROM counted GROUP BY 1;
    INSERT INTO repository_kinds AS kinds (repository_id, kind, manifests)
    SELECT repository_id, kind, sign * count(*) FROM changed GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (repository_id, kind) DO UPDATE SET manifests = kinds.manifests + excluded.manifests;
    -- Where nobody has a quota, asking that is all that it costs.
    IF TG_OP = 'INSERT' AND NOT is_importing() AND EXISTS (SELECT FROM quotas WHERE namespace > '') THEN
        PERFORM obey_quota(usage.namespace_id, sum(length(payload))::bigint)
           FROM changed JOIN repository_usage AS usage USING (repository_id) GROUP BY usage.namespace_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_namespace_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, blobs, blob_bytes)
    SELECT namespace_id, sign * count(*), sign * sum(size) FROM changed GROUP BY 1;
    IF TG_OP = 'INSERT' AND NOT is_importing() THEN
        PERFORM obey_quota(namespace_id, sum(size)::bigint) FROM changed GROUP BY namespace_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION start_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, namespace_id FROM new_rows;
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, count(*) FROM new_rows GROUP BY 1;
    IF NOT is_importing() THEN
        PERFORM obey_repository_quota(ARRAY(SELECT DISTINCT namespace_id FROM new_rows));
    END IF;
    RETURN NULL;
END $$;

-- Twenty a second behind the last that waits: a run of the collection has no more of them than it does by the way.
CREATE OR REPLACE FUNCTION queue_platforms() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_importing() THEN
        INSERT INTO platforms (manifest_id, look_after)
        SELECT new_rows.id, last.look_after + row_number() OVER (ORDER BY new_rows.id) * interval '50 milliseconds'
          FROM new_rows
         CROSS JOIN (SELECT greatest(now(), max(look_after)) AS look_after
                       FROM platforms WHERE look_after IS NOT NULL) AS last
         WHERE new_rows.kind = 'image' AND new_rows.config_digest IS NOT NULL
         ORDER BY new_rows.id;
        RETURN NULL;
    END IF;
    INSERT INTO platforms (manifest_id)
    SELECT id FROM new_rows WHERE kind = 'image' AND config_digest IS NOT NULL ORDER BY id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION obey_tag_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched tags := coalesce(OLD, NEW);
    repository text;
    refusal text;
BEGIN
    IF TG_OP = 'INSERT' AND is_importing() THEN RETURN NEW; END IF;
    IF TG_OP = 'UPDATE' AND OLD.manifest_id = NEW.manifest_id THEN RETURN NEW; END IF;
    SELECT name INTO repository FROM repositories
     WHERE id = touched.repository_id
       AND EXISTS (SELECT FROM tag_rules WHERE tag_rules.namespace IN ('', split_part(repositories.name, '/', 1)));
    IF NOT FOUND THEN RETURN coalesce(NEW, OLD); END IF;
    refusal := tag_refusal(repository, touched.name, TG_OP = 'INSERT', caller_rank());
    IF TG_OP <> 'INSERT' THEN
        refusal := coalesce(refusal, deletion_refusal(repository, touched.name, caller_rank()));
    END IF;
    IF TG_OP = 'INSERT' AND refusal IS NOT NULL THEN
        PERFORM FROM tags WHERE repository_id = NEW.repository_id AND name = NEW.name FOR UPDATE;
        IF FOUND THEN RETURN NEW; END IF;
    END IF;
    PERFORM refuse(refusal);
    RETURN coalesce(NEW, OLD);
END $$;
