-- Events: what changed, written in the transaction that changed it, and only if somebody subscribed to such a change.
-- `functions/deliver/` fans them out, one transaction after the other, and sends what each subscription waits for.

-- `target` is https://…, projects/PROJECT/topics/TOPIC, or `poll` for whoever asks. Of one that is not `on` nothing new
-- is fanned out, and nothing is sent. `resumed_with` is how much waited when somebody set it on again: that alone is no
-- reason to pause it once more. `shows_request`: a registry administrator made it, who may see whose address it was.
CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    pattern text COLLATE "C" NOT NULL,
    pattern_regex text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pattern_namespace(pattern)) STORED,
    tag_pattern text COLLATE "C" NOT NULL DEFAULT '*',
    kinds text[],
    format text NOT NULL DEFAULT 'cloudevents'
        CHECK (format IN ('cloudevents', 'distribution', 'distribution-v1', 'gar')),
    target text COLLATE "C" NOT NULL,
    secret text,
    previous_secret text,
    previous_until timestamptz,
    sealed_header text,
    is_ordered boolean NOT NULL DEFAULT true,
    shows_request boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'on' CHECK (state IN ('on', 'paused', 'off')),
    reason text,
    dead_in_a_row int NOT NULL DEFAULT 0,
    resumed_with bigint NOT NULL DEFAULT 0,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    pattern_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(pattern)) STORED,
    pattern_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(pattern)) STORED,
    tag_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(tag_pattern)) STORED,
    CONSTRAINT subscriptions_name UNIQUE (namespace, name)
);
CREATE INDEX subscriptions_on ON subscriptions (namespace, id) WHERE state = 'on';

-- Ids of one repository are in the order of its commits: whoever changes it holds its figures until the commit, and the
-- identity's sequence keeps none back (CACHE 1). Ids of several are not, so nobody walks by them: `position`, which the
-- fan-out gives, is the order in which events are shown. `at` is the clock's: a transaction's beginning goes backwards.
-- `former` is the name before a move. One with `only_for` is a test of that subscription. All are kept for a week, and
-- for thirty days where somebody could not be told.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text COLLATE "C" NOT NULL,
    repository_id bigint NOT NULL,
    repository text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL GENERATED ALWAYS AS (split_part(repository, '/', 1)) STORED,
    former text COLLATE "C",
    tag text COLLATE "C",
    digest bytea,
    previous bytea,
    media_type text,
    size bigint,
    actor text,
    cause text,
    request text,
    made_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    only_for bigint,
    position bigint,
    keep_until timestamptz NOT NULL DEFAULT now() + interval '7 days'
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX events_new ON events (id) WHERE position IS NULL;
-- A change pays for no more of them than it needs: these two are written by the fan-out.
CREATE UNIQUE INDEX events_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_of_namespace ON events (namespace, position) WHERE position IS NOT NULL;
CREATE INDEX events_of_repository ON events (repository_id, id);
CREATE INDEX events_kept ON events (keep_until);

-- One row: the last position that was given. Whoever fans out holds it, so that one does after the other.
CREATE TABLE event_fan_out (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    position bigint NOT NULL
);
INSERT INTO event_fan_out (position) VALUES (0);

-- `answer` is what the receiver said last, or why nothing could be sent. It goes with its event.
CREATE TABLE deliveries (
    subscription_id bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    event_id bigint NOT NULL REFERENCES events ON DELETE CASCADE,
    repository_id bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    attempts int NOT NULL DEFAULT 0,
    attempted_at timestamptz,
    status int,
    ms int,
    answer text,
    PRIMARY KEY (subscription_id, event_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX deliveries_heads ON deliveries (subscription_id, repository_id, event_id) WHERE state = 'waiting';
CREATE INDEX deliveries_log ON deliveries (subscription_id, state, event_id);
CREATE INDEX deliveries_event ON deliveries (event_id);

-- What waits for one subscription from one repository is sent in order, by one worker at a time: it takes the lane by
-- moving `next_at` on to `leased_until`, and takes the next number of `lease`, so that it finds out if another has it.
-- `failing_since` is the first of the attempts that have failed without a success since.
CREATE TABLE lanes (
    subscription_id bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    repository_id bigint NOT NULL,
    next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease bigint NOT NULL DEFAULT 0,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts int NOT NULL DEFAULT 0,
    failing_since timestamptz,
    waiting bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription_id, repository_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX lanes_due ON lanes (subscription_id, next_at) WHERE waiting > 0;

-- What the transaction was told of itself; what it wasn't told is unknown.
CREATE FUNCTION transaction_setting(setting text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('slipway.' || setting, true), '')
$$;

-- Whether somebody who is subscribed now could want it.
CREATE FUNCTION is_wanted(happened text, of_namespace text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN EXISTS (SELECT FROM subscriptions
                    WHERE state = 'on' AND namespace IN ('', of_namespace)
                      AND (kinds IS NULL OR happened = ANY (kinds)));
END $$;

-- Where nobody is subscribed, asking that is all that a change costs. What an import takes over in bulk is no change that
-- anybody made; and what is set aside has a name that nobody can say, and is nobody's news. A repository's figures
-- are held when ids are taken, which is their order: counting holds them, whose triggers come first by their names, and
-- what it doesn't count is held here.
CREATE FUNCTION is_anybody_told() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN EXISTS (SELECT FROM subscriptions WHERE state = 'on') AND NOT is_importing();
END $$;

-- With its first manifest a repository is there for others: an upload that was begun has made its row before.
CREATE FUNCTION emit_pushed_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
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
CREATE TRIGGER emit_inserted AFTER INSERT ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_pushed_manifests();

-- Pushed again; what else is written into manifests is about them, and no push.
CREATE FUNCTION emit_manifests_pushed_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, digest, media_type, size, actor, cause, request)
    SELECT 'manifest.pushed', here.id, here.name, new_rows.digest, new_rows.media_type, length(new_rows.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM new_rows JOIN old_rows USING (id) JOIN repositories AS here ON here.id = new_rows.repository_id
     WHERE new_rows.pushed_at <> old_rows.pushed_at
       AND is_wanted('manifest.pushed', split_part(here.name, '/', 1));
    RETURN NULL;
END $$;
CREATE TRIGGER emit_updated AFTER UPDATE ON manifests REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_manifests_pushed_again();

CREATE FUNCTION emit_deleted_manifests() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT is_anybody_told() THEN RETURN NULL; END IF;
    INSERT INTO events (kind, repository_id, repository, digest, media_type, size, actor, cause, request)
    SELECT 'manifest.deleted', here.id, here.name, old_rows.digest, old_rows.media_type, length(old_rows.payload),
           transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
      FROM old_rows JOIN repositories AS here ON here.id = old_rows.repository_id
     WHERE strpos(here.name, '@') = 0 AND is_wanted('manifest.deleted', split_part(here.name, '/', 1));
    RETURN NULL;
END $$;
CREATE TRIGGER emit_deleted AFTER DELETE ON manifests REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_deleted_manifests();

CREATE FUNCTION emit_created_tags() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER emit_inserted AFTER INSERT ON tags REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_created_tags();

-- Moved to another manifest, or pushed again as it was; pulls are counted in tags as well, and are no events.
CREATE FUNCTION emit_updated_tags() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER emit_updated AFTER UPDATE ON tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_updated_tags();

CREATE FUNCTION emit_deleted_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
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
CREATE TRIGGER emit_deleted AFTER DELETE ON tags REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_deleted_tags();

-- Of a repository as a whole, whose row is held by whoever changes it. Either name may be what somebody subscribed to.
CREATE FUNCTION emit_of_repository(happened text, id bigint, name text, former text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO events (kind, repository_id, repository, former, actor, cause, request)
    SELECT happened, id, name, former, transaction_setting('actor'), transaction_setting('cause'), transaction_setting('request')
     WHERE EXISTS (SELECT FROM subscriptions
                    WHERE namespace IN ('', split_part(name, '/', 1), split_part(former, '/', 1)) AND state = 'on'
                      AND (kinds IS NULL OR happened = ANY (kinds)))
$$;

-- One that is set aside gets a name that no client can say: it is gone, until it has a proper one again.
CREATE FUNCTION emit_renamed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
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
CREATE TRIGGER emit_renamed AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION emit_renamed();

CREATE FUNCTION emit_deleted_repository() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM emit_of_repository('repository.deleted', OLD.id, OLD.name, NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER emit_deleted AFTER DELETE ON repositories FOR EACH ROW WHEN (strpos(OLD.name, '@') = 0)
    EXECUTE FUNCTION emit_deleted_repository();

-- Gives the oldest new events their positions and their deliveries, and says how many there were. Another that does so
-- is not waited for: it finds them too. Nobody is told of what was before the subscription. In the forms of other
-- registries a push is told once for each tag, so the manifest's own event is left out where a tag of the same push
-- tells it.
CREATE FUNCTION fan_out(most int) RETURNS int LANGUAGE plpgsql AS $$
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

-- How many subscriptions a namespace has, for whoever adds one: one at a time, as with rules.
CREATE FUNCTION subscriptions_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace = '' THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 6));
    RETURN (SELECT count(*) FROM subscriptions WHERE namespace = of_namespace);
END $$;
