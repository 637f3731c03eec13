-- What was deleted can be put back for as long as `undo` says: of a repository, else of its namespace, else the
-- registry's. What a tag was moved away from is kept by the grace `untag`, as before.
INSERT INTO gc_settings (event, grace) VALUES ('undo', interval '7 days') ON CONFLICT (event) DO NOTHING;
ALTER TABLE namespaces ADD COLUMN undo interval
    CONSTRAINT namespaces_undo CHECK (undo >= interval '0' AND undo <= interval '1 year');
-- A repository that is deleted is set aside under the name NAME@ID, which no client can say, until `deleted_until`.
ALTER TABLE repositories
    ADD COLUMN undo interval CONSTRAINT repositories_undo CHECK (undo >= interval '0' AND undo <= interval '1 year'),
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN deleted_until timestamptz,
    ADD COLUMN deleted_by text;
CREATE INDEX repositories_deleted ON repositories (deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX repositories_deleted_until ON repositories (deleted_until, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX repositories_deleted_of ON repositories (namespace_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
-- Since when a tag names what it names; null for one that did so before there was a history, and has not moved since.
-- `restored_at` is when it was put back: what cleans up leaves it alone for a while.
ALTER TABLE tags ADD COLUMN named_at timestamptz, ADD COLUMN restored_at timestamptz;
ALTER TABLE tags ALTER COLUMN named_at SET DEFAULT clock_timestamp();
-- What would be free at once if nothing could be put back, of what no manifest names; as of the last untagged scan.
ALTER TABLE repository_usage ADD COLUMN restorable_bytes bigint NOT NULL DEFAULT 0;

-- Who changes something in this transaction, and why, as it was told (`tell`). An import says so in its own way.
CREATE FUNCTION change_actor() RETURNS text STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('slipway.actor', true), ''), 'unknown')
$$;
CREATE FUNCTION change_cause() RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN is_importing() THEN 'import'
                ELSE coalesce(nullif(current_setting('slipway.cause', true), ''), 'unknown') END
$$;
-- A collection deletes what nobody can put back any more, a purge what nobody shall: both know no window.
CREATE FUNCTION is_final() RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT coalesce(current_setting('slipway.cause', true), '') IN ('collection', 'purge')
$$;

-- Without the jitter of graces: what a row promises must end no later than what it needs. In plpgsql its plan is kept.
CREATE FUNCTION undo_window(repository bigint) RETURNS interval STABLE LANGUAGE plpgsql AS $$ BEGIN
    RETURN (SELECT coalesce(undo, (SELECT namespaces.undo FROM namespaces WHERE namespaces.id = namespace_id),
                            (SELECT grace FROM gc_settings WHERE event = 'undo'), interval '0')
              FROM repositories WHERE id = repository);
END $$;
-- How long what is needed to put something back is kept: a minute longer than it can be put back.
CREATE FUNCTION undo_floor(repository bigint) RETURNS interval STABLE LANGUAGE plpgsql AS $$
DECLARE undo interval := undo_window(repository);
BEGIN
    RETURN CASE WHEN undo > interval '0' THEN undo + interval '1 minute' ELSE undo END;
END $$;

-- The window is a floor under the graces of what is deleted. grace() itself stays as it is: every push calls it.
CREATE FUNCTION review_deleted(ids bigint[], happened text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF is_final() THEN
        PERFORM review_manifests(ids, happened);
        RETURN;
    END IF;
    INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
    SELECT id, now() + greatest(grace(happened, repository_id), undo_floor(repository_id)), happened
      FROM manifests WHERE id = ANY (ids) ORDER BY id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
END $$;

CREATE OR REPLACE FUNCTION review_untagged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_deleted(ARRAY(SELECT manifest_id FROM old_rows), 'untag');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION review_referrers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_deleted(ARRAY(
        SELECT referrer.id
          FROM old_rows JOIN manifests AS referrer
            ON referrer.repository_id = old_rows.repository_id AND referrer.subject = old_rows.digest), 'cascade');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION review_children() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_deleted(ARRAY(SELECT child_id FROM old_rows), 'cascade');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION review_sparse_children() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM review_deleted(ARRAY(SELECT id FROM old_rows JOIN manifests USING (repository_id, digest)), 'cascade');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION review_released_links() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest,
           now() + CASE WHEN is_final() THEN grace('cascade', repository_id)
                        ELSE greatest(grace('cascade', repository_id), undo_floor(repository_id)) END,
           'cascade'
      FROM (SELECT DISTINCT repository_id, digest FROM old_rows) AS released
      JOIN repository_blobs USING (repository_id, digest)
     ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

-- Bindings of tags that ended; those of now are in `tags`. From `since` to `until` the tag named the digest; both are
-- the clock's, for a transaction begins before it has waited for the tag. `changed_at` is the transaction's: it tells
-- which tags went along with a manifest. The last four are what the tag had, so that it comes back as it was. There is
-- no foreign key to repositories: a tag's deletion and a repository's would lock the two in opposite orders.
CREATE TABLE tag_history (
    id bigint GENERATED ALWAYS AS IDENTITY,
    repository_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    size bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    cause text NOT NULL,
    actor text NOT NULL,
    is_move boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    pulls bigint NOT NULL,
    pulled_at timestamptz NOT NULL,
    PRIMARY KEY (repository_id, tag, id)
);
CREATE INDEX tag_history_of_repository ON tag_history (repository_id, until, id);
CREATE INDEX tag_history_until ON tag_history (until, id);

CREATE FUNCTION note_named_at() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.named_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER note_named_at BEFORE UPDATE OF manifest_id ON tags FOR EACH ROW
    WHEN (OLD.manifest_id <> NEW.manifest_id) EXECUTE FUNCTION note_named_at();

-- About a thousand rows of a tag: what is older goes, with each 128th row that is written.
CREATE FUNCTION trim_tag_history(repository bigint, of_tag text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM tag_history
     WHERE repository_id = repository AND tag = of_tag
       AND id <= (SELECT id FROM tag_history WHERE repository_id = repository AND tag = of_tag
                   ORDER BY id DESC OFFSET 1000 LIMIT 1);
END $$;

CREATE FUNCTION keep_deleted_tags() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE kept record;
BEGIN
    FOR kept IN
        INSERT INTO tag_history (repository_id, tag, digest, since, until, size, kind, cause, actor, is_move,
                                 created_at, updated_at, pulls, pulled_at)
        SELECT old_rows.repository_id, old_rows.name, manifests.digest,
               coalesce(old_rows.named_at, old_rows.updated_at), clock_timestamp(), old_rows.size, manifests.kind,
               change_cause(), change_actor(), false,
               old_rows.created_at, old_rows.updated_at, old_rows.pulls, old_rows.pulled_at
          FROM old_rows JOIN manifests ON manifests.id = old_rows.manifest_id
         ORDER BY old_rows.repository_id, old_rows.name
        RETURNING repository_id, tag, id
    LOOP
        IF kept.id % 128 = 0 THEN PERFORM trim_tag_history(kept.repository_id, kept.tag); END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION keep_moved_tags() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE kept record;
BEGIN
    FOR kept IN
        INSERT INTO tag_history (repository_id, tag, digest, since, until, size, kind, cause, actor, is_move,
                                 created_at, updated_at, pulls, pulled_at)
        SELECT old_rows.repository_id, old_rows.name, manifests.digest,
               coalesce(old_rows.named_at, old_rows.updated_at), new_rows.named_at, old_rows.size, manifests.kind,
               change_cause(), change_actor(), true,
               old_rows.created_at, old_rows.updated_at, old_rows.pulls, old_rows.pulled_at
          FROM old_rows
          JOIN new_rows USING (repository_id, name)
          JOIN manifests ON manifests.id = old_rows.manifest_id
         WHERE old_rows.manifest_id <> new_rows.manifest_id
         ORDER BY old_rows.repository_id, old_rows.name
        RETURNING repository_id, tag, id
    LOOP
        IF kept.id % 128 = 0 THEN PERFORM trim_tag_history(kept.repository_id, kept.tag); END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_deleted AFTER DELETE ON tags REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION keep_deleted_tags();
CREATE TRIGGER keep_moved AFTER UPDATE ON tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION keep_moved_tags();

-- A manifest that was deleted by its digest, as it was sent. `blobs` and `children` are what it held then: it did
-- without the rest, and does so again. Its repository's row outlives it, for its bytes are counted there.
CREATE TABLE withdrawn_manifests (
    repository_id bigint NOT NULL REFERENCES repositories,
    digest bytea NOT NULL,
    media_type text NOT NULL,
    kind text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    subject bytea,
    payload bytea NOT NULL,
    blobs bytea[] NOT NULL,
    children bytea[] NOT NULL,
    pushed_at timestamptz NOT NULL,
    withdrawn_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    cause text NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX withdrawn_manifests_until ON withdrawn_manifests (until);

-- What it names is found in its text, for what it held has gone with its row.
CREATE FUNCTION withdraw_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF is_final() THEN RETURN NULL; END IF;
    INSERT INTO withdrawn_manifests (repository_id, digest, media_type, kind, size, subject, payload, blobs, children,
                                     pushed_at, until, cause, actor)
    SELECT gone.repository_id, gone.digest, gone.media_type, gone.kind, gone.size, gone.subject, gone.payload,
           ARRAY(SELECT link.digest FROM repository_blobs AS link
                  WHERE link.repository_id = gone.repository_id AND link.digest = ANY (named.digests) ORDER BY 1),
           ARRAY(SELECT child.digest FROM manifests AS child
                  WHERE child.repository_id = gone.repository_id AND child.digest = ANY (named.digests)
                  UNION
                 SELECT child.digest FROM old_rows AS child
                  WHERE child.repository_id = gone.repository_id AND child.digest = ANY (named.digests)
                  ORDER BY 1),
           gone.pushed_at, now() + undo.span, change_cause(), change_actor()
      FROM old_rows AS gone
     CROSS JOIN LATERAL (SELECT undo_window(gone.repository_id) AS span) AS undo
     CROSS JOIN LATERAL (
           SELECT array_remove(array_agg(DISTINCT digest_bytes(found.digest)), gone.subject) AS digests
             FROM (SELECT (regexp_matches(convert_from(gone.payload, 'UTF8'), '"digest"\s*:\s*"([^"]+)"', 'g'))[1]
                          AS digest) AS found) AS named
     WHERE undo.span > interval '0'
     ORDER BY gone.repository_id, gone.digest
    ON CONFLICT (repository_id, digest) DO UPDATE
       SET until = greatest(withdrawn_manifests.until, excluded.until), withdrawn_at = excluded.withdrawn_at,
           blobs = excluded.blobs, children = excluded.children, cause = excluded.cause, actor = excluded.actor;
    RETURN NULL;
END $$;
CREATE TRIGGER withdraw AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION withdraw_manifests();

-- It is back: from now on its bytes are counted as the manifest's. What is left of its window it keeps, for pushed again
-- by its digest, or put back and overwritten, it would go sooner than if nobody had touched it. A row that a collector
-- has in hand is passed by: that one locks the row before the figures, and a push has the figures already.
CREATE FUNCTION end_withdrawal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    WITH back AS (
        DELETE FROM withdrawn_manifests AS gone
         USING (SELECT found.repository_id, found.digest, new_rows.id
                  FROM new_rows JOIN withdrawn_manifests AS found
                    ON found.repository_id = new_rows.repository_id AND found.digest = new_rows.digest
                 ORDER BY 1, 2
                   FOR UPDATE OF found SKIP LOCKED) AS locked
         WHERE gone.repository_id = locked.repository_id AND gone.digest = locked.digest
        RETURNING locked.id, gone.until
    )
    INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
    SELECT id, until + interval '1 minute', 'cascade' FROM back WHERE until > now() ORDER BY id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;
-- The first by name: the bytes go before they are counted anew, so that a full quota refuses nobody what is back.
CREATE TRIGGER a_end_withdrawal AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION end_withdrawal();

-- Bytes that are kept are paid for: by the repository, its namespace and the quota of that.
CREATE FUNCTION count_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    WITH counted AS (
        UPDATE repository_usage AS usage
           SET manifest_bytes = usage.manifest_bytes + sign * delta.bytes, untagged_scan_due = true
          FROM (SELECT repository_id, sum(length(payload)) AS bytes FROM changed GROUP BY 1) AS delta
         WHERE usage.repository_id = delta.repository_id
        RETURNING usage.namespace_id, delta.bytes
    )
    INSERT INTO usage_changes (namespace_id, manifest_bytes)
    SELECT namespace_id, sign * sum(bytes) FROM counted GROUP BY 1;
    RETURN NULL;
END $$;
CREATE TRIGGER count_inserted AFTER INSERT ON withdrawn_manifests REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_withdrawn();
CREATE TRIGGER count_deleted AFTER DELETE ON withdrawn_manifests REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_withdrawn();

-- The release before deletes a repository with its manifests, and knows nothing of what that leaves here.
CREATE FUNCTION drop_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM withdrawn_manifests WHERE repository_id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER drop_withdrawn BEFORE DELETE ON repositories FOR EACH ROW EXECUTE FUNCTION drop_withdrawn();

-- Why what was deleted can't be put back any more, or NULL if it can: what it held then has to be here, or to be put
-- back itself. Asked, never stored.
CREATE FUNCTION restore_refusal(repository bigint, wanted bytea) RETURNS text STABLE LANGUAGE plpgsql AS $$
DECLARE
    withdrawn record;
    missing bytea;
    refusal text;
BEGIN
    IF EXISTS (SELECT FROM manifests WHERE repository_id = repository AND digest = wanted) THEN RETURN NULL; END IF;
    SELECT blobs, children, until INTO withdrawn
      FROM withdrawn_manifests WHERE repository_id = repository AND digest = wanted AND until > now();
    IF NOT FOUND THEN RETURN format('manifest %s is collected', digest_text(wanted)); END IF;
    SELECT held.digest INTO missing
      FROM unnest(withdrawn.blobs) AS held (digest)
     WHERE NOT EXISTS (SELECT FROM repository_blobs AS link
                        WHERE link.repository_id = repository AND link.digest = held.digest)
     LIMIT 1;
    IF FOUND THEN RETURN format('layer %s was deleted', digest_text(missing)); END IF;
    FOREACH missing IN ARRAY withdrawn.children LOOP
        refusal := restore_refusal(repository, missing);
        IF refusal IS NOT NULL THEN RETURN refusal; END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Until when a manifest can be put back: NULL while nothing is about to take it away.
CREATE FUNCTION restorable_until(repository bigint, wanted bytea) RETURNS timestamptz STABLE LANGUAGE sql AS $$
    SELECT coalesce(
        (SELECT review.review_after
           FROM manifests JOIN manifest_reviews AS review ON review.manifest_id = manifests.id
          WHERE manifests.repository_id = repository AND manifests.digest = wanted),
        (SELECT until FROM withdrawn_manifests WHERE repository_id = repository AND digest = wanted))
$$;

-- A repository that is set aside is none of its namespace's any more, though its bytes are; on its way back it obeys the
-- quota. An import brings nothing of it back.
CREATE FUNCTION count_set_aside() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage_changes (namespace_id, repositories)
    VALUES (NEW.namespace_id, CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END);
    IF NEW.deleted_at IS NULL THEN PERFORM obey_repository_quota(ARRAY[NEW.namespace_id]); END IF;
    IF NEW.deleted_at IS NOT NULL AND is_import_open() THEN
        PERFORM refuse_followed(OLD.name);
        UPDATE import_repositories
           SET state = 'dropped', repository_id = NULL, due_at = NULL, asked_at = NULL
         WHERE (repository_id = OLD.id OR (repository_id IS NULL AND name = OLD.name)) AND state <> 'refused';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_set_aside AFTER UPDATE OF deleted_at ON repositories FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_set_aside();

CREATE OR REPLACE FUNCTION end_repository_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage_changes (namespace_id, repositories)
    SELECT namespace_id, -count(*) FROM old_rows WHERE deleted_at IS NULL GROUP BY 1;
    RETURN NULL;
END $$;

-- Rules were asked when the repository was set aside: what is collected of it is refused by none.
CREATE OR REPLACE FUNCTION obey_tag_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched tags := coalesce(OLD, NEW);
    repository text;
    refusal text;
BEGIN
    IF TG_OP = 'INSERT' AND is_importing() THEN RETURN NEW; END IF;
    IF TG_OP = 'UPDATE' AND OLD.manifest_id = NEW.manifest_id THEN RETURN NEW; END IF;
    SELECT name INTO repository FROM repositories
     WHERE id = touched.repository_id AND deleted_at IS NULL
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

-- What a quota's refusal tells of what a purge would free, as of the last untagged scans; NULL if that is nothing.
CREATE FUNCTION purge_advice(of_namespace text) RETURNS text STABLE LANGUAGE plpgsql AS $$
DECLARE
    freed bigint := (
        SELECT coalesce(sum(CASE WHEN repositories.deleted_at IS NULL THEN usage.untagged_bytes + usage.restorable_bytes
                                 ELSE usage.bytes END), 0)
          FROM namespaces
          JOIN repositories ON repositories.namespace_id = namespaces.id
          JOIN repository_usage AS usage ON usage.repository_id = repositories.id
         WHERE namespaces.name = of_namespace);
BEGIN
    RETURN CASE WHEN freed > 0
                THEN format('; up to %s bytes of it are deleted or untagged, and can be purged', freed) END;
END $$;

CREATE OR REPLACE FUNCTION quota_refusal(of_namespace text, used bigint, most bigint, needed bigint) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT format('the quota of namespace %s is %s bytes: %s are in use, and %s more are needed; delete something, or ask an administrator for more%s',
                  of_namespace, most, used, needed, purge_advice(of_namespace))
$$;
