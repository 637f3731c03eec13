-- The schema as all migrations leave it. Written by `make schema`; a test says when it is out of date.

CREATE FUNCTION public.condemn_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, now() + grace('delete') FROM old_rows ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.condemn_upload_objects() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, now() + grace('delete') FROM old_rows
     WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_name = old_rows.object_name)
     ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_namespace_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.grace(happened text, repository bigint DEFAULT NULL::bigint) RETURNS interval
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE WHEN chosen = interval '0' THEN chosen ELSE chosen + random() * interval '1 minute' END
      FROM (SELECT coalesce((SELECT grace FROM repositories WHERE id = repository), grace) AS chosen
              FROM gc_settings WHERE event = happened) AS settings
$$;

CREATE FUNCTION public.is_reached(manifest bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    visited bigint[] := ARRAY[manifest];
    level bigint[] := visited;
BEGIN
    WHILE level <> '{}' LOOP
        IF EXISTS (SELECT FROM tags WHERE manifest_id = ANY (level)) THEN RETURN true; END IF;
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

CREATE FUNCTION public.review_children() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT child_id FROM old_rows), 'cascade');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_kept_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT manifests.id
          FROM old_rows
          JOIN new_rows ON new_rows.id = old_rows.id AND old_rows.keep_untagged AND NOT new_rows.keep_untagged
          JOIN manifests ON manifests.repository_id = new_rows.id
         WHERE NOT EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id)), 'untag');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_manifests(ids bigint[], happened text) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
    SELECT id, now() + grace(happened, repository_id), happened FROM manifests WHERE id = ANY (ids) ORDER BY id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after
$$;

CREATE FUNCTION public.review_moved() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT old_rows.manifest_id
          FROM old_rows JOIN new_rows USING (repository_id, name)
         WHERE old_rows.manifest_id <> new_rows.manifest_id), 'untag');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_new_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest, now() + grace('upload', repository_id), 'upload'
      FROM new_rows ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_pushed_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT id FROM new_rows), 'push');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_referrers() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(
        SELECT referrer.id
          FROM old_rows JOIN manifests AS referrer
            ON referrer.repository_id = old_rows.repository_id AND referrer.subject = old_rows.digest), 'cascade');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_released_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT repository_id, digest, now() + grace('cascade', repository_id), 'cascade'
      FROM (SELECT DISTINCT repository_id, digest FROM old_rows) AS released
      JOIN repository_blobs USING (repository_id, digest)
     ORDER BY repository_id, digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_sparse_children() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT id FROM old_rows JOIN manifests USING (repository_id, digest)), 'cascade');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_unlinked_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO blob_reviews AS review (digest, review_after, event)
    SELECT digest, now() + grace('unlink'), 'unlink'
      FROM (SELECT DISTINCT digest FROM old_rows) AS unlinked JOIN blobs USING (digest)
     ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after;
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_untagged() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_manifests(ARRAY(SELECT manifest_id FROM old_rows), 'untag');
    RETURN NULL;
END $$;

CREATE FUNCTION public.start_namespace_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION public.start_repository_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO repository_usage (repository_id) SELECT id FROM new_rows;
    RETURN NULL;
END $$;

CREATE TABLE public.blob_reviews (
    digest bytea NOT NULL,
    review_after timestamp with time zone NOT NULL,
    event text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.blobs (
    digest bytea NOT NULL,
    size bigint NOT NULL,
    object_name text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT blobs_size_check CHECK ((size >= 0))
);

CREATE TABLE public.collected (
    day date NOT NULL,
    level text NOT NULL,
    event text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL
);

CREATE TABLE public.deletions (
    object_name text NOT NULL COLLATE pg_catalog."C",
    size bigint,
    not_before timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.gc_settings (
    event text NOT NULL,
    grace interval NOT NULL,
    CONSTRAINT gc_settings_grace_check CHECK (((grace >= '00:00:00'::interval) AND (grace <= '1 year'::interval)))
);

CREATE TABLE public.link_reviews (
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    review_after timestamp with time zone NOT NULL,
    event text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.manifest_blobs (
    manifest_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE public.manifest_children (
    parent_id bigint NOT NULL,
    child_id bigint NOT NULL
);

CREATE TABLE public.manifest_reviews (
    manifest_id bigint NOT NULL,
    review_after timestamp with time zone NOT NULL,
    event text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.manifests (
    id bigint NOT NULL,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    media_type text NOT NULL,
    artifact_type text,
    subject bytea,
    annotations jsonb DEFAULT '{}'::jsonb NOT NULL,
    payload bytea NOT NULL,
    pushed_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.manifests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.manifests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.namespace_blobs (
    namespace_id bigint NOT NULL,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    links bigint NOT NULL
);

CREATE TABLE public.namespace_usage (
    namespace_id bigint NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    manifest_bytes bigint DEFAULT 0 NOT NULL,
    blobs bigint DEFAULT 0 NOT NULL,
    blob_bytes bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.namespaces (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE public.namespaces ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.namespaces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.repositories (
    id bigint NOT NULL,
    namespace_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    keep_untagged boolean DEFAULT false NOT NULL,
    grace interval,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT repositories_grace_check CHECK (((grace >= '00:00:00'::interval) AND (grace <= '1 year'::interval)))
);

ALTER TABLE public.repositories ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.repositories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.repository_blobs (
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    linked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.repository_usage (
    repository_id bigint NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    manifest_bytes bigint DEFAULT 0 NOT NULL,
    blobs bigint DEFAULT 0 NOT NULL,
    blob_bytes bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.sparse_references (
    manifest_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE public.tags (
    repository_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    manifest_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.upload_objects (
    object_name text NOT NULL COLLATE pg_catalog."C",
    upload_id uuid NOT NULL,
    number integer,
    size bigint
);

CREATE TABLE public.uploads (
    id uuid NOT NULL,
    repository_id bigint NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    received bigint DEFAULT 0 NOT NULL,
    algorithm text NOT NULL,
    hash_state bytea,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

ALTER TABLE ONLY public.blob_reviews
    ADD CONSTRAINT blob_reviews_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_object_name_key UNIQUE (object_name);

ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.collected
    ADD CONSTRAINT collected_pkey PRIMARY KEY (day, level, event);

ALTER TABLE ONLY public.deletions
    ADD CONSTRAINT deletions_pkey PRIMARY KEY (object_name);

ALTER TABLE ONLY public.gc_settings
    ADD CONSTRAINT gc_settings_pkey PRIMARY KEY (event);

ALTER TABLE ONLY public.link_reviews
    ADD CONSTRAINT link_reviews_pkey PRIMARY KEY (repository_id, digest);

ALTER TABLE ONLY public.manifest_blobs
    ADD CONSTRAINT manifest_blobs_pkey PRIMARY KEY (manifest_id, digest);

ALTER TABLE ONLY public.manifest_children
    ADD CONSTRAINT manifest_children_pkey PRIMARY KEY (parent_id, child_id);

ALTER TABLE ONLY public.manifest_reviews
    ADD CONSTRAINT manifest_reviews_pkey PRIMARY KEY (manifest_id);

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_repository_id_digest_key UNIQUE (repository_id, digest);

ALTER TABLE ONLY public.namespace_blobs
    ADD CONSTRAINT namespace_blobs_pkey PRIMARY KEY (namespace_id, digest);

ALTER TABLE ONLY public.namespace_usage
    ADD CONSTRAINT namespace_usage_pkey PRIMARY KEY (namespace_id);

ALTER TABLE ONLY public.namespaces
    ADD CONSTRAINT namespaces_name_key UNIQUE (name);

ALTER TABLE ONLY public.namespaces
    ADD CONSTRAINT namespaces_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_name_key UNIQUE (name);

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_pkey PRIMARY KEY (repository_id, digest);

ALTER TABLE ONLY public.repository_usage
    ADD CONSTRAINT repository_usage_pkey PRIMARY KEY (repository_id);

ALTER TABLE ONLY public.sparse_references
    ADD CONSTRAINT sparse_references_pkey PRIMARY KEY (manifest_id, digest);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (repository_id, name);

ALTER TABLE ONLY public.upload_objects
    ADD CONSTRAINT upload_objects_pkey PRIMARY KEY (object_name);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (id);

CREATE INDEX blob_reviews_due ON public.blob_reviews USING btree (review_after);

CREATE INDEX deletions_due ON public.deletions USING btree (not_before);

CREATE INDEX link_reviews_due ON public.link_reviews USING btree (review_after);

CREATE INDEX manifest_blobs_link ON public.manifest_blobs USING btree (repository_id, digest);

CREATE INDEX manifest_children_child ON public.manifest_children USING btree (child_id);

CREATE INDEX manifest_reviews_due ON public.manifest_reviews USING btree (review_after);

CREATE INDEX manifests_subject ON public.manifests USING btree (repository_id, subject, digest) WHERE (subject IS NOT NULL);

CREATE INDEX repositories_namespace ON public.repositories USING btree (namespace_id, name);

CREATE INDEX repository_blobs_digest ON public.repository_blobs USING btree (digest);

CREATE INDEX sparse_references_digest ON public.sparse_references USING btree (repository_id, digest);

CREATE INDEX tags_manifest ON public.tags USING btree (manifest_id);

CREATE INDEX upload_objects_upload ON public.upload_objects USING btree (upload_id, number);

CREATE INDEX uploads_expiry ON public.uploads USING btree (expires_at);

CREATE INDEX uploads_repository ON public.uploads USING btree (repository_id);

CREATE TRIGGER condemn AFTER DELETE ON public.blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.condemn_blobs();

CREATE TRIGGER condemn AFTER DELETE ON public.upload_objects REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.condemn_upload_objects();

CREATE TRIGGER count_deleted AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_manifests();

CREATE TRIGGER count_deleted AFTER DELETE ON public.namespace_blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_namespace_blobs();

CREATE TRIGGER count_deleted AFTER DELETE ON public.repository_blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_links();

CREATE TRIGGER count_deleted AFTER DELETE ON public.tags REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_tags();

CREATE TRIGGER count_inserted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_manifests();

CREATE TRIGGER count_inserted AFTER INSERT ON public.namespace_blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_namespace_blobs();

CREATE TRIGGER count_inserted AFTER INSERT ON public.repository_blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_links();

CREATE TRIGGER count_inserted AFTER INSERT ON public.tags REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_tags();

CREATE TRIGGER review_children AFTER DELETE ON public.manifest_children REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_children();

CREATE TRIGGER review_children AFTER DELETE ON public.sparse_references REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_sparse_children();

CREATE TRIGGER review_inserted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_pushed_manifests();

CREATE TRIGGER review_inserted AFTER INSERT ON public.repository_blobs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_new_links();

CREATE TRIGGER review_kept AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_kept_manifests();

CREATE TRIGGER review_moved AFTER UPDATE ON public.tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_moved();

CREATE TRIGGER review_referrers AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_referrers();

CREATE TRIGGER review_released AFTER DELETE ON public.manifest_blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_released_links();

CREATE TRIGGER review_released AFTER DELETE ON public.sparse_references REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_released_links();

CREATE TRIGGER review_unlinked AFTER DELETE ON public.repository_blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_unlinked_blobs();

CREATE TRIGGER review_untagged AFTER DELETE ON public.tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_untagged();

CREATE TRIGGER review_updated AFTER UPDATE ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_pushed_manifests();

CREATE TRIGGER review_updated AFTER UPDATE ON public.repository_blobs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_new_links();

CREATE TRIGGER start_usage AFTER INSERT ON public.namespaces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.start_namespace_usage();

CREATE TRIGGER start_usage AFTER INSERT ON public.repositories REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.start_repository_usage();

ALTER TABLE ONLY public.blob_reviews
    ADD CONSTRAINT blob_reviews_digest_fkey FOREIGN KEY (digest) REFERENCES public.blobs(digest) ON DELETE CASCADE;

ALTER TABLE ONLY public.link_reviews
    ADD CONSTRAINT link_reviews_repository_id_digest_fkey FOREIGN KEY (repository_id, digest) REFERENCES public.repository_blobs(repository_id, digest) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifest_blobs
    ADD CONSTRAINT manifest_blobs_link FOREIGN KEY (repository_id, digest) REFERENCES public.repository_blobs(repository_id, digest) ON DELETE RESTRICT;

ALTER TABLE ONLY public.manifest_blobs
    ADD CONSTRAINT manifest_blobs_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifest_children
    ADD CONSTRAINT manifest_children_child FOREIGN KEY (child_id) REFERENCES public.manifests(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.manifest_children
    ADD CONSTRAINT manifest_children_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifest_reviews
    ADD CONSTRAINT manifest_reviews_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.namespace_blobs
    ADD CONSTRAINT namespace_blobs_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.namespace_usage
    ADD CONSTRAINT namespace_usage_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id);

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_blob FOREIGN KEY (digest) REFERENCES public.blobs(digest) ON DELETE RESTRICT;

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.repository_usage
    ADD CONSTRAINT repository_usage_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sparse_references
    ADD CONSTRAINT sparse_references_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_manifest FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.upload_objects
    ADD CONSTRAINT upload_objects_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES public.uploads(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);
