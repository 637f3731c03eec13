-- The schema as all migrations leave it. Written by `make schema`; a test says when it is out of date.

CREATE FUNCTION public.attempt_sign_in(keys bytea[], free integer[], longest integer[]) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    seconds int;
BEGIN
    INSERT INTO sign_in_failures (key, failures, last_failed_at)
    SELECT key, 0, '-infinity' FROM unnest(keys) AS asked (key) ORDER BY key
    ON CONFLICT (key) DO NOTHING;
    PERFORM FROM sign_in_failures WHERE key = ANY (keys) ORDER BY key FOR UPDATE;
    SELECT CAST(greatest(0, ceil(max(extract(epoch FROM last_failed_at - clock_timestamp())
                                     + least(asked.longest, 2.0 ^ least(failures - asked.free, 20))))) AS int)
      INTO seconds
      FROM unnest(keys, free, longest) AS asked (key, free, longest)
      JOIN sign_in_failures USING (key)
     WHERE failures >= asked.free AND last_failed_at > clock_timestamp() - interval '1 hour';
    IF seconds > 0 THEN RETURN seconds; END IF;
    UPDATE sign_in_failures
       SET failures = CASE WHEN last_failed_at > clock_timestamp() - interval '1 hour' THEN failures + 1 ELSE 1 END,
           last_failed_at = clock_timestamp()
     WHERE key = ANY (keys);
    RETURN 0;
END $$;

CREATE FUNCTION public.auxiliary_tags(subject bytea) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN get_byte(subject, 0) = 1
                THEN ARRAY(SELECT 'sha256-' || encode(substr(subject, 2), 'hex') || suffix
                             FROM unnest(ARRAY['', '.att', '.sbom', '.sig']) AS kind (suffix)) ELSE '{}' END
$$;

CREATE FUNCTION public.begin_push(of_repository text, tags text[], rank text) RETURNS text
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.caller_rank() RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(nullif(current_setting('slipway.rank', true), ''), '0')::int
$$;

CREATE FUNCTION public.change_actor() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(nullif(current_setting('slipway.actor', true), ''), 'unknown')
$$;

CREATE FUNCTION public.change_cause() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE WHEN is_importing() THEN 'import'
                ELSE coalesce(nullif(current_setting('slipway.cause', true), ''), 'unknown') END
$$;

CREATE FUNCTION public.claim_quota(of_namespace text, waits boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    lock CONSTANT bigint := hashtextextended(of_namespace, 1);
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
    settled bigint;
BEGIN
    IF most IS NULL THEN RETURN; END IF;
    settled := (SELECT usage.bytes FROM namespaces JOIN namespace_usage AS usage ON usage.namespace_id = namespaces.id
                 WHERE namespaces.name = of_namespace);
    IF waits OR most - coalesce(settled, 0) < quota_reserve() THEN
        PERFORM pg_advisory_xact_lock(lock);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(lock);
    END IF;
END $$;

CREATE FUNCTION public.count_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, registry_blobs, registry_blob_bytes)
    SELECT 0, sign * count(*), sign * sum(size) FROM changed HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
    IF TG_OP = 'INSERT' THEN RETURN NULL; END IF;
    DELETE FROM namespace_blobs AS shared
     USING (SELECT DISTINCT usage.namespace_id, digest
              FROM changed JOIN repository_usage AS usage USING (repository_id)) AS delta
     WHERE shared.namespace_id = delta.namespace_id AND shared.digest = delta.digest AND shared.links = 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_namespace_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage_changes (namespace_id, blobs, blob_bytes)
    SELECT namespace_id, sign * count(*), sign * sum(size) FROM changed GROUP BY 1;
    IF TG_OP = 'INSERT' AND NOT is_importing() THEN
        PERFORM obey_quota(namespace_id, sum(size)::bigint) FROM changed GROUP BY namespace_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_set_aside() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.count_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_withdrawn() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.deletion_refusal(repository text, tag text, rank integer) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE
           WHEN kind = 'exempt' OR role_rank(role) <= rank THEN NULL
           ELSE format('repository %s is delete-protected by rule "%s": %s', repository, name,
                       coalesce('to delete takes the role ' || role, 'nobody may delete'))
           END
      FROM tag_rules
     WHERE namespace IN ('', split_part(repository, '/', 1)) AND kind IN ('delete_protected', 'exempt')
       AND repository LIKE repositories_like AND (tags = '*' OR tag LIKE tags_like)
       AND glob_fits(repository, repositories, repositories_form, repositories_regex)
     ORDER BY position, id
     LIMIT 1
$$;

CREATE FUNCTION public.describe_manifest() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    document json;
    part record;
    artifact_type text;
    layer_type text;
    config_digest text;
BEGIN
    document := manifest_document(NEW.payload);
    SELECT config, layers, blobs, manifests INTO part
      FROM json_to_record(CASE json_typeof(document) WHEN 'object' THEN document END)
           AS named (config json, layers json, blobs json, manifests json);
    artifact_type := media_type_essence(NEW.artifact_type);
    layer_type := media_type_essence(trim('"' FROM (part.layers #> '{0,mediaType}')::text));
    NEW.kind := manifest_kind(media_type_essence(NEW.media_type), artifact_type, layer_type);
    config_digest := trim('"' FROM (part.config -> 'digest')::text);
    NEW.config_digest := digest_bytes(config_digest);
    NEW.size := octet_length(NEW.payload) + coalesce((part.config -> 'size')::text::bigint, 0);
    IF json_typeof(part.layers) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((layer -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(part.layers) AS layer);
    END IF;
    IF json_typeof(part.blobs) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((blob -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(part.blobs) AS blob);
    END IF;
    IF json_typeof(part.manifests) = 'array' THEN
        NEW.size := NEW.size + listed_bytes(NEW.repository_id, part.manifests);
    END IF;
    RETURN NEW;
EXCEPTION WHEN statement_too_complex OR numeric_value_out_of_range OR data_exception THEN
    -- Nested too deep, or larger than anything can be: stored as it came, and not described.
    RETURN NEW;
END $$;

CREATE FUNCTION public.describe_tag() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    NEW.size := coalesce((SELECT size FROM manifests WHERE id = NEW.manifest_id), 0);
    NEW.subject := tag_subject(NEW.name);
    RETURN NEW;
END $$;

CREATE FUNCTION public.digest_bytes(digest text) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
           WHEN length(digest) = 71 AND starts_with(digest, 'sha256:') AND substr(digest, 8) !~ '[^0-9a-f]'
           THEN '\x01'::bytea || decode(substr(digest, 8), 'hex')
           WHEN length(digest) = 135 AND starts_with(digest, 'sha512:') AND substr(digest, 8) !~ '[^0-9a-f]'
           THEN '\x02'::bytea || decode(substr(digest, 8), 'hex')
           END
$$;

CREATE FUNCTION public.digest_text(digest bytea) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE get_byte(digest, 0) WHEN 1 THEN 'sha256:' ELSE 'sha512:' END || encode(substr(digest, 2), 'hex')
$$;

CREATE FUNCTION public.drop_imported() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    PERFORM refuse_followed(name) FROM old_rows;
    UPDATE import_repositories AS theirs
       SET state = 'dropped', repository_id = NULL, due_at = NULL, asked_at = NULL
      FROM old_rows
     WHERE (theirs.repository_id = old_rows.id OR (theirs.repository_id IS NULL AND theirs.name = old_rows.name))
       AND theirs.state <> 'refused';
    RETURN NULL;
END $$;

CREATE FUNCTION public.drop_withdrawn() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    DELETE FROM withdrawn_manifests WHERE repository_id = OLD.id;
    RETURN OLD;
END $$;

CREATE FUNCTION public.emit_created_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    happened CONSTANT text := CASE transaction_setting('cause') WHEN 'restore' THEN 'tag.restored'
                                                                ELSE 'tag.created' END;
BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, tag, digest, media_type, size, actor, cause, request)
    SELECT happened, here.id, here.name, new_rows.name, named.digest, named.media_type, length(named.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM new_rows
      JOIN repositories AS here ON here.id = new_rows.repository_id
      JOIN manifests AS named ON named.id = new_rows.manifest_id
     WHERE is_wanted(happened, split_part(here.name, '/', 1))
     ORDER BY new_rows.repository_id, new_rows.name;
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_deleted_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, digest, media_type, size, actor, cause, request)
    SELECT 'manifest.deleted', here.id, here.name, old_rows.digest, old_rows.media_type, length(old_rows.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM old_rows JOIN repositories AS here ON here.id = old_rows.repository_id
     WHERE strpos(here.name, '@') = 0 AND is_wanted('manifest.deleted', split_part(here.name, '/', 1));
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_deleted_repository() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM emit_of_repository('repository.deleted', OLD.id, OLD.name, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_deleted_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, tag, digest, media_type, size, actor, cause, request)
    SELECT 'tag.deleted', here.id, here.name, old_rows.name, named.digest, named.media_type, length(named.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM old_rows
      JOIN repositories AS here ON here.id = old_rows.repository_id
      JOIN manifests AS named ON named.id = old_rows.manifest_id
     WHERE strpos(here.name, '@') = 0 AND is_wanted('tag.deleted', split_part(here.name, '/', 1))
     ORDER BY old_rows.repository_id, old_rows.name;
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_manifests_pushed_again() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, digest, media_type, size, actor, cause, request)
    SELECT 'manifest.pushed', here.id, here.name, new_rows.digest, new_rows.media_type, length(new_rows.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM new_rows JOIN old_rows USING (id) JOIN repositories AS here ON here.id = new_rows.repository_id
     WHERE new_rows.pushed_at <> old_rows.pushed_at
       AND is_wanted('manifest.pushed', split_part(here.name, '/', 1));
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_of_repository(happened text, id bigint, name text, former text) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO events (kind, repository_id, repository, former, actor, cause, request)
    SELECT happened, id, name, former, transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
     WHERE EXISTS (SELECT FROM subscriptions
                    WHERE namespace IN ('', split_part(name, '/', 1), split_part(former, '/', 1)) AND state = 'on'
                      AND (kinds IS NULL OR happened = ANY (kinds)))
$$;

CREATE FUNCTION public.emit_pushed_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, actor, cause, request)
    SELECT 'repository.created', here.id, here.name, transaction_setting('actor'), transaction_setting('cause'),
           transaction_setting('request')
      FROM (SELECT repository_id, count(*) AS count FROM new_rows GROUP BY 1) AS pushed
      JOIN repository_usage AS usage ON usage.repository_id = pushed.repository_id AND usage.manifests = pushed.count
      JOIN repositories AS here ON here.id = pushed.repository_id
     WHERE is_wanted('repository.created', split_part(here.name, '/', 1));
    INSERT INTO events (kind, repository_id, repository, digest, media_type, size, actor, cause, request)
    SELECT 'manifest.pushed', here.id, here.name, new_rows.digest, new_rows.media_type, length(new_rows.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM new_rows JOIN repositories AS here ON here.id = new_rows.repository_id
     WHERE is_wanted('manifest.pushed', split_part(here.name, '/', 1));
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_renamed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM subscriptions WHERE state = 'on') THEN RETURN NULL; END IF;
    PERFORM lock_usage(ARRAY(SELECT new_rows.id FROM new_rows JOIN old_rows USING (id)
                              WHERE new_rows.name <> old_rows.name));
    PERFORM CASE WHEN strpos(new_rows.name, '@') > 0
                 THEN emit_of_repository('repository.deleted', new_rows.id, old_rows.name, NULL)
                 WHEN strpos(old_rows.name, '@') > 0
                 THEN emit_of_repository('repository.restored', new_rows.id, new_rows.name, NULL)
                 ELSE emit_of_repository('repository.moved', new_rows.id, new_rows.name, old_rows.name) END
       FROM new_rows JOIN old_rows USING (id)
      WHERE new_rows.name <> old_rows.name;
    RETURN NULL;
END $$;

CREATE FUNCTION public.emit_updated_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    moved CONSTANT text := CASE transaction_setting('cause') WHEN 'restore' THEN 'tag.restored' ELSE 'tag.moved' END;
    ids bigint[];
BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    ids := ARRAY(SELECT DISTINCT repository_id FROM new_rows JOIN old_rows USING (repository_id, name)
                  WHERE new_rows.manifest_id <> old_rows.manifest_id OR new_rows.updated_at <> old_rows.updated_at);
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    INSERT INTO events (kind, repository_id, repository, tag, digest, previous, media_type, size, actor, cause, request)
    SELECT change.kind, here.id, here.name, change.tag, named.digest, left_one.digest, named.media_type,
           length(named.payload), transaction_setting('actor'), transaction_setting('cause'),
           transaction_setting('request')
      FROM (SELECT CASE WHEN new_rows.manifest_id = old_rows.manifest_id THEN 'tag.pushed' ELSE moved END AS kind,
                   repository_id, name AS tag, new_rows.manifest_id,
                   nullif(old_rows.manifest_id, new_rows.manifest_id) AS left_id
              FROM new_rows JOIN old_rows USING (repository_id, name)
             WHERE new_rows.manifest_id <> old_rows.manifest_id
                OR new_rows.updated_at <> old_rows.updated_at) AS change
      JOIN repositories AS here ON here.id = change.repository_id
      JOIN manifests AS named ON named.id = change.manifest_id
      LEFT JOIN manifests AS left_one ON left_one.id = change.left_id
     WHERE is_wanted(change.kind, split_part(here.name, '/', 1))
     ORDER BY change.repository_id, change.tag;
    RETURN NULL;
END $$;

CREATE FUNCTION public.end_repository_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO usage_changes (namespace_id, repositories)
    SELECT namespace_id, -count(*) FROM old_rows WHERE deleted_at IS NULL GROUP BY 1;
    RETURN NULL;
END $$;

CREATE FUNCTION public.end_withdrawal() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.fan_out(most integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    last bigint;
    handled int;
BEGIN
    SELECT position INTO last FROM event_fan_out FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN 0; END IF;
    WITH claimed AS MATERIALIZED (
        SELECT id, row_number() OVER (ORDER BY id) AS number
          FROM (SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT most) AS oldest
    ), placed AS (
        UPDATE events SET position = last + claimed.number FROM claimed WHERE events.id = claimed.id
        RETURNING events.id, events.kind, events.repository_id, events.repository, events.namespace, events.former,
                  events.at, events.tag, events.digest, events.made_in, events.only_for
    ), wanted AS (
        INSERT INTO deliveries (subscription_id, event_id, repository_id)
        SELECT subscriptions.id, placed.id, placed.repository_id
          FROM placed
          JOIN subscriptions
            ON subscriptions.state = 'on' AND subscriptions.target <> 'poll'
           AND subscriptions.namespace IN ('', placed.namespace, split_part(placed.former, '/', 1))
         WHERE placed.only_for IS NULL AND placed.at >= subscriptions.created_at
           AND (subscriptions.kinds IS NULL OR placed.kind = ANY (subscriptions.kinds))
           AND (subscriptions.tag_pattern = '*' OR placed.tag LIKE subscriptions.tag_like)
           AND EXISTS (SELECT FROM unnest(ARRAY[placed.repository, placed.former]) AS called (name)
                        WHERE name LIKE subscriptions.pattern_like
                          AND glob_fits(name, subscriptions.pattern, subscriptions.pattern_form,
                                        subscriptions.pattern_regex))
           AND NOT (subscriptions.format <> 'cloudevents' AND placed.kind = 'manifest.pushed'
                    AND EXISTS (SELECT FROM events AS tagged
                                 WHERE tagged.repository_id = placed.repository_id AND tagged.id > placed.id
                                   AND tagged.made_in = placed.made_in AND tagged.digest = placed.digest
                                   AND tagged.tag IS NOT NULL AND tagged.kind <> 'tag.deleted'
                                   AND (subscriptions.kinds IS NULL OR tagged.kind = ANY (subscriptions.kinds))))
         UNION ALL
        SELECT subscriptions.id, placed.id, placed.repository_id
          FROM placed JOIN subscriptions ON subscriptions.id = placed.only_for AND subscriptions.state = 'on'
        RETURNING subscription_id, repository_id
    ), counted AS (
        INSERT INTO lanes (subscription_id, repository_id, waiting)
        SELECT subscription_id, repository_id, count(*) FROM wanted GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (subscription_id, repository_id) DO UPDATE SET waiting = lanes.waiting + excluded.waiting
    )
    SELECT count(*) INTO handled FROM claimed;
    UPDATE event_fan_out SET position = last + handled WHERE handled > 0;
    RETURN handled;
END $$;

CREATE FUNCTION public.forget_checksum() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    NEW.crc32c := NULL;
    RETURN NEW;
END $$;

CREATE FUNCTION public.forget_deleted_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF is_importing() OR NOT is_import_open() THEN RETURN NULL; END IF;
    DELETE FROM import_deleted AS gone
     USING new_rows JOIN repositories AS here ON here.id = new_rows.repository_id
     WHERE gone.repository = here.name AND gone.tag = '' AND gone.digest = new_rows.digest;
    RETURN NULL;
END $$;

CREATE FUNCTION public.glob_ends(name text, glob text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    head text := split_part(regexp_replace(glob, '\*\*+', '>'), '>', 1);
    tail text := split_part(regexp_replace(glob, '\*\*+', '>'), '>', 2);
    before int := slashes(head);
    behind int := slashes(tail);
    parts text[];
BEGIN
    IF slashes(name) <= before + behind THEN RETURN slashes(name) = before + behind; END IF;
    parts := string_to_array(name, '/');
    RETURN array_to_string(parts[:before + 1], '/') LIKE glob_like(head) || '%'
       AND array_to_string(parts[cardinality(parts) - behind:], '/') LIKE '%' || glob_like(tail);
END $$;

CREATE FUNCTION public.glob_fits(name text, glob text, form text, expression text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE form WHEN 'whole' THEN true
                     WHEN 'parts' THEN slashes(name) = slashes(glob)
                     WHEN 'ends' THEN glob_ends(name, glob)
                     ELSE name ~ expression END
$$;

CREATE FUNCTION public.glob_form(glob text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN strpos(regexp_replace(glob, '\*\*+', '', 'g'), '*') = 0 THEN 'whole'
                WHEN strpos(glob, '**') = 0 THEN 'parts'
                WHEN length(regexp_replace(glob, '\*\*+', '**', 'g'))
                     - length(regexp_replace(glob, '\*\*+', '*', 'g')) = 1 THEN 'ends'
                ELSE 'expression' END
$$;

CREATE FUNCTION public.glob_like(glob text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT regexp_replace(replace(glob, '_', '\_'), '\*+', '%', 'g')
$$;

CREATE FUNCTION public.grace(happened text, repository bigint DEFAULT NULL::bigint) RETURNS interval
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE WHEN chosen = interval '0' THEN chosen ELSE chosen + random() * interval '1 minute' END
      FROM (SELECT coalesce((SELECT grace FROM repositories WHERE id = repository), grace) AS chosen
              FROM gc_settings WHERE event = happened) AS settings
$$;

CREATE FUNCTION public.has_blob(of_namespace text, known bytea) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM namespaces JOIN namespace_blobs AS held ON held.namespace_id = namespaces.id
                    WHERE namespaces.name = of_namespace AND held.digest = known)
$$;

CREATE FUNCTION public.has_damage(of_namespace text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM blobs AS damaged
                     JOIN namespace_blobs AS held ON held.digest = damaged.digest
                     JOIN namespaces ON namespaces.id = held.namespace_id
                    WHERE damaged.damaged_at IS NOT NULL AND namespaces.name = of_namespace)
$$;

CREATE FUNCTION public.has_place_for_grant(of_namespace text, of_principal bigint, new text, most bigint, most_each bigint, most_starred bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF of_namespace = '' THEN RETURN true; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 3));
    RETURN (SELECT count(*) < most
                   AND count(*) FILTER (WHERE principal_id IS NOT DISTINCT FROM of_principal) < most_each
                   AND (starred_length(new) = 0
                        OR starred_length(new) + coalesce(sum(starred_length(pattern)) FILTER (
                               WHERE principal_id IS NOT DISTINCT FROM of_principal), 0) <= most_starred)
              FROM grants WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION public.import_mode(source bigint, repository text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce((SELECT modes.mode FROM import_modes AS modes
                      WHERE modes.source_id = source AND repository LIKE modes.pattern_like
                        AND glob_fits(repository, modes.pattern, modes.pattern_form, modes.pattern_regex)
                      ORDER BY modes.id DESC LIMIT 1),
                    (SELECT mode FROM import_sources WHERE id = source))
$$;

CREATE FUNCTION public.is_anybody_told() RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    RETURN EXISTS (SELECT FROM subscriptions WHERE state = 'on') AND NOT is_importing();
END $$;

CREATE FUNCTION public.is_awaiting_import(repository bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE theirs record;
BEGIN
    IF NOT is_import_open() THEN RETURN false; END IF;
    SELECT old.state, import_mode(old.source_id, old.name) AS mode INTO theirs
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.repository_id = repository
        OR (old.repository_id IS NULL AND old.name = (SELECT here.name FROM repositories AS here WHERE here.id = repository));
    IF FOUND THEN
        RETURN theirs.state IN ('listed', 'importing', 'handed_back')
            OR (theirs.state <> 'dropped' AND theirs.mode = 'follow');
    END IF;
    RETURN EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL);
END $$;

CREATE FUNCTION public.is_being_deleted(attempts integer, not_before timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT attempts > 0
       AND not_before - least(interval '1 minute' * power(2, least(attempts - 1, 20)), interval '1 day')
           > now() - interval '1 hour'
$$;

CREATE FUNCTION public.is_final() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(current_setting('slipway.cause', true), '') IN ('collection', 'purge')
$$;

CREATE FUNCTION public.is_followed(of_repository text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
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
    IF FOUND THEN
        RETURN theirs.state = 'handed_back' OR (theirs.state <> 'dropped' AND theirs.mode = 'follow');
    END IF;
    RETURN EXISTS (SELECT FROM import_sources
                    WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL
                      AND import_mode(id, of_repository) = 'follow')
       AND NOT EXISTS (SELECT FROM repositories AS here JOIN repository_usage AS held ON held.repository_id = here.id
                        WHERE here.name = of_repository AND held.manifests > 0);
END $$;

CREATE FUNCTION public.is_held(object text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM import_sources
                    WHERE state NOT IN ('added', 'sealed') AND prefix IS NOT NULL AND starts_with(object, prefix))
$$;

CREATE FUNCTION public.is_import_open() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed'))
$$;

CREATE FUNCTION public.is_importing() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(current_setting('slipway.importing', true), '') <> ''
$$;

CREATE FUNCTION public.is_reached(manifest bigint, only_by_tags boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION public.is_wanted(happened text, of_namespace text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    RETURN EXISTS (SELECT FROM subscriptions
                    WHERE state = 'on' AND namespace IN ('', of_namespace)
                      AND (kinds IS NULL OR happened = ANY (kinds)));
END $$;

CREATE FUNCTION public.keep_deleted_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.keep_moved_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.late_standbys(seconds double precision, bytes bigint) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
    SELECT count(*) FROM pg_stat_replication
     WHERE replay_lag > make_interval(secs => seconds) OR pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > bytes
$$;

CREATE FUNCTION public.listed_bytes(repository bigint, listed json) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(sum(CASE WHEN child.id IS NOT NULL THEN child.size WHEN entry.may_be_blob THEN entry.size END), 0)
      FROM (SELECT digest_bytes(trim('"' FROM (item -> 'digest')::text)) AS digest,
                   max((item -> 'size')::text::numeric) AS size,
                   bool_and(media_type_essence(trim('"' FROM (item -> 'mediaType')::text)) IS NULL
                            OR media_type_essence(trim('"' FROM (item -> 'mediaType')::text)) NOT IN (
                               'application/vnd.oci.image.manifest.v1+json',
                               'application/vnd.oci.image.index.v1+json',
                               'application/vnd.docker.distribution.manifest.v2+json',
                               'application/vnd.docker.distribution.manifest.list.v2+json')) AS may_be_blob
              FROM json_array_elements(listed) AS item
             GROUP BY 1) AS entry
      LEFT JOIN manifests AS child ON child.repository_id = repository AND child.digest = entry.digest
$$;

CREATE FUNCTION public.lock_deletions() RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN
    LOCK TABLE deletions IN SHARE ROW EXCLUSIVE MODE;
END $$;

CREATE FUNCTION public.lock_usage(ids bigint[]) RETURNS void
    LANGUAGE sql
    AS $$
    SELECT FROM repository_usage WHERE repository_id = ANY (ids) ORDER BY repository_id FOR NO KEY UPDATE
$$;

CREATE FUNCTION public.manifest_document(payload bytea) RETURNS json
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE content text := convert_from(payload, 'UTF8');
BEGIN
    IF strpos(content, '\u') > 0 THEN
        content := regexp_replace(content, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g');
    END IF;
    RETURN content::json;
END $$;

CREATE FUNCTION public.manifest_kind(media_type text, artifact_type text, layer_type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
           WHEN media_type IN ('application/vnd.oci.image.index.v1+json',
                               'application/vnd.docker.distribution.manifest.list.v2+json') THEN 'index'
           WHEN artifact_type IN ('application/vnd.oci.image.config.v1+json',
                                  'application/vnd.docker.container.image.v1+json')
            AND layer_type IN ('application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+gzip',
                               'application/vnd.oci.image.layer.v1.tar+zstd',
                               'application/vnd.docker.image.rootfs.diff.tar.gzip') THEN 'image'
           WHEN artifact_type = 'application/vnd.cncf.helm.config.v1+json' THEN 'chart'
           WHEN artifact_type ~ '^application/vnd\.(dev\.cosign\.artifact\.sig\.|cncf\.notary\.signature)'
             OR layer_type = 'application/vnd.dev.cosign.simplesigning.v1+json' THEN 'signature'
           WHEN artifact_type ~ '(spdx|cyclonedx|syft|sbom)' OR layer_type ~ '(spdx|cyclonedx|syft|sbom)' THEN 'sbom'
           WHEN artifact_type ~ '(in-toto|dsse|attestation|sigstore\.bundle)'
             OR layer_type ~ '(in-toto|dsse|attestation|sigstore\.bundle)' THEN 'attestation'
           WHEN artifact_type ~ 'wasm' OR layer_type ~ 'wasm' THEN 'wasm'
           WHEN artifact_type IN ('application/vnd.oci.image.config.v1+json',
                                  'application/vnd.docker.container.image.v1+json') THEN 'image'
           ELSE 'other'
           END
$$;

CREATE FUNCTION public.media_type_essence(media_type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT lower(btrim(split_part(media_type, ';', 1)))
$$;

CREATE FUNCTION public.microseconds(moment timestamp with time zone) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CAST(extract(epoch FROM moment) * 1000000 AS bigint) WHERE isfinite(moment)
$$;

CREATE FUNCTION public.moment_of(microseconds bigint) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond'
$$;

CREATE FUNCTION public.move_trends() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    UPDATE repository_trends AS trends SET namespace_id = moved.namespace_id
      FROM (SELECT new_rows.id, new_rows.namespace_id FROM old_rows JOIN new_rows USING (id)
             WHERE old_rows.namespace_id <> new_rows.namespace_id) AS moved
     WHERE trends.repository_id = moved.id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.move_uploads() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    UPDATE uploads SET namespace_id = NEW.namespace_id WHERE repository_id = NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.move_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.note_named_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    NEW.named_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION public.obey_open_quota() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    quota record;
    used bigint;
BEGIN
    SELECT quotas.namespace AS name, quotas.bytes INTO quota
      FROM quotas JOIN namespaces ON namespaces.name = quotas.namespace
     WHERE namespaces.id = NEW.namespace_id AND quotas.bytes IS NOT NULL;
    IF NOT FOUND THEN RETURN NULL; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(quota.name, 6));
    used := used_bytes(quota.name) + open_bytes(quota.name);
    IF used > quota.bytes AND NOT has_damage(quota.name) THEN
        PERFORM refuse(quota_refusal(quota.name, used - (NEW.received - OLD.received), quota.bytes,
                                     NEW.received - OLD.received));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.obey_quota(namespace bigint, added bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    quota record;
    used bigint;
BEGIN
    SELECT quotas.namespace AS name, quotas.bytes INTO quota
      FROM quotas JOIN namespaces ON namespaces.name = quotas.namespace
     WHERE namespaces.id = obey_quota.namespace AND quotas.bytes IS NOT NULL;
    IF NOT FOUND OR added = 0 THEN RETURN; END IF;
    used := used_bytes(quota.name);
    IF quota.bytes - used < quota_reserve() THEN
        IF NOT pg_try_advisory_xact_lock(hashtextextended(quota.name, 1)) THEN
            RAISE EXCEPTION USING ERRCODE = 'serialization_failure', CONSTRAINT = 'quotas_one_at_a_time',
                MESSAGE = 'the quota is nearly used up: begin anew, alone';
        END IF;
        -- With all that others have committed until they let go of the lock.
        used := used_bytes(quota.name);
        IF used > quota.bytes THEN PERFORM refuse(quota_refusal(quota.name, used - added, quota.bytes, added)); END IF;
    END IF;
    -- For whoever tells the client at the end of the transaction.
    PERFORM set_config('slipway.used_bytes', used::text, true);
END $$;

CREATE FUNCTION public.obey_repository_quota(ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    quota record;
    used bigint;
BEGIN
    FOR quota IN
        SELECT namespaces.id, namespaces.name, quotas.repositories AS most
          FROM quotas JOIN namespaces ON namespaces.name = quotas.namespace
         WHERE namespaces.id = ANY (ids) AND quotas.repositories IS NOT NULL
         ORDER BY namespaces.id
    LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(quota.name, 2));
        used := (SELECT repositories FROM namespace_totals WHERE namespace_id = quota.id);
        IF used > quota.most THEN
            PERFORM refuse(format('the quota of namespace %s is %s repositories, and there would be %s: delete one, or ask an administrator for more',
                                  quota.name, quota.most, used));
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION public.obey_tag_rules() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.open_bytes(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    RETURN coalesce((SELECT sum(uploads.received) FROM namespaces JOIN uploads ON uploads.namespace_id = namespaces.id
                      WHERE namespaces.name = of_namespace AND uploads.is_counted), 0);
END $$;

CREATE FUNCTION public.pattern_namespace(pattern text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN strpos(split_part(pattern, '/', 1), '*') = 0 THEN split_part(pattern, '/', 1) ELSE '' END
$$;

CREATE FUNCTION public.place_upload() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    NEW.namespace_id := (SELECT namespace_id FROM repositories WHERE id = NEW.repository_id);
    RETURN NEW;
END $$;

CREATE FUNCTION public.purge_advice(of_namespace text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION public.queue_deletion_of_blobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, CASE WHEN is_held(object_name) THEN 'infinity' ELSE now() + grace('delete') END
      FROM old_rows ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.queue_deletion_of_replaced() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    VALUES (OLD.object_name, OLD.size,
            CASE WHEN is_held(OLD.object_name) THEN 'infinity' ELSE now() + grace('delete') END)
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.queue_deletion_of_upload_objects() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO deletions (object_name, size, not_before)
    SELECT object_name, size, now() + grace('delete') FROM old_rows
     WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_name = old_rows.object_name)
     ORDER BY object_name
    ON CONFLICT (object_name) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.queue_platforms() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.queue_trends() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO repository_trends AS trends (repository_id, namespace_id)
    SELECT usage.repository_id, usage.namespace_id
      FROM (SELECT DISTINCT repository_id FROM new_rows) AS changed JOIN repository_usage AS usage USING (repository_id)
     ORDER BY usage.repository_id
    ON CONFLICT (repository_id) DO UPDATE SET due_on = '-infinity' WHERE trends.due_on IS DISTINCT FROM '-infinity';
    RETURN NULL;
END $$;

CREATE FUNCTION public.quota_refusal(of_namespace text, used bigint, most bigint, needed bigint) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT format('the quota of namespace %s is %s bytes: %s are in use, and %s more are needed; delete something, or ask an administrator for more%s',
                  of_namespace, most, used, needed, purge_advice(of_namespace))
$$;

CREATE FUNCTION public.quota_reserve() RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$SELECT CAST(1073741824 AS bigint)$$;

CREATE FUNCTION public.recount_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.refuse(reason text) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF reason IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'SW001', MESSAGE = reason; END IF;
END $$;

CREATE FUNCTION public.refuse_followed(of_repository text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    IF is_followed(of_repository) THEN
        RAISE EXCEPTION USING ERRCODE = 'SW002',
            MESSAGE = format('%s is still decided about by the registry that it is imported from: write there',
                             of_repository);
    END IF;
END $$;

CREATE FUNCTION public.register_background_migration(of_name text, of_table text, of_key text[], start jsonb, all_at_once text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    few CONSTANT bigint := 10000;
    columns text := (SELECT string_agg(quote_ident(part), ', ' ORDER BY place)
                       FROM unnest(of_key) WITH ORDINALITY AS parts (part, place));
    downwards text := (SELECT string_agg(quote_ident(part) || ' DESC', ', ' ORDER BY place)
                         FROM unnest(of_key) WITH ORDINALITY AS parts (part, place));
    counted bigint;
    largest jsonb;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT %s) AS first_rows', of_table, few) INTO counted;
    EXECUTE format('SELECT jsonb_build_array(%s) FROM %I ORDER BY %s LIMIT 1', columns, of_table, downwards)
       INTO largest;
    IF counted < few THEN
        EXECUTE all_at_once;
        INSERT INTO background_migrations (name, table_name, key_columns, state, start, last, stop, total, rows_done,
                                           started_at, worked_at, finished_at)
        VALUES (of_name, of_table, of_key, 'finished', start, coalesce(largest, start), coalesce(largest, start),
                counted, counted, now(), now(), now());
    ELSE
        INSERT INTO background_migrations (name, table_name, key_columns, start, last, stop, total)
        SELECT of_name, of_table, of_key, start, start, largest, greatest(counted, reltuples::bigint)
          FROM pg_class WHERE oid = of_table::regclass;
    END IF;
END $$;

CREATE FUNCTION public.remember_deleted_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.remember_deleted_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.require_room(of_namespace text, needed bigint, known bytea DEFAULT NULL::bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
    used bigint;
BEGIN
    IF most IS NULL THEN RETURN true; END IF;
    used := used_bytes(of_namespace) + open_bytes(of_namespace);
    IF used + greatest(needed, 1) > most AND NOT has_blob(of_namespace, known) AND NOT has_damage(of_namespace) THEN
        PERFORM refuse(quota_refusal(of_namespace, used, most, needed));
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION public.restorable_until(repository bigint, wanted bytea) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(
        (SELECT review.review_after
           FROM manifests JOIN manifest_reviews AS review ON review.manifest_id = manifests.id
          WHERE manifests.repository_id = repository AND manifests.digest = wanted),
        (SELECT until FROM withdrawn_manifests WHERE repository_id = repository AND digest = wanted))
$$;

CREATE FUNCTION public.restore_refusal(repository bigint, wanted bytea) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION public.retention_policies_in(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 7));
    RETURN (SELECT count(*) FROM retention_policies WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION public.retention_policy_of(repository text) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT id FROM retention_policies
     WHERE strpos(repository, '@') = 0 AND namespace IN ('', split_part(repository, '/', 1)) AND repository LIKE repositories_like
       AND glob_fits(repository, repositories, repositories_form, NULL)
     ORDER BY position, id
     LIMIT 1
$$;

CREATE FUNCTION public.review_auxiliary_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.review_children() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_deleted(ARRAY(SELECT child_id FROM old_rows), 'cascade');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_deleted(ids bigint[], happened text) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.review_new_tags() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO retention_reviews AS review (repository_id, tag, due_at)
    SELECT new_rows.repository_id, new_rows.name, now() + scope.new_for * (1 + random() / 10)
      FROM new_rows JOIN retention_scopes AS scope USING (repository_id)
     ORDER BY 1, 2
    ON CONFLICT (repository_id, tag) DO UPDATE SET due_at = excluded.due_at, attempts = 0, error = NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_pushed_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF is_importing() THEN RETURN NULL; END IF;
    PERFORM review_manifests(ARRAY(SELECT id FROM new_rows), 'push');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_pushed_tag() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO retention_reviews AS review (repository_id, tag, due_at)
    SELECT NEW.repository_id, NEW.name, now() + scope.new_for * (1 + random() / 10)
      FROM retention_scopes AS scope WHERE scope.repository_id = NEW.repository_id
    ON CONFLICT (repository_id, tag) DO UPDATE SET due_at = excluded.due_at, attempts = 0, error = NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_referrers() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_deleted(ARRAY(
        SELECT referrer.id
          FROM old_rows JOIN manifests AS referrer
            ON referrer.repository_id = old_rows.repository_id AND referrer.subject = old_rows.digest), 'cascade');
    RETURN NULL;
END $$;

CREATE FUNCTION public.review_released_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE FUNCTION public.review_sparse_children() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    PERFORM review_deleted(ARRAY(SELECT id FROM old_rows JOIN manifests USING (repository_id, digest)), 'cascade');
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
    PERFORM review_deleted(ARRAY(SELECT manifest_id FROM old_rows), 'untag');
    RETURN NULL;
END $$;

CREATE FUNCTION public.role_rank(role text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT array_position(ARRAY['reader', 'writer', 'maintainer', 'admin'], role)
$$;

CREATE FUNCTION public.room_left(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
BEGIN
    IF most IS NULL OR has_damage(of_namespace) THEN RETURN NULL; END IF;
    RETURN most - used_bytes(of_namespace) - open_bytes(of_namespace);
END $$;

CREATE FUNCTION public.rules_in(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF of_namespace = '' THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 4));
    RETURN (SELECT count(*) FROM tag_rules WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION public.scope_moved_repositories() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM retention_policies WHERE namespace >= '') THEN RETURN NULL; END IF;
    INSERT INTO retention_fills AS fill (lowest, highest)
    SELECT min(new_rows.name), max(new_rows.name)
      FROM new_rows JOIN old_rows USING (id)
     WHERE new_rows.name <> old_rows.name
    HAVING count(*) > 0
    ON CONFLICT (lowest, highest)
    DO UPDATE SET phase = 'asked', after_transaction = NULL, repository = '', tag = '', queued = 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.scope_repositories() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM retention_policies WHERE namespace >= '') THEN RETURN NULL; END IF;
    INSERT INTO retention_scopes (repository_id, policy_id, new_for)
    SELECT new_rows.id, policy.id, policy.new_for
      FROM new_rows JOIN retention_policies AS policy ON policy.id = retention_policy_of(new_rows.name)
     ORDER BY new_rows.id
    ON CONFLICT (repository_id) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.slashes(name text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT length(name) - length(replace(name, '/', ''))
$$;

CREATE FUNCTION public.starred_length(glob text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN strpos(rtrim(glob, '*'), '*') > 0 THEN length(glob) - length(split_part(glob, '*', 1)) ELSE 0 END
$$;

CREATE FUNCTION public.start_namespace_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION public.start_repository_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, namespace_id FROM new_rows;
    INSERT INTO usage_changes (namespace_id, repositories) SELECT namespace_id, count(*) FROM new_rows GROUP BY 1;
    IF NOT is_importing() THEN
        PERFORM obey_repository_quota(ARRAY(SELECT DISTINCT namespace_id FROM new_rows));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.subscriptions_in(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF of_namespace = '' THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 6));
    RETURN (SELECT count(*) FROM subscriptions WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION public.tag_refusal(repository text, tag text, creates boolean, rank integer) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE
           WHEN kind = 'exempt' OR (kind = 'immutable' AND creates) OR role_rank(role) <= rank THEN NULL
           ELSE format('tag %s is %s by rule "%s": %s', tag, kind, name,
                       coalesce('it takes the role ' || role, 'nobody may change it'))
           END
      FROM tag_rules
     WHERE namespace IN ('', split_part(repository, '/', 1)) AND kind <> 'delete_protected'
       AND repository LIKE repositories_like AND tag LIKE tags_like
       AND glob_fits(repository, repositories, repositories_form, repositories_regex)
     ORDER BY position, id
     LIMIT 1
$$;

CREATE FUNCTION public.tag_subject(tag text) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    AS $_$
    SELECT CASE WHEN tag ~ '^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$'
                THEN '\x01'::bytea || decode(substr(tag, 8, 64), 'hex') END
$_$;

CREATE FUNCTION public.tell_of_retention(run bigint, action text, outcome text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
    INSERT INTO audit (action, outcome, principal, resource, address, details, namespace)
    SELECT CASE tell_of_retention.action WHEN 'tags.restore' THEN 'tags.restore' ELSE 'tags.delete' END, 'success',
           'policy:' || runs.policy, repositories.name, '',
           jsonb_build_object('run', runs.id, 'tags', taken.tags, 'by', coalesce(runs.applied_by, '')),
           CASE WHEN strpos(repositories.name, '/') > 0 THEN split_part(repositories.name, '/', 1) END
      FROM retention_runs AS runs
      JOIN (SELECT run_id, repository_id, count(*) AS tags FROM retention_verdicts AS verdict
             WHERE verdict.run_id = tell_of_retention.run AND verdict.outcome = tell_of_retention.outcome
             GROUP BY 1, 2) AS taken ON taken.run_id = runs.id
      JOIN repositories ON repositories.id = taken.repository_id
     WHERE runs.id = tell_of_retention.run
     ORDER BY repositories.name
$$;

CREATE FUNCTION public.transaction_setting(setting text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT nullif(current_setting('slipway.' || setting, true), '')
$$;

CREATE FUNCTION public.trim_tag_history(repository bigint, of_tag text) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN
    DELETE FROM tag_history
     WHERE repository_id = repository AND tag = of_tag
       AND id <= (SELECT id FROM tag_history WHERE repository_id = repository AND tag = of_tag
                   ORDER BY id DESC OFFSET 1000 LIMIT 1);
END $$;

CREATE FUNCTION public.trusted_publishers_in(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$ BEGIN
    IF of_namespace IS NULL THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 5));
    RETURN (SELECT count(*) FROM principals JOIN trusted_publishers ON trusted_publishers.principal_id = principals.id
             WHERE principals.namespace = of_namespace);
END $$;

CREATE FUNCTION public.undo_floor(repository bigint) RETURNS interval
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE undo interval := undo_window(repository);
BEGIN
    RETURN CASE WHEN undo > interval '0' THEN undo + interval '1 minute' ELSE undo END;
END $$;

CREATE FUNCTION public.undo_window(repository bigint) RETURNS interval
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    RETURN (SELECT coalesce(undo, (SELECT namespaces.undo FROM namespaces WHERE namespaces.id = namespace_id),
                            (SELECT grace FROM gc_settings WHERE event = 'undo'), interval '0')
              FROM repositories WHERE id = repository);
END $$;

CREATE FUNCTION public.untagged_scan_after_move() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
    UPDATE repository_usage SET untagged_scan_due = true
     WHERE NOT untagged_scan_due AND repository_id IN (
           SELECT repository_id FROM old_rows JOIN new_rows USING (repository_id, name)
            WHERE old_rows.manifest_id <> new_rows.manifest_id);
    RETURN NULL;
END $$;

CREATE FUNCTION public.used_bytes(of_namespace text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$ BEGIN
    RETURN coalesce((
        SELECT usage.bytes + coalesce((SELECT sum(changes.manifest_bytes + changes.blob_bytes)
                                         FROM usage_changes AS changes
                                        WHERE changes.namespace_id = usage.namespace_id), 0)
          FROM namespaces JOIN namespace_usage AS usage ON usage.namespace_id = namespaces.id
         WHERE namespaces.name = of_namespace), 0);
END $$;

CREATE FUNCTION public.withdraw_manifests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
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

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    principal text NOT NULL COLLATE pg_catalog."C",
    resource text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL,
    reason text,
    details jsonb NOT NULL,
    namespace text COLLATE pg_catalog."C",
    CONSTRAINT audit_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'denied'::text, 'error'::text])))
);

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.background_failures (
    migration_id bigint NOT NULL,
    key jsonb NOT NULL,
    after jsonb NOT NULL,
    error text NOT NULL,
    failed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.background_migrations (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    table_name text NOT NULL COLLATE pg_catalog."C",
    key_columns text[] NOT NULL,
    state text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C",
    start jsonb NOT NULL,
    last jsonb NOT NULL,
    stop jsonb NOT NULL,
    total bigint NOT NULL,
    rows_done bigint DEFAULT 0 NOT NULL,
    batch integer DEFAULT 1000 NOT NULL,
    rate double precision,
    rests boolean DEFAULT true NOT NULL,
    waits_for text COLLATE pg_catalog."C",
    due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    worked_at timestamp with time zone,
    finished_at timestamp with time zone,
    retried_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT background_migrations_batch_check CHECK ((batch >= 1)),
    CONSTRAINT background_migrations_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'finished'::text, 'failed'::text])))
);

ALTER TABLE public.background_migrations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.background_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.backup_drills (
    id bigint NOT NULL,
    backup_id bigint NOT NULL,
    tags integer,
    lost integer,
    seconds integer,
    note text,
    drilled_by text NOT NULL COLLATE pg_catalog."C",
    drilled_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT backup_drills_check CHECK (((lost >= 0) AND (lost <= tags))),
    CONSTRAINT backup_drills_check1 CHECK (((tags IS NULL) = (lost IS NULL))),
    CONSTRAINT backup_drills_seconds_check CHECK ((seconds >= 0)),
    CONSTRAINT backup_drills_tags_check CHECK ((tags >= 0))
);

ALTER TABLE public.backup_drills ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.backup_drills_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.backup_runs (
    id bigint NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    destination text NOT NULL COLLATE pg_catalog."C",
    name text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    snapshot jsonb,
    snapshot_at timestamp with time zone,
    hold_id bigint,
    cursor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    tokens jsonb DEFAULT '{}'::jsonb NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    missing text[] DEFAULT '{}'::text[] NOT NULL,
    lease bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT backup_runs_kind_check CHECK ((kind = ANY (ARRAY['backup'::text, 'verification'::text, 'prune'::text]))),
    CONSTRAINT backup_runs_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'copying'::text, 'sealed'::text, 'done'::text, 'failed'::text, 'pruned'::text])))
);

ALTER TABLE public.backup_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.backup_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

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
    damaged_at timestamp with time zone,
    crc32c bigint,
    CONSTRAINT blobs_size_check CHECK ((size >= 0))
);

CREATE TABLE public.check_pieces (
    id bigint NOT NULL,
    check_id bigint NOT NULL,
    step text NOT NULL,
    start text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    stop text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    cursor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT check_pieces_step_check CHECK ((step = ANY (ARRAY['objects'::text, 'digests'::text, 'manifests'::text, 'blobs'::text, 'repositories'::text, 'figures'::text, 'repair'::text])))
);

ALTER TABLE public.check_pieces ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.check_pieces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.checks (
    id bigint NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    asked_by text COLLATE pg_catalog."C",
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    reason text,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    planned_at timestamp with time zone,
    finished_at timestamp with time zone,
    hashed_to text COLLATE pg_catalog."C",
    CONSTRAINT checks_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'incomplete'::text, 'stopped'::text])))
);

ALTER TABLE public.checks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.checks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.collected (
    day date NOT NULL,
    level text NOT NULL,
    event text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL
);

CREATE TABLE public.console_links (
    hash bytea NOT NULL,
    principal_id bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.console_sessions (
    hash bytea NOT NULL,
    principal_id bigint NOT NULL,
    secret_id text COLLATE pg_catalog."C",
    via text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    agent text NOT NULL,
    address text NOT NULL
);

CREATE TABLE public.deletions (
    object_name text NOT NULL COLLATE pg_catalog."C",
    size bigint,
    not_before timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.deliveries (
    subscription_id bigint NOT NULL,
    event_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    attempted_at timestamp with time zone,
    status integer,
    ms integer,
    answer text,
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'dead'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.event_fan_out (
    is_only boolean DEFAULT true NOT NULL,
    "position" bigint NOT NULL,
    CONSTRAINT event_fan_out_is_only_check CHECK (is_only)
);

CREATE TABLE public.events (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    repository_id bigint NOT NULL,
    repository text NOT NULL COLLATE pg_catalog."C",
    namespace text GENERATED ALWAYS AS (split_part(repository, '/'::text, 1)) STORED NOT NULL COLLATE pg_catalog."C",
    former text COLLATE pg_catalog."C",
    tag text COLLATE pg_catalog."C",
    digest bytea,
    previous bytea,
    media_type text,
    size bigint,
    actor text,
    cause text,
    request text,
    made_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    only_for bigint,
    "position" bigint,
    keep_until timestamp with time zone DEFAULT (now() + '7 days'::interval) NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.findings (
    id bigint NOT NULL,
    check_id bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL COLLATE pg_catalog."C",
    digest bytea,
    repository text COLLATE pg_catalog."C",
    size bigint,
    detail text DEFAULT ''::text NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    action text,
    acted_at timestamp with time zone,
    gone_at timestamp with time zone,
    CONSTRAINT findings_action_check CHECK ((action = ANY (ARRAY['marked'::text, 'unmarked'::text, 'queued'::text, 'written'::text, 'reviewed'::text]))),
    CONSTRAINT findings_kind_check CHECK ((kind = ANY (ARRAY['missing'::text, 'size'::text, 'checksum'::text, 'digest'::text, 'marked'::text, 'unknown'::text, 'manifest'::text, 'references'::text, 'leaked_manifest'::text, 'leaked_link'::text, 'leaked_blob'::text, 'figure'::text])))
);

ALTER TABLE public.findings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.findings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.gc_settings (
    event text NOT NULL,
    grace interval NOT NULL,
    CONSTRAINT gc_settings_grace_check CHECK (((grace >= '00:00:00'::interval) AND (grace <= '1 year'::interval)))
);

CREATE TABLE public.grants (
    id bigint NOT NULL,
    principal_id bigint,
    pattern text NOT NULL COLLATE pg_catalog."C",
    pattern_regex text NOT NULL COLLATE pg_catalog."C",
    namespace text GENERATED ALWAYS AS (public.pattern_namespace(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    pattern_prefix text GENERATED ALWAYS AS (split_part(pattern, '*'::text, 1)) STORED NOT NULL COLLATE pg_catalog."C",
    pattern_like text GENERATED ALWAYS AS (public.glob_like(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    pattern_form text GENERATED ALWAYS AS (public.glob_form(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT grants_anyone CHECK (((principal_id IS NOT NULL) OR (role = 'reader'::text))),
    CONSTRAINT grants_role_check CHECK ((public.role_rank(role) IS NOT NULL))
);

ALTER TABLE public.grants ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.grants_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.holds (
    id bigint NOT NULL,
    reason text NOT NULL,
    until timestamp with time zone NOT NULL
);

ALTER TABLE public.holds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.holds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.identities (
    principal_id bigint NOT NULL,
    issuer text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.import_deleted (
    repository text NOT NULL COLLATE pg_catalog."C",
    tag text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    digest bytea DEFAULT '\x'::bytea NOT NULL
);

CREATE TABLE public.import_modes (
    id bigint NOT NULL,
    source_id bigint NOT NULL,
    pattern text NOT NULL COLLATE pg_catalog."C",
    pattern_regex text NOT NULL COLLATE pg_catalog."C",
    pattern_like text GENERATED ALWAYS AS (public.glob_like(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    pattern_form text GENERATED ALWAYS AS (public.glob_form(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    mode text NOT NULL,
    CONSTRAINT import_modes_mode_check CHECK ((mode = ANY (ARRAY['follow'::text, 'lead'::text])))
);

ALTER TABLE public.import_modes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.import_modes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_places (
    source_id bigint NOT NULL,
    number integer NOT NULL,
    lease bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);

CREATE TABLE public.import_problems (
    id bigint NOT NULL,
    source_id bigint NOT NULL,
    repository text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    key text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    gone_at timestamp with time zone,
    CONSTRAINT import_problems_kind_check CHECK ((kind = ANY (ARRAY['repository'::text, 'tag'::text, 'manifest'::text, 'layer'::text, 'blob'::text, 'object'::text]))),
    CONSTRAINT import_problems_reason_check CHECK ((reason = ANY (ARRAY['name'::text, 'tag_name'::text, 'link_broken'::text, 'link_missing'::text, 'manifest_missing'::text, 'manifest_empty'::text, 'manifest_digest'::text, 'manifest_json'::text, 'manifest_refused'::text, 'manifest_too_large'::text, 'schema1'::text, 'child_missing'::text, 'blob_missing'::text, 'blob_size'::text, 'blob_digest'::text, 'link_repaired'::text, 'tag_repaired'::text, 'conflict'::text, 'stray'::text, 'unreadable'::text])))
);

ALTER TABLE public.import_problems ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.import_problems_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_ranges (
    id bigint NOT NULL,
    source_id bigint NOT NULL,
    tree text NOT NULL,
    start text NOT NULL COLLATE pg_catalog."C",
    stop text COLLATE pg_catalog."C",
    cursor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text,
    CONSTRAINT import_ranges_tree_check CHECK ((tree = ANY (ARRAY['blobs'::text, 'repositories'::text, 'verification'::text, 'rehash'::text])))
);

ALTER TABLE public.import_ranges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.import_ranges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_repositories (
    id bigint NOT NULL,
    source_id bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    repository_id bigint,
    state text DEFAULT 'listed'::text NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    links bigint DEFAULT 0 NOT NULL,
    objects bigint DEFAULT 0 NOT NULL,
    oldest timestamp with time zone,
    newest timestamp with time zone,
    cursor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    due_at timestamp with time zone DEFAULT now(),
    asked_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    error text,
    imported_at timestamp with time zone,
    compared_at timestamp with time zone,
    exported_at timestamp with time zone,
    export_due_at timestamp with time zone,
    export_after xid8 DEFAULT pg_current_xact_id() NOT NULL,
    is_handing_back boolean DEFAULT false NOT NULL,
    left_out bigint DEFAULT 0 NOT NULL,
    CONSTRAINT import_repositories_state_check CHECK ((state = ANY (ARRAY['listed'::text, 'importing'::text, 'imported'::text, 'refused'::text, 'handed_back'::text, 'dropped'::text])))
);

ALTER TABLE public.import_repositories ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.import_repositories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_sources (
    id bigint NOT NULL,
    kind text NOT NULL,
    address text NOT NULL COLLATE pg_catalog."C",
    prefix text COLLATE pg_catalog."C",
    mark uuid DEFAULT gen_random_uuid() NOT NULL,
    mode text DEFAULT 'follow'::text NOT NULL,
    state text DEFAULT 'added'::text NOT NULL,
    reason text,
    untagged text DEFAULT 'grace'::text NOT NULL,
    workers integer DEFAULT 8 NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    opened_at timestamp with time zone,
    listed_at timestamp with time zone,
    sealed_at timestamp with time zone,
    CONSTRAINT import_sources_kind_check CHECK ((kind = ANY (ARRAY['layout'::text, 'registry'::text]))),
    CONSTRAINT import_sources_mode_check CHECK ((mode = ANY (ARRAY['follow'::text, 'lead'::text]))),
    CONSTRAINT import_sources_prefix_check CHECK ((prefix ~~ '%docker/registry/v2/'::text)),
    CONSTRAINT import_sources_state_check CHECK ((state = ANY (ARRAY['added'::text, 'opening'::text, 'listing'::text, 'open'::text, 'paused'::text, 'sealing'::text, 'sealed'::text]))),
    CONSTRAINT import_sources_untagged_check CHECK ((untagged = ANY (ARRAY['grace'::text, 'keep'::text, 'skip'::text]))),
    CONSTRAINT import_sources_workers_check CHECK (((workers >= 1) AND (workers <= 64)))
);

ALTER TABLE public.import_sources ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.import_sources_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.import_tags (
    import_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    generation bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    state text DEFAULT 'listed'::text NOT NULL,
    CONSTRAINT import_tags_state_check CHECK ((state = ANY (ARRAY['listed'::text, 'applied'::text, 'overruled'::text])))
);

CREATE TABLE public.lanes (
    subscription_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    next_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease bigint DEFAULT 0 NOT NULL,
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    waiting bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

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

CREATE TABLE public.manifest_days (
    manifest_id bigint NOT NULL,
    day date NOT NULL,
    pushes bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL
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
    pushed_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'other'::text NOT NULL COLLATE pg_catalog."C",
    size bigint DEFAULT 0 NOT NULL,
    config_digest bytea,
    damaged_at timestamp with time zone
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

CREATE TABLE public.namespace_days (
    namespace_id bigint NOT NULL,
    day date NOT NULL,
    pushes bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    bytes bigint
);

CREATE TABLE public.namespace_usage (
    namespace_id bigint NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    manifest_bytes bigint DEFAULT 0 NOT NULL,
    blobs bigint DEFAULT 0 NOT NULL,
    blob_bytes bigint DEFAULT 0 NOT NULL,
    repositories bigint DEFAULT 0 NOT NULL,
    bytes bigint GENERATED ALWAYS AS ((manifest_bytes + blob_bytes)) STORED NOT NULL,
    pushed_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    pulled_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.usage_changes (
    id bigint NOT NULL,
    namespace_id bigint NOT NULL,
    repositories bigint DEFAULT 0 NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    manifest_bytes bigint DEFAULT 0 NOT NULL,
    blobs bigint DEFAULT 0 NOT NULL,
    blob_bytes bigint DEFAULT 0 NOT NULL,
    registry_blobs bigint DEFAULT 0 NOT NULL,
    registry_blob_bytes bigint DEFAULT 0 NOT NULL,
    pushed_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE VIEW public.namespace_totals AS
 SELECT usage.namespace_id,
    (usage.repositories + pending.repositories) AS repositories,
    (usage.tags + pending.tags) AS tags,
    (usage.manifests + pending.manifests) AS manifests,
    (usage.manifest_bytes + pending.manifest_bytes) AS manifest_bytes,
    (usage.blobs + pending.blobs) AS blobs,
    (usage.blob_bytes + pending.blob_bytes) AS blob_bytes,
    ((usage.bytes + pending.manifest_bytes) + pending.blob_bytes) AS bytes,
    GREATEST(usage.pushed_at, pending.pushed_at) AS pushed_at,
    usage.pulled_at,
    usage.pulls
   FROM (public.namespace_usage usage
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum(changes.repositories), (0)::numeric))::bigint AS repositories,
            (COALESCE(sum(changes.tags), (0)::numeric))::bigint AS tags,
            (COALESCE(sum(changes.manifests), (0)::numeric))::bigint AS manifests,
            (COALESCE(sum(changes.manifest_bytes), (0)::numeric))::bigint AS manifest_bytes,
            (COALESCE(sum(changes.blobs), (0)::numeric))::bigint AS blobs,
            (COALESCE(sum(changes.blob_bytes), (0)::numeric))::bigint AS blob_bytes,
            max(changes.pushed_at) AS pushed_at
           FROM public.usage_changes changes
          WHERE (changes.namespace_id = usage.namespace_id)) pending);

CREATE TABLE public.namespaces (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    undo interval,
    CONSTRAINT namespaces_undo CHECK (((undo >= '00:00:00'::interval) AND (undo <= '1 year'::interval)))
);

ALTER TABLE public.namespaces ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.namespaces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.platforms (
    manifest_id bigint NOT NULL,
    os text COLLATE pg_catalog."C",
    architecture text COLLATE pg_catalog."C",
    variant text COLLATE pg_catalog."C",
    look_after timestamp with time zone DEFAULT now(),
    attempts integer DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.principals (
    id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    namespace text COLLATE pg_catalog."C",
    is_admin boolean DEFAULT false NOT NULL,
    is_disabled boolean DEFAULT false NOT NULL,
    password_hash text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT principals_check CHECK (((namespace IS NULL) OR (kind = 'robot'::text))),
    CONSTRAINT principals_check1 CHECK (((password_hash IS NULL) OR (kind = 'user'::text))),
    CONSTRAINT principals_kind_check CHECK ((kind = ANY (ARRAY['user'::text, 'robot'::text])))
);

ALTER TABLE public.principals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.principals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.quotas (
    namespace text NOT NULL COLLATE pg_catalog."C",
    bytes bigint,
    repositories bigint,
    CONSTRAINT quotas_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT quotas_repositories_check CHECK ((repositories >= 0)),
    CONSTRAINT quotas_something CHECK (((bytes IS NOT NULL) OR (repositories IS NOT NULL)))
);

CREATE TABLE public.refresh_tokens (
    hash bytea NOT NULL,
    principal_id bigint NOT NULL,
    secret_id text COLLATE pg_catalog."C",
    trusted_publisher_id bigint,
    via text NOT NULL,
    is_read_only boolean NOT NULL,
    claims jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.registry_days (
    day date NOT NULL,
    pushes bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    bytes bigint
);

CREATE TABLE public.registry_usage (
    is_only boolean DEFAULT true NOT NULL,
    repositories bigint NOT NULL,
    tags bigint NOT NULL,
    manifests bigint NOT NULL,
    manifest_bytes bigint NOT NULL,
    blobs bigint NOT NULL,
    blob_bytes bigint NOT NULL,
    bytes bigint GENERATED ALWAYS AS ((manifest_bytes + blob_bytes)) STORED NOT NULL,
    CONSTRAINT registry_usage_is_only_check CHECK (is_only)
);

CREATE VIEW public.registry_totals AS
 SELECT (usage.repositories + pending.repositories) AS repositories,
    (usage.tags + pending.tags) AS tags,
    (usage.manifests + pending.manifests) AS manifests,
    (usage.manifest_bytes + pending.manifest_bytes) AS manifest_bytes,
    (usage.blobs + pending.blobs) AS blobs,
    (usage.blob_bytes + pending.blob_bytes) AS blob_bytes,
    ((usage.bytes + pending.manifest_bytes) + pending.blob_bytes) AS bytes
   FROM (public.registry_usage usage
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum(changes.repositories), (0)::numeric))::bigint AS repositories,
            (COALESCE(sum(changes.tags), (0)::numeric))::bigint AS tags,
            (COALESCE(sum(changes.manifests), (0)::numeric))::bigint AS manifests,
            (COALESCE(sum(changes.manifest_bytes), (0)::numeric))::bigint AS manifest_bytes,
            (COALESCE(sum(changes.registry_blobs), (0)::numeric))::bigint AS blobs,
            (COALESCE(sum(changes.registry_blob_bytes), (0)::numeric))::bigint AS blob_bytes
           FROM public.usage_changes changes
          WHERE (changes.namespace_id >= 0)) pending)
  WHERE usage.is_only;

CREATE TABLE public.repositories (
    id bigint NOT NULL,
    namespace_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    keep_untagged boolean DEFAULT false NOT NULL,
    grace interval,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    undo interval,
    deleted_at timestamp with time zone,
    deleted_until timestamp with time zone,
    deleted_by text,
    CONSTRAINT repositories_grace_check CHECK (((grace >= '00:00:00'::interval) AND (grace <= '1 year'::interval))),
    CONSTRAINT repositories_undo CHECK (((undo >= '00:00:00'::interval) AND (undo <= '1 year'::interval)))
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

CREATE TABLE public.repository_days (
    repository_id bigint NOT NULL,
    day date NOT NULL,
    pushes bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    bytes bigint
);

CREATE TABLE public.repository_kinds (
    repository_id bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    manifests bigint NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.repository_trends (
    repository_id bigint NOT NULL,
    namespace_id bigint NOT NULL,
    gained_bytes bigint DEFAULT 0 NOT NULL,
    recent_pushes bigint DEFAULT 0 NOT NULL,
    recent_pulls bigint DEFAULT 0 NOT NULL,
    recent bigint GENERATED ALWAYS AS ((recent_pushes + recent_pulls)) STORED NOT NULL,
    due_on date DEFAULT '-infinity'::date
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.repository_usage (
    repository_id bigint NOT NULL,
    tags bigint DEFAULT 0 NOT NULL,
    manifests bigint DEFAULT 0 NOT NULL,
    manifest_bytes bigint DEFAULT 0 NOT NULL,
    blobs bigint DEFAULT 0 NOT NULL,
    blob_bytes bigint DEFAULT 0 NOT NULL,
    namespace_id bigint NOT NULL,
    bytes bigint GENERATED ALWAYS AS ((manifest_bytes + blob_bytes)) STORED NOT NULL,
    pushed_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    pulled_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    untagged bigint DEFAULT 0 NOT NULL,
    untagged_bytes bigint DEFAULT 0 NOT NULL,
    untagged_as_of timestamp with time zone,
    untagged_scan_due boolean DEFAULT true NOT NULL,
    restorable_bytes bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.retention_clock (
    is_only boolean DEFAULT true NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT retention_clock_is_only_check CHECK (is_only)
);

CREATE TABLE public.retention_fills (
    lowest text NOT NULL COLLATE pg_catalog."C",
    highest text NOT NULL COLLATE pg_catalog."C",
    phase text DEFAULT 'asked'::text NOT NULL,
    after_transaction xid8,
    repository text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    tag text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    queued bigint DEFAULT 0 NOT NULL,
    CONSTRAINT retention_fills_phase_check CHECK ((phase = ANY (ARRAY['asked'::text, 'scopes'::text, 'tags'::text])))
);

CREATE TABLE public.retention_policies (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    "position" integer NOT NULL,
    repositories text NOT NULL COLLATE pg_catalog."C",
    repositories_like text GENERATED ALWAYS AS (public.glob_like(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    repositories_form text GENERATED ALWAYS AS (public.glob_form(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    namespace text GENERATED ALWAYS AS (public.pattern_namespace(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    mode text NOT NULL,
    rules jsonb NOT NULL,
    new_for interval NOT NULL,
    brake_share integer NOT NULL,
    brake_tags integer NOT NULL,
    held_because text,
    revision bigint DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT retention_policies_brake_share_check CHECK (((brake_share >= 1) AND (brake_share <= 100))),
    CONSTRAINT retention_policies_brake_tags_check CHECK ((brake_tags > 0)),
    CONSTRAINT retention_policies_mode_check CHECK ((mode = ANY (ARRAY['preview'::text, 'enforce'::text, 'paused'::text]))),
    CONSTRAINT retention_policies_new_for_check CHECK (((new_for >= '01:00:00'::interval) AND (new_for <= '3660 days'::interval))),
    CONSTRAINT retention_policies_position_check CHECK (("position" >= 0))
);

ALTER TABLE public.retention_policies ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.retention_policies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.retention_reviews (
    repository_id bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    due_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.retention_runs (
    id bigint NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    reason text,
    policy_id bigint,
    policy text NOT NULL COLLATE pg_catalog."C",
    namespace text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    document jsonb NOT NULL,
    repositories text COLLATE pg_catalog."C",
    repository text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    made_by text NOT NULL,
    applied_at timestamp with time zone,
    applied_by text,
    expires_at timestamp with time zone NOT NULL,
    waiting bigint DEFAULT 0 NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    left_alone bigint DEFAULT 0 NOT NULL,
    gone_through bigint DEFAULT 0 NOT NULL,
    bytes bigint,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    bytes_in_namespace bigint,
    CONSTRAINT retention_runs_kind_check CHECK ((kind = ANY (ARRAY['plan'::text, 'scheduled'::text]))),
    CONSTRAINT retention_runs_state_check CHECK ((state = ANY (ARRAY['making'::text, 'ready'::text, 'open'::text, 'preview'::text, 'held'::text, 'applying'::text, 'done'::text, 'undoing'::text, 'undone'::text, 'dropped'::text, 'expired'::text, 'failed'::text])))
);

ALTER TABLE public.retention_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.retention_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.retention_scopes (
    repository_id bigint NOT NULL,
    policy_id bigint NOT NULL,
    new_for interval NOT NULL
);

CREATE TABLE public.retention_verdicts (
    run_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    manifest_id bigint NOT NULL,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    pushed_at timestamp with time zone NOT NULL,
    pulled_at timestamp with time zone,
    verdict text NOT NULL,
    reason text NOT NULL,
    rule integer,
    why text NOT NULL,
    outcome text,
    note text,
    CONSTRAINT retention_verdicts_outcome_check CHECK ((outcome = ANY (ARRAY['waiting'::text, 'removed'::text, 'changed'::text, 'gone'::text, 'kept'::text, 'restored'::text, 'taken'::text, 'lost'::text]))),
    CONSTRAINT retention_verdicts_verdict_check CHECK ((verdict = ANY (ARRAY['keep'::text, 'remove'::text])))
);

CREATE TABLE public.secrets (
    id text NOT NULL COLLATE pg_catalog."C",
    principal_id bigint NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);

CREATE UNLOGGED TABLE public.sign_in_failures (
    key bytea NOT NULL,
    failures integer NOT NULL,
    last_failed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.sparse_references (
    manifest_id bigint NOT NULL,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE public.subscriptions (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    pattern text NOT NULL COLLATE pg_catalog."C",
    pattern_regex text NOT NULL COLLATE pg_catalog."C",
    namespace text GENERATED ALWAYS AS (public.pattern_namespace(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    tag_pattern text DEFAULT '*'::text NOT NULL COLLATE pg_catalog."C",
    kinds text[],
    format text DEFAULT 'cloudevents'::text NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    secret text,
    previous_secret text,
    previous_until timestamp with time zone,
    sealed_header text,
    is_ordered boolean DEFAULT true NOT NULL,
    shows_request boolean DEFAULT false NOT NULL,
    state text DEFAULT 'on'::text NOT NULL,
    reason text,
    dead_in_a_row integer DEFAULT 0 NOT NULL,
    resumed_with bigint DEFAULT 0 NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    pattern_like text GENERATED ALWAYS AS (public.glob_like(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    pattern_form text GENERATED ALWAYS AS (public.glob_form(pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    tag_like text GENERATED ALWAYS AS (public.glob_like(tag_pattern)) STORED NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT subscriptions_format_check CHECK ((format = ANY (ARRAY['cloudevents'::text, 'distribution'::text, 'distribution-v1'::text, 'gar'::text]))),
    CONSTRAINT subscriptions_state_check CHECK ((state = ANY (ARRAY['on'::text, 'paused'::text, 'off'::text])))
);

ALTER TABLE public.subscriptions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.subscriptions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tag_days (
    repository_id bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    pushes bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.tag_history (
    id bigint NOT NULL,
    repository_id bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    size bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL,
    actor text NOT NULL,
    is_move boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    pulls bigint NOT NULL,
    pulled_at timestamp with time zone NOT NULL
);

ALTER TABLE public.tag_history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tag_history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tag_reviews (
    repository_id bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    review_after timestamp with time zone NOT NULL,
    event text NOT NULL,
    gone_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error text
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE TABLE public.tag_rules (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    "position" integer NOT NULL,
    kind text NOT NULL,
    repositories text NOT NULL COLLATE pg_catalog."C",
    repositories_regex text NOT NULL COLLATE pg_catalog."C",
    namespace text GENERATED ALWAYS AS (public.pattern_namespace(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    tags text NOT NULL COLLATE pg_catalog."C",
    tags_regex text NOT NULL COLLATE pg_catalog."C",
    role text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    repositories_like text GENERATED ALWAYS AS (public.glob_like(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    repositories_form text GENERATED ALWAYS AS (public.glob_form(repositories)) STORED NOT NULL COLLATE pg_catalog."C",
    tags_like text GENERATED ALWAYS AS (public.glob_like(tags)) STORED NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT tag_rules_delete_protected CHECK (((kind <> 'delete_protected'::text) OR (tags = '*'::text))),
    CONSTRAINT tag_rules_exempt CHECK (((kind <> 'exempt'::text) OR (role IS NULL))),
    CONSTRAINT tag_rules_kind_check CHECK ((kind = ANY (ARRAY['protected'::text, 'immutable'::text, 'exempt'::text, 'delete_protected'::text]))),
    CONSTRAINT tag_rules_role_check CHECK (((role IS NULL) OR (public.role_rank(role) IS NOT NULL)))
);

ALTER TABLE public.tag_rules ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tag_rules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tags (
    repository_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    manifest_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    pulled_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    subject bytea,
    named_at timestamp with time zone DEFAULT clock_timestamp(),
    restored_at timestamp with time zone,
    CONSTRAINT tags_subject CHECK ((NOT (subject IS DISTINCT FROM public.tag_subject(name))))
);

CREATE TABLE public.trusted_publishers (
    id bigint NOT NULL,
    principal_id bigint NOT NULL,
    issuer text NOT NULL COLLATE pg_catalog."C",
    claims jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT trusted_publishers_claims_check CHECK (((jsonb_typeof(claims) = 'object'::text) AND (claims <> '{}'::jsonb)))
);

ALTER TABLE public.trusted_publishers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.trusted_publishers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.upload_objects (
    object_name text NOT NULL COLLATE pg_catalog."C",
    upload_id uuid NOT NULL,
    number integer,
    size bigint,
    finished_at timestamp with time zone
);

CREATE TABLE public.uploads (
    id uuid NOT NULL,
    repository_id bigint NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    received bigint DEFAULT 0 NOT NULL,
    algorithm text NOT NULL,
    hash_state bytea,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    principal text COLLATE pg_catalog."C",
    namespace_id bigint,
    is_counted boolean DEFAULT true NOT NULL,
    crc32c bigint
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

ALTER TABLE public.usage_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.usage_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.used_tokens (
    hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.withdrawn_manifests (
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    media_type text NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    subject bytea,
    payload bytea NOT NULL,
    blobs bytea[] NOT NULL,
    children bytea[] NOT NULL,
    pushed_at timestamp with time zone NOT NULL,
    withdrawn_at timestamp with time zone DEFAULT now() NOT NULL,
    until timestamp with time zone NOT NULL,
    cause text NOT NULL,
    actor text NOT NULL
);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.background_failures
    ADD CONSTRAINT background_failures_pkey PRIMARY KEY (migration_id, key);

ALTER TABLE ONLY public.background_migrations
    ADD CONSTRAINT background_migrations_name_key UNIQUE (name);

ALTER TABLE ONLY public.background_migrations
    ADD CONSTRAINT background_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backup_drills
    ADD CONSTRAINT backup_drills_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backup_runs
    ADD CONSTRAINT backup_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.blob_reviews
    ADD CONSTRAINT blob_reviews_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.check_pieces
    ADD CONSTRAINT check_pieces_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.checks
    ADD CONSTRAINT checks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.collected
    ADD CONSTRAINT collected_pkey PRIMARY KEY (day, level, event);

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.deletions
    ADD CONSTRAINT deletions_pkey PRIMARY KEY (object_name);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (subscription_id, event_id);

ALTER TABLE ONLY public.event_fan_out
    ADD CONSTRAINT event_fan_out_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_once UNIQUE (kind, subject);

ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.gc_settings
    ADD CONSTRAINT gc_settings_pkey PRIMARY KEY (event);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_pattern UNIQUE NULLS NOT DISTINCT (principal_id, namespace, pattern);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (principal_id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_subject UNIQUE (issuer, subject);

ALTER TABLE ONLY public.import_deleted
    ADD CONSTRAINT import_deleted_pkey PRIMARY KEY (repository, tag, digest);

ALTER TABLE ONLY public.import_modes
    ADD CONSTRAINT import_modes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_modes
    ADD CONSTRAINT import_modes_source_id_pattern_key UNIQUE (source_id, pattern);

ALTER TABLE ONLY public.import_places
    ADD CONSTRAINT import_places_pkey PRIMARY KEY (source_id, number);

ALTER TABLE ONLY public.import_problems
    ADD CONSTRAINT import_problems_once UNIQUE (source_id, repository, kind, key);

ALTER TABLE ONLY public.import_problems
    ADD CONSTRAINT import_problems_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_ranges
    ADD CONSTRAINT import_ranges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_repositories
    ADD CONSTRAINT import_repositories_name UNIQUE (name);

ALTER TABLE ONLY public.import_repositories
    ADD CONSTRAINT import_repositories_path UNIQUE (source_id, path);

ALTER TABLE ONLY public.import_repositories
    ADD CONSTRAINT import_repositories_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_sources
    ADD CONSTRAINT import_sources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.import_tags
    ADD CONSTRAINT import_tags_pkey PRIMARY KEY (import_id, name);

ALTER TABLE ONLY public.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (subscription_id, repository_id);

ALTER TABLE ONLY public.link_reviews
    ADD CONSTRAINT link_reviews_pkey PRIMARY KEY (repository_id, digest);

ALTER TABLE ONLY public.manifest_blobs
    ADD CONSTRAINT manifest_blobs_pkey PRIMARY KEY (manifest_id, digest);

ALTER TABLE ONLY public.manifest_children
    ADD CONSTRAINT manifest_children_pkey PRIMARY KEY (parent_id, child_id);

ALTER TABLE ONLY public.manifest_days
    ADD CONSTRAINT manifest_days_pkey PRIMARY KEY (manifest_id, day);

ALTER TABLE ONLY public.manifest_reviews
    ADD CONSTRAINT manifest_reviews_pkey PRIMARY KEY (manifest_id);

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_repository_id_digest_key UNIQUE (repository_id, digest);

ALTER TABLE ONLY public.namespace_blobs
    ADD CONSTRAINT namespace_blobs_pkey PRIMARY KEY (namespace_id, digest);

ALTER TABLE ONLY public.namespace_days
    ADD CONSTRAINT namespace_days_pkey PRIMARY KEY (namespace_id, day);

ALTER TABLE ONLY public.namespace_usage
    ADD CONSTRAINT namespace_usage_pkey PRIMARY KEY (namespace_id);

ALTER TABLE ONLY public.namespaces
    ADD CONSTRAINT namespaces_name_key UNIQUE (name);

ALTER TABLE ONLY public.namespaces
    ADD CONSTRAINT namespaces_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platforms
    ADD CONSTRAINT platforms_pkey PRIMARY KEY (manifest_id);

ALTER TABLE ONLY public.principals
    ADD CONSTRAINT principals_name UNIQUE (name);

ALTER TABLE ONLY public.principals
    ADD CONSTRAINT principals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotas
    ADD CONSTRAINT quotas_pkey PRIMARY KEY (namespace);

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.registry_days
    ADD CONSTRAINT registry_days_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.registry_usage
    ADD CONSTRAINT registry_usage_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_name_key UNIQUE (name);

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_pkey PRIMARY KEY (repository_id, digest);

ALTER TABLE ONLY public.repository_days
    ADD CONSTRAINT repository_days_pkey PRIMARY KEY (repository_id, day);

ALTER TABLE ONLY public.repository_kinds
    ADD CONSTRAINT repository_kinds_pkey PRIMARY KEY (repository_id, kind);

ALTER TABLE ONLY public.repository_trends
    ADD CONSTRAINT repository_trends_pkey PRIMARY KEY (repository_id);

ALTER TABLE ONLY public.repository_usage
    ADD CONSTRAINT repository_usage_pkey PRIMARY KEY (repository_id);

ALTER TABLE ONLY public.retention_clock
    ADD CONSTRAINT retention_clock_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.retention_fills
    ADD CONSTRAINT retention_fills_pkey PRIMARY KEY (lowest, highest);

ALTER TABLE ONLY public.retention_policies
    ADD CONSTRAINT retention_policies_name UNIQUE (name);

ALTER TABLE ONLY public.retention_policies
    ADD CONSTRAINT retention_policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention_reviews
    ADD CONSTRAINT retention_reviews_pkey PRIMARY KEY (repository_id, tag);

ALTER TABLE ONLY public.retention_runs
    ADD CONSTRAINT retention_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention_scopes
    ADD CONSTRAINT retention_scopes_pkey PRIMARY KEY (repository_id);

ALTER TABLE ONLY public.retention_verdicts
    ADD CONSTRAINT retention_verdicts_pkey PRIMARY KEY (run_id, repository_id, tag);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sign_in_failures
    ADD CONSTRAINT sign_in_failures_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.sparse_references
    ADD CONSTRAINT sparse_references_pkey PRIMARY KEY (manifest_id, digest);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_name UNIQUE (namespace, name);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tag_days
    ADD CONSTRAINT tag_days_pkey PRIMARY KEY (repository_id, tag, day);

ALTER TABLE ONLY public.tag_history
    ADD CONSTRAINT tag_history_pkey PRIMARY KEY (repository_id, tag, id);

ALTER TABLE ONLY public.tag_reviews
    ADD CONSTRAINT tag_reviews_pkey PRIMARY KEY (repository_id, tag);

ALTER TABLE ONLY public.tag_rules
    ADD CONSTRAINT tag_rules_name UNIQUE (namespace, name);

ALTER TABLE ONLY public.tag_rules
    ADD CONSTRAINT tag_rules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (repository_id, name);

ALTER TABLE ONLY public.trusted_publishers
    ADD CONSTRAINT trusted_publishers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upload_objects
    ADD CONSTRAINT upload_objects_pkey PRIMARY KEY (object_name);

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_changes
    ADD CONSTRAINT usage_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.used_tokens
    ADD CONSTRAINT used_tokens_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY public.withdrawn_manifests
    ADD CONSTRAINT withdrawn_manifests_pkey PRIMARY KEY (repository_id, digest);

CREATE INDEX audit_age ON public.audit USING btree (at);

CREATE INDEX audit_content ON public.audit USING btree (id) WHERE ((outcome <> 'denied'::text) AND (split_part(action, '.'::text, 1) = ANY (ARRAY['manifest'::text, 'blob'::text])));

CREATE INDEX audit_namespace ON public.audit USING btree (namespace, id) WHERE (namespace IS NOT NULL);

CREATE INDEX audit_principal ON public.audit USING btree (principal, id);

CREATE INDEX audit_refusals ON public.audit USING btree (id) WHERE (outcome = 'denied'::text);

CREATE INDEX audit_resource ON public.audit USING btree (resource, id);

CREATE INDEX backup_drills_backups ON public.backup_drills USING btree (backup_id, id);

CREATE INDEX backup_runs_kinds ON public.backup_runs USING btree (kind, id);

CREATE INDEX backup_runs_names ON public.backup_runs USING btree (name);

CREATE UNIQUE INDEX backup_runs_unended ON public.backup_runs USING btree (((ended_at IS NULL))) WHERE (ended_at IS NULL);

CREATE INDEX blob_reviews_due ON public.blob_reviews USING btree (review_after);

CREATE INDEX blobs_damaged ON public.blobs USING btree (digest) WHERE (damaged_at IS NOT NULL);

CREATE UNIQUE INDEX blobs_object ON public.blobs USING btree (object_name) WHERE (object_name IS NOT NULL);

CREATE INDEX check_pieces_check ON public.check_pieces USING btree (check_id, id);

CREATE UNIQUE INDEX checks_running ON public.checks USING btree (state) WHERE (state = 'running'::text);

CREATE INDEX checks_started ON public.checks USING btree (started_at);

CREATE INDEX console_links_expiry ON public.console_links USING btree (expires_at);

CREATE INDEX console_links_principal ON public.console_links USING btree (principal_id);

CREATE INDEX console_sessions_expiry ON public.console_sessions USING btree (expires_at);

CREATE INDEX console_sessions_principal ON public.console_sessions USING btree (principal_id);

CREATE INDEX console_sessions_secret ON public.console_sessions USING btree (secret_id) WHERE (secret_id IS NOT NULL);

CREATE INDEX deletions_due ON public.deletions USING btree (not_before);

CREATE INDEX deliveries_event ON public.deliveries USING btree (event_id);

CREATE INDEX deliveries_heads ON public.deliveries USING btree (subscription_id, repository_id, event_id) WHERE (state = 'waiting'::text);

CREATE INDEX deliveries_log ON public.deliveries USING btree (subscription_id, state, event_id);

CREATE INDEX events_kept ON public.events USING btree (keep_until);

CREATE INDEX events_new ON public.events USING btree (id) WHERE ("position" IS NULL);

CREATE INDEX events_of_namespace ON public.events USING btree (namespace, "position") WHERE ("position" IS NOT NULL);

CREATE INDEX events_of_repository ON public.events USING btree (repository_id, id);

CREATE UNIQUE INDEX events_position ON public.events USING btree ("position") WHERE ("position" IS NOT NULL);

CREATE INDEX findings_check ON public.findings USING btree (check_id, id);

CREATE INDEX findings_gone ON public.findings USING btree (gone_at) WHERE (gone_at IS NOT NULL);

CREATE INDEX findings_open ON public.findings USING btree (id) WHERE (gone_at IS NULL);

CREATE INDEX grants_list ON public.grants USING btree (pattern, id);

CREATE INDEX grants_namespace ON public.grants USING btree (namespace, principal_id);

CREATE INDEX grants_of_principal ON public.grants USING btree (principal_id, pattern, id);

CREATE INDEX holds_until ON public.holds USING btree (until);

CREATE INDEX import_modes_latest ON public.import_modes USING btree (source_id, id);

CREATE INDEX import_problems_open ON public.import_problems USING btree (source_id, id) WHERE (gone_at IS NULL);

CREATE INDEX import_problems_reasons ON public.import_problems USING btree (source_id, reason, id) WHERE (gone_at IS NULL);

CREATE INDEX import_ranges_due ON public.import_ranges USING btree (source_id, lease_until, id);

CREATE UNIQUE INDEX import_ranges_pieces ON public.import_ranges USING btree (source_id, tree, start);

CREATE INDEX import_repositories_asked ON public.import_repositories USING btree (source_id, asked_at) WHERE ((asked_at IS NOT NULL) AND (state = ANY (ARRAY['listed'::text, 'importing'::text])));

CREATE INDEX import_repositories_due ON public.import_repositories USING btree (source_id, due_at, objects) WHERE (due_at IS NOT NULL);

CREATE INDEX import_repositories_export ON public.import_repositories USING btree (export_due_at) WHERE (export_due_at IS NOT NULL);

CREATE INDEX import_repositories_here ON public.import_repositories USING btree (repository_id) WHERE (repository_id IS NOT NULL);

CREATE INDEX import_repositories_old ON public.import_repositories USING btree (name) WHERE (state = ANY (ARRAY['listed'::text, 'importing'::text]));

CREATE INDEX import_repositories_order ON public.import_repositories USING btree (source_id, ((path || '/_'::text)));

CREATE INDEX import_repositories_states ON public.import_repositories USING btree (source_id, state, id);

CREATE UNIQUE INDEX import_sources_address ON public.import_sources USING btree (address) WHERE (state <> 'sealed'::text);

CREATE UNIQUE INDEX import_sources_mark ON public.import_sources USING btree (mark);

CREATE INDEX import_sources_open ON public.import_sources USING btree (id) WHERE (state <> ALL (ARRAY['added'::text, 'sealed'::text]));

CREATE INDEX import_tags_digest ON public.import_tags USING btree (import_id, digest);

CREATE INDEX import_tags_listed ON public.import_tags USING btree (import_id, name) WHERE (state = 'listed'::text);

CREATE INDEX lanes_due ON public.lanes USING btree (subscription_id, next_at) WHERE (waiting > 0);

CREATE INDEX link_reviews_due ON public.link_reviews USING btree (review_after);

CREATE INDEX manifest_blobs_link ON public.manifest_blobs USING btree (repository_id, digest);

CREATE INDEX manifest_children_child ON public.manifest_children USING btree (child_id);

CREATE INDEX manifest_days_day ON public.manifest_days USING btree (day);

CREATE INDEX manifest_reviews_due ON public.manifest_reviews USING btree (review_after);

CREATE INDEX manifests_subject ON public.manifests USING btree (repository_id, subject, digest) WHERE (subject IS NOT NULL);

CREATE INDEX namespace_days_day ON public.namespace_days USING btree (day);

CREATE INDEX namespace_usage_bytes ON public.namespace_usage USING btree (bytes, namespace_id);

CREATE INDEX namespace_usage_pulled ON public.namespace_usage USING btree (pulled_at, namespace_id);

CREATE INDEX namespace_usage_pulls ON public.namespace_usage USING btree (pulls, namespace_id);

CREATE INDEX namespace_usage_pushed ON public.namespace_usage USING btree (pushed_at, namespace_id);

CREATE INDEX namespace_usage_repositories ON public.namespace_usage USING btree (repositories, namespace_id);

CREATE INDEX namespace_usage_tags ON public.namespace_usage USING btree (tags, namespace_id);

CREATE INDEX platforms_due ON public.platforms USING btree (look_after) WHERE (look_after IS NOT NULL);

CREATE INDEX principals_administrators ON public.principals USING btree (is_disabled, id) WHERE is_admin;

CREATE INDEX principals_namespace ON public.principals USING btree (namespace, name) WHERE (namespace IS NOT NULL);

CREATE INDEX refresh_tokens_expiry ON public.refresh_tokens USING btree (expires_at);

CREATE INDEX refresh_tokens_principal ON public.refresh_tokens USING btree (principal_id);

CREATE INDEX refresh_tokens_secret ON public.refresh_tokens USING btree (secret_id) WHERE (secret_id IS NOT NULL);

CREATE INDEX refresh_tokens_trusted_publisher ON public.refresh_tokens USING btree (trusted_publisher_id) WHERE (trusted_publisher_id IS NOT NULL);

CREATE INDEX repositories_deleted ON public.repositories USING btree (deleted_at, id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX repositories_deleted_of ON public.repositories USING btree (namespace_id, deleted_at, id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX repositories_deleted_until ON public.repositories USING btree (deleted_until, id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX repositories_namespace ON public.repositories USING btree (namespace_id, name);

CREATE INDEX repository_blobs_digest ON public.repository_blobs USING btree (digest);

CREATE INDEX repository_days_day ON public.repository_days USING btree (day);

CREATE INDEX repository_trends_due ON public.repository_trends USING btree (due_on, repository_id) WHERE (due_on IS NOT NULL);

CREATE INDEX repository_trends_gained ON public.repository_trends USING btree (gained_bytes DESC, repository_id) WHERE (gained_bytes > 0);

CREATE INDEX repository_trends_of_gained ON public.repository_trends USING btree (namespace_id, gained_bytes DESC, repository_id) WHERE (gained_bytes > 0);

CREATE INDEX repository_trends_of_recent ON public.repository_trends USING btree (namespace_id, recent DESC, repository_id) WHERE (recent > 0);

CREATE INDEX repository_trends_recent ON public.repository_trends USING btree (recent DESC, repository_id) WHERE (recent > 0);

CREATE INDEX repository_usage_bytes ON public.repository_usage USING btree (bytes, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_bytes ON public.repository_usage USING btree (namespace_id, bytes, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_pulled ON public.repository_usage USING btree (namespace_id, pulled_at, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_pulls ON public.repository_usage USING btree (namespace_id, pulls, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_pushed ON public.repository_usage USING btree (namespace_id, pushed_at, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_tags ON public.repository_usage USING btree (namespace_id, tags, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_of_untagged ON public.repository_usage USING btree (namespace_id, untagged_bytes, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_pulled ON public.repository_usage USING btree (pulled_at, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_pulls ON public.repository_usage USING btree (pulls, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_pushed ON public.repository_usage USING btree (pushed_at, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_tags ON public.repository_usage USING btree (tags, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_untagged ON public.repository_usage USING btree (untagged_bytes, repository_id) WHERE (manifests > 0);

CREATE INDEX repository_usage_untagged_scan ON public.repository_usage USING btree (repository_id) WHERE untagged_scan_due;

CREATE INDEX retention_policies_place ON public.retention_policies USING btree (namespace, "position", id);

CREATE INDEX retention_reviews_due ON public.retention_reviews USING btree (due_at);

CREATE INDEX retention_runs_applied ON public.retention_runs USING btree (policy_id, applied_at) WHERE (applied_at IS NOT NULL);

CREATE UNIQUE INDEX retention_runs_current ON public.retention_runs USING btree (policy_id) WHERE ((kind = 'scheduled'::text) AND (state = ANY (ARRAY['open'::text, 'preview'::text, 'held'::text])));

CREATE INDEX retention_runs_expiry ON public.retention_runs USING btree (expires_at);

CREATE INDEX retention_runs_namespace ON public.retention_runs USING btree (namespace, id);

CREATE INDEX retention_runs_state ON public.retention_runs USING btree (state, id);

CREATE INDEX retention_verdicts_outcome ON public.retention_verdicts USING btree (run_id, outcome, repository_id, tag) WHERE (outcome IS NOT NULL);

CREATE INDEX secrets_expiry ON public.secrets USING btree (expires_at) WHERE ((revoked_at IS NULL) AND (expires_at IS NOT NULL));

CREATE INDEX secrets_principal ON public.secrets USING btree (principal_id, created_at);

CREATE INDEX sign_in_failures_age ON public.sign_in_failures USING btree (last_failed_at);

CREATE INDEX sparse_references_digest ON public.sparse_references USING btree (repository_id, digest);

CREATE INDEX subscriptions_on ON public.subscriptions USING btree (namespace, id) WHERE (state = 'on'::text);

CREATE INDEX tag_days_day ON public.tag_days USING btree (day);

CREATE INDEX tag_history_of_repository ON public.tag_history USING btree (repository_id, until, id);

CREATE INDEX tag_history_until ON public.tag_history USING btree (until, id);

CREATE INDEX tag_reviews_due ON public.tag_reviews USING btree (review_after);

CREATE INDEX tag_rules_namespace ON public.tag_rules USING btree (namespace, "position", id);

CREATE INDEX tags_manifest ON public.tags USING btree (manifest_id);

CREATE INDEX tags_newest ON public.tags USING btree (repository_id, updated_at, name) INCLUDE (manifest_id);

CREATE INDEX tags_pulled ON public.tags USING btree (repository_id, pulled_at, name);

CREATE INDEX tags_pulls ON public.tags USING btree (repository_id, pulls, name);

CREATE INDEX tags_size ON public.tags USING btree (repository_id, size, name);

CREATE INDEX trusted_publishers_claims ON public.trusted_publishers USING gin (claims jsonb_path_ops);

CREATE INDEX trusted_publishers_issuer ON public.trusted_publishers USING btree (issuer, id);

CREATE INDEX trusted_publishers_principal ON public.trusted_publishers USING btree (principal_id, id);

CREATE INDEX upload_objects_upload ON public.upload_objects USING btree (upload_id, number);

CREATE INDEX uploads_expiry ON public.uploads USING btree (expires_at);

CREATE INDEX uploads_namespace ON public.uploads USING btree (namespace_id);

CREATE INDEX uploads_principal ON public.uploads USING btree (principal, expires_at);

CREATE INDEX uploads_repository ON public.uploads USING btree (repository_id);

CREATE INDEX usage_changes_namespace ON public.usage_changes USING btree (namespace_id);

CREATE INDEX used_tokens_expiry ON public.used_tokens USING btree (expires_at);

CREATE INDEX withdrawn_manifests_until ON public.withdrawn_manifests USING btree (until);

CREATE TRIGGER a_end_withdrawal AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.end_withdrawal();

CREATE TRIGGER count_deleted AFTER DELETE ON public.blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_blobs();

CREATE TRIGGER count_deleted AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_manifests();

CREATE TRIGGER count_deleted AFTER DELETE ON public.namespace_blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_namespace_blobs();

CREATE TRIGGER count_deleted AFTER DELETE ON public.repository_blobs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_links();

CREATE TRIGGER count_deleted AFTER DELETE ON public.tags REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_tags();

CREATE TRIGGER count_deleted AFTER DELETE ON public.withdrawn_manifests REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_withdrawn();

CREATE TRIGGER count_inserted AFTER INSERT ON public.blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_blobs();

CREATE TRIGGER count_inserted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_manifests();

CREATE TRIGGER count_inserted AFTER INSERT ON public.namespace_blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_namespace_blobs();

CREATE TRIGGER count_inserted AFTER INSERT ON public.repository_blobs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_links();

CREATE TRIGGER count_inserted AFTER INSERT ON public.tags REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_tags();

CREATE TRIGGER count_inserted AFTER INSERT ON public.withdrawn_manifests REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.count_withdrawn();

CREATE TRIGGER count_set_aside AFTER UPDATE OF deleted_at ON public.repositories FOR EACH ROW WHEN (((old.deleted_at IS NULL) <> (new.deleted_at IS NULL))) EXECUTE FUNCTION public.count_set_aside();

CREATE TRIGGER count_updated AFTER UPDATE ON public.manifests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.recount_manifests();

CREATE TRIGGER describe BEFORE INSERT OR UPDATE ON public.manifests FOR EACH ROW EXECUTE FUNCTION public.describe_manifest();

CREATE TRIGGER describe BEFORE INSERT OR UPDATE OF manifest_id ON public.tags FOR EACH ROW EXECUTE FUNCTION public.describe_tag();

CREATE TRIGGER drop_imported AFTER DELETE ON public.repositories REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.drop_imported();

CREATE TRIGGER drop_withdrawn BEFORE DELETE ON public.repositories FOR EACH ROW EXECUTE FUNCTION public.drop_withdrawn();

CREATE TRIGGER emit_deleted AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_deleted_manifests();

CREATE TRIGGER emit_deleted AFTER DELETE ON public.repositories FOR EACH ROW WHEN ((strpos(old.name, '@'::text) = 0)) EXECUTE FUNCTION public.emit_deleted_repository();

CREATE TRIGGER emit_deleted AFTER DELETE ON public.tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_deleted_tags();

CREATE TRIGGER emit_inserted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_pushed_manifests();

CREATE TRIGGER emit_inserted AFTER INSERT ON public.tags REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_created_tags();

CREATE TRIGGER emit_renamed AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_renamed();

CREATE TRIGGER emit_updated AFTER UPDATE ON public.manifests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_manifests_pushed_again();

CREATE TRIGGER emit_updated AFTER UPDATE ON public.tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.emit_updated_tags();

CREATE TRIGGER end_usage AFTER DELETE ON public.repositories REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.end_repository_usage();

CREATE TRIGGER forget_checksum BEFORE UPDATE OF received ON public.uploads FOR EACH ROW WHEN (((new.received <> old.received) AND (new.crc32c = old.crc32c))) EXECUTE FUNCTION public.forget_checksum();

CREATE TRIGGER forget_deleted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.forget_deleted_manifests();

CREATE TRIGGER keep_deleted AFTER DELETE ON public.tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.keep_deleted_tags();

CREATE TRIGGER keep_moved AFTER UPDATE ON public.tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.keep_moved_tags();

CREATE TRIGGER move_trends AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.move_trends();

CREATE TRIGGER move_uploads AFTER UPDATE OF namespace_id ON public.repositories FOR EACH ROW WHEN ((old.namespace_id <> new.namespace_id)) EXECUTE FUNCTION public.move_uploads();

CREATE TRIGGER move_usage AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.move_usage();

CREATE TRIGGER note_named_at BEFORE UPDATE OF manifest_id ON public.tags FOR EACH ROW WHEN ((old.manifest_id <> new.manifest_id)) EXECUTE FUNCTION public.note_named_at();

CREATE TRIGGER obey_quota AFTER UPDATE OF received ON public.uploads FOR EACH ROW WHEN (((new.received > old.received) AND new.is_counted)) EXECUTE FUNCTION public.obey_open_quota();

CREATE TRIGGER obey_rules BEFORE INSERT OR DELETE OR UPDATE ON public.tags FOR EACH ROW EXECUTE FUNCTION public.obey_tag_rules();

CREATE TRIGGER place BEFORE INSERT ON public.uploads FOR EACH ROW EXECUTE FUNCTION public.place_upload();

CREATE TRIGGER queue_deletion AFTER DELETE ON public.blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.queue_deletion_of_blobs();

CREATE TRIGGER queue_deletion AFTER DELETE ON public.upload_objects REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.queue_deletion_of_upload_objects();

CREATE TRIGGER queue_deletion_of_replaced AFTER UPDATE OF object_name ON public.blobs FOR EACH ROW WHEN ((old.object_name IS DISTINCT FROM new.object_name)) EXECUTE FUNCTION public.queue_deletion_of_replaced();

CREATE TRIGGER queue_inserted AFTER INSERT ON public.repository_days REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.queue_trends();

CREATE TRIGGER queue_platforms AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.queue_platforms();

CREATE TRIGGER queue_updated AFTER UPDATE ON public.repository_days REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.queue_trends();

CREATE TRIGGER remember_deleted AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.remember_deleted_manifests();

CREATE TRIGGER remember_deleted AFTER DELETE ON public.tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.remember_deleted_tags();

CREATE TRIGGER review_auxiliary_tags AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_auxiliary_tags();

CREATE TRIGGER review_children AFTER DELETE ON public.manifest_children REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_children();

CREATE TRIGGER review_children AFTER DELETE ON public.sparse_references REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_sparse_children();

CREATE TRIGGER review_inserted AFTER INSERT ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_pushed_manifests();

CREATE TRIGGER review_inserted AFTER INSERT ON public.repository_blobs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_new_links();

CREATE TRIGGER review_kept AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_kept_manifests();

CREATE TRIGGER review_moved AFTER UPDATE ON public.tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_moved();

CREATE TRIGGER review_referrers AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_referrers();

CREATE TRIGGER review_released AFTER DELETE ON public.manifest_blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_released_links();

CREATE TRIGGER review_released AFTER DELETE ON public.sparse_references REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_released_links();

CREATE TRIGGER review_retention AFTER INSERT ON public.tags REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_new_tags();

CREATE TRIGGER review_retention_of_pushed AFTER UPDATE OF updated_at ON public.tags FOR EACH ROW WHEN ((old.updated_at IS DISTINCT FROM new.updated_at)) EXECUTE FUNCTION public.review_pushed_tag();

CREATE TRIGGER review_unlinked AFTER DELETE ON public.repository_blobs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_unlinked_blobs();

CREATE TRIGGER review_untagged AFTER DELETE ON public.tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_untagged();

CREATE TRIGGER review_updated AFTER UPDATE ON public.manifests REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('slipway.describing'::text, true), ''::text) = ''::text)) EXECUTE FUNCTION public.review_pushed_manifests();

CREATE TRIGGER review_updated AFTER UPDATE ON public.repository_blobs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.review_new_links();

CREATE TRIGGER scope_retention AFTER INSERT ON public.repositories REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.scope_repositories();

CREATE TRIGGER scope_retention_of_moved AFTER UPDATE ON public.repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.scope_moved_repositories();

CREATE TRIGGER start_usage AFTER INSERT ON public.namespaces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.start_namespace_usage();

CREATE TRIGGER start_usage AFTER INSERT ON public.repositories REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.start_repository_usage();

CREATE TRIGGER untagged_scan_after_move AFTER UPDATE ON public.tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.untagged_scan_after_move();

CREATE TRIGGER withdraw AFTER DELETE ON public.manifests REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.withdraw_manifests();

ALTER TABLE ONLY public.background_failures
    ADD CONSTRAINT background_failures_migration_id_fkey FOREIGN KEY (migration_id) REFERENCES public.background_migrations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.backup_drills
    ADD CONSTRAINT backup_drills_backup_id_fkey FOREIGN KEY (backup_id) REFERENCES public.backup_runs(id);

ALTER TABLE ONLY public.blob_reviews
    ADD CONSTRAINT blob_reviews_digest_fkey FOREIGN KEY (digest) REFERENCES public.blobs(digest) ON DELETE CASCADE;

ALTER TABLE ONLY public.check_pieces
    ADD CONSTRAINT check_pieces_check_id_fkey FOREIGN KEY (check_id) REFERENCES public.checks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_secret_id_fkey FOREIGN KEY (secret_id) REFERENCES public.secrets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_event_id_fkey FOREIGN KEY (event_id) REFERENCES public.events(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES public.subscriptions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_check_id_fkey FOREIGN KEY (check_id) REFERENCES public.checks(id);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_modes
    ADD CONSTRAINT import_modes_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.import_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_places
    ADD CONSTRAINT import_places_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.import_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_problems
    ADD CONSTRAINT import_problems_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.import_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_ranges
    ADD CONSTRAINT import_ranges_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.import_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_repositories
    ADD CONSTRAINT import_repositories_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.import_sources(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_tags
    ADD CONSTRAINT import_tags_import_id_fkey FOREIGN KEY (import_id) REFERENCES public.import_repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lanes
    ADD CONSTRAINT lanes_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES public.subscriptions(id) ON DELETE CASCADE;

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

ALTER TABLE ONLY public.manifest_days
    ADD CONSTRAINT manifest_days_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifest_reviews
    ADD CONSTRAINT manifest_reviews_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.manifests
    ADD CONSTRAINT manifests_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.namespace_blobs
    ADD CONSTRAINT namespace_blobs_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.namespace_days
    ADD CONSTRAINT namespace_days_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.namespace_usage
    ADD CONSTRAINT namespace_usage_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.platforms
    ADD CONSTRAINT platforms_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_secret_id_fkey FOREIGN KEY (secret_id) REFERENCES public.secrets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_trusted_publisher_id_fkey FOREIGN KEY (trusted_publisher_id) REFERENCES public.trusted_publishers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id);

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_blob FOREIGN KEY (digest) REFERENCES public.blobs(digest) ON DELETE RESTRICT;

ALTER TABLE ONLY public.repository_blobs
    ADD CONSTRAINT repository_blobs_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.repository_days
    ADD CONSTRAINT repository_days_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repository_kinds
    ADD CONSTRAINT repository_kinds_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repository_trends
    ADD CONSTRAINT repository_trends_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repository_usage
    ADD CONSTRAINT repository_usage_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id);

ALTER TABLE ONLY public.repository_usage
    ADD CONSTRAINT repository_usage_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.retention_reviews
    ADD CONSTRAINT retention_reviews_tag FOREIGN KEY (repository_id, tag) REFERENCES public.tags(repository_id, name) ON DELETE CASCADE;

ALTER TABLE ONLY public.retention_scopes
    ADD CONSTRAINT retention_scopes_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.retention_verdicts
    ADD CONSTRAINT retention_verdicts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.retention_runs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sparse_references
    ADD CONSTRAINT sparse_references_manifest_id_fkey FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tag_days
    ADD CONSTRAINT tag_days_tag FOREIGN KEY (repository_id, tag) REFERENCES public.tags(repository_id, name) ON DELETE CASCADE;

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_manifest FOREIGN KEY (manifest_id) REFERENCES public.manifests(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.trusted_publishers
    ADD CONSTRAINT trusted_publishers_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principals(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.upload_objects
    ADD CONSTRAINT upload_objects_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES public.uploads(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);

ALTER TABLE ONLY public.withdrawn_manifests
    ADD CONSTRAINT withdrawn_manifests_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id);
