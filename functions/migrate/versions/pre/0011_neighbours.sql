-- Globs are matched by LIKE. A regular expression has to be compiled, for each row anew where there are more than the
-- server keeps; LIKE costs about a microsecond, and less than ten for the worst pattern.

CREATE FUNCTION glob_like(glob text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT regexp_replace(replace(glob, '_', '\_'), '\*+', '%', 'g')
$$;

-- What LIKE leaves to be looked at, for it knows one star only: nothing where each goes across parts of a name (`whole`);
-- whether there are as many parts, where none does (`parts`); both ends, around the one that does (`ends`). Several of
-- these beside single ones are no longer taken (patterns.py); those that are there stay expressions.
CREATE FUNCTION glob_form(glob text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(regexp_replace(glob, '\*\*+', '', 'g'), '*') = 0 THEN 'whole'
                WHEN strpos(glob, '**') = 0 THEN 'parts'
                WHEN length(regexp_replace(glob, '\*\*+', '**', 'g'))
                     - length(regexp_replace(glob, '\*\*+', '*', 'g')) = 1 THEN 'ends'
                ELSE 'expression' END
$$;

-- How much LIKE has to look for, which is what it costs: all from the first star on, unless that is the end.
CREATE FUNCTION starred_length(glob text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(rtrim(glob, '*'), '*') > 0 THEN length(glob) - length(split_part(glob, '*', 1)) ELSE 0 END
$$;

CREATE FUNCTION slashes(name text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT length(name) - length(replace(name, '/', ''))
$$;

-- Before and behind `**` there are as many parts as the pattern has there, which LIKE can compare. With no more parts
-- than that no star has gone across one.
CREATE FUNCTION glob_ends(name text, glob text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
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

-- Of a name that is LIKE the pattern.
CREATE FUNCTION glob_fits(name text, glob text, form text, expression text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE form WHEN 'whole' THEN true
                     WHEN 'parts' THEN slashes(name) = slashes(glob)
                     WHEN 'ends' THEN glob_ends(name, glob)
                     ELSE name ~ expression END
$$;

-- What stands before the first star tells most of them apart, at the cost of comparing bytes: nothing in a name sorts
-- after `~`.
ALTER TABLE grants
    ADD COLUMN pattern_prefix text COLLATE "C" NOT NULL GENERATED ALWAYS AS (split_part(pattern, '*', 1)) STORED,
    ADD COLUMN pattern_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(pattern)) STORED,
    ADD COLUMN pattern_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(pattern)) STORED;
CREATE INDEX grants_namespace ON grants (namespace, principal_id);

-- Rules' names are a namespace's own: nobody learns, or takes, those of others.
ALTER TABLE tag_rules
    ADD COLUMN repositories_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(repositories)) STORED,
    ADD COLUMN repositories_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(repositories)) STORED,
    ADD COLUMN tags_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(tags)) STORED,
    DROP CONSTRAINT tag_rules_name,
    ADD CONSTRAINT tag_rules_name UNIQUE (namespace, name);

CREATE OR REPLACE FUNCTION tag_refusal(repository text, tag text, creates boolean, rank int) RETURNS text
STABLE LANGUAGE sql AS $$
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

CREATE OR REPLACE FUNCTION deletion_refusal(repository text, tag text, rank int) RETURNS text STABLE LANGUAGE sql AS $$
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

-- As before, and a tag that moves leaves what it named without one: where that is kept it takes what a deletion takes.
CREATE OR REPLACE FUNCTION obey_tag_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched tags := coalesce(OLD, NEW);
    repository text;
    refusal text;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.manifest_id = NEW.manifest_id THEN RETURN NEW; END IF;
    SELECT name INTO repository FROM repositories
     WHERE id = touched.repository_id
       AND EXISTS (SELECT FROM tag_rules WHERE tag_rules.namespace IN ('', split_part(repositories.name, '/', 1)));
    IF NOT FOUND THEN RETURN coalesce(NEW, OLD); END IF;
    refusal := tag_refusal(repository, touched.name, TG_OP = 'INSERT', caller_rank());
    IF TG_OP <> 'INSERT' THEN refusal := coalesce(refusal, deletion_refusal(repository, touched.name, caller_rank())); END IF;
    IF TG_OP = 'INSERT' AND refusal IS NOT NULL THEN
        PERFORM FROM tags WHERE repository_id = NEW.repository_id AND name = NEW.name FOR UPDATE;
        IF FOUND THEN RETURN NEW; END IF;
    END IF;
    PERFORM refuse(refusal);
    RETURN coalesce(NEW, OLD);
END $$;

-- How many there are, for whoever adds one: one at a time, so that the bound holds for many at once as well. What
-- belongs to no namespace is the registry's administrators', and has none.
CREATE FUNCTION has_place_for_grant(of_namespace text, of_principal bigint, new text, most bigint, most_each bigint,
                                    most_starred bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace = '' THEN RETURN true; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 3));
    RETURN (SELECT count(*) < most
                   AND count(*) FILTER (WHERE principal_id IS NOT DISTINCT FROM of_principal) < most_each
                   AND (starred_length(new) = 0
                        OR starred_length(new) + coalesce(sum(starred_length(pattern)) FILTER (
                               WHERE principal_id IS NOT DISTINCT FROM of_principal), 0) <= most_starred)
              FROM grants WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION rules_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace = '' THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 4));
    RETURN (SELECT count(*) FROM tag_rules WHERE namespace = of_namespace);
END $$;

CREATE FUNCTION trusted_publishers_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace IS NULL THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 5));
    RETURN (SELECT count(*) FROM principals JOIN trusted_publishers ON trusted_publishers.principal_id = principals.id
             WHERE principals.namespace = of_namespace);
END $$;

-- By the tenant that a trusted publisher names.
CREATE INDEX trusted_publishers_claims ON trusted_publishers USING gin (claims jsonb_path_ops);

-- What open uploads hold counts in a namespace's quota, beside what is used: it is stored, and paid for. Not that of a
-- blob which the namespace has already, nor anything where a blob is damaged: what comes may be that one.
ALTER TABLE uploads ADD COLUMN namespace_id bigint, ADD COLUMN is_counted boolean NOT NULL DEFAULT true;
UPDATE uploads SET namespace_id = repositories.namespace_id FROM repositories WHERE repositories.id = repository_id;
CREATE INDEX uploads_namespace ON uploads (namespace_id);

CREATE FUNCTION has_blob(of_namespace text, known bytea) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM namespaces JOIN namespace_blobs AS held ON held.namespace_id = namespaces.id
                    WHERE namespaces.name = of_namespace AND held.digest = known)
$$;

CREATE FUNCTION has_damage(of_namespace text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM blobs AS damaged
                     JOIN namespace_blobs AS held ON held.digest = damaged.digest
                     JOIN namespaces ON namespaces.id = held.namespace_id
                    WHERE damaged.damaged_at IS NOT NULL AND namespaces.name = of_namespace)
$$;

CREATE FUNCTION place_upload() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.namespace_id := (SELECT namespace_id FROM repositories WHERE id = NEW.repository_id);
    RETURN NEW;
END $$;
CREATE TRIGGER place BEFORE INSERT ON uploads FOR EACH ROW EXECUTE FUNCTION place_upload();

CREATE FUNCTION move_uploads() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE uploads SET namespace_id = NEW.namespace_id WHERE repository_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER move_uploads AFTER UPDATE OF namespace_id ON repositories FOR EACH ROW
    WHEN (OLD.namespace_id <> NEW.namespace_id) EXECUTE FUNCTION move_uploads();

-- Bytes of uploads that have not ended, of a namespace that need not exist.
CREATE FUNCTION open_bytes(of_namespace text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN coalesce((SELECT sum(uploads.received) FROM namespaces JOIN uploads ON uploads.namespace_id = namespaces.id
                      WHERE namespaces.name = of_namespace AND uploads.is_counted), 0);
END $$;

-- What a namespace may still receive; NULL for all there is.
CREATE FUNCTION room_left(of_namespace text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
BEGIN
    IF most IS NULL OR has_damage(of_namespace) THEN RETURN NULL; END IF;
    RETURN most - used_bytes(of_namespace) - open_bytes(of_namespace);
END $$;

CREATE OR REPLACE FUNCTION require_room(of_namespace text, needed bigint, known bytea DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
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

-- One at a time adds to a namespace with a quota: then none of them misses what another one brought.
CREATE FUNCTION obey_open_quota() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER obey_quota AFTER UPDATE OF received ON uploads FOR EACH ROW
    WHEN (NEW.received > OLD.received AND NEW.is_counted) EXECUTE FUNCTION obey_open_quota();

-- Bounds of the trail by what its rows are worth: refusals, which strangers cause; what was pushed and deleted; and what
-- administrators changed, which stays for its time.
CREATE INDEX audit_refusals ON audit (id) WHERE outcome = 'denied';
CREATE INDEX audit_content ON audit (id) WHERE outcome <> 'denied' AND split_part(action, '.', 1) IN ('manifest', 'blob');

-- A sign-in that may be wrong is counted before it is looked at, and taken back if it was right: of many at once each
-- waits for the count of the one before. Returns the seconds until it is worth looking at: then it is not counted.
CREATE FUNCTION attempt_sign_in(keys bytea[], free int[], longest int[]) RETURNS int LANGUAGE plpgsql AS $$
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
