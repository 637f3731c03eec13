-- Quotas, by the name of a namespace, which need not exist yet. They hold in the statement that would break them.
--
-- A push adds up what its namespace uses once, and only after it has written; until then a figure that may be old will
-- do. Many that push into one namespace then don't read all that waits to be settled several times each.

-- Quotas, by the name of a namespace, which need not exist yet. They hold in the statement that would break them.
CREATE TABLE quotas (
    namespace text COLLATE "C" PRIMARY KEY,
    bytes bigint CHECK (bytes >= 0),
    repositories bigint CHECK (repositories >= 0),
    CONSTRAINT quotas_something CHECK (bytes IS NOT NULL OR repositories IS NOT NULL)
);

-- In plpgsql its plan is kept: it is called by every push into a namespace with a quota.
CREATE FUNCTION used_bytes(of_namespace text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN coalesce((
        SELECT usage.bytes + coalesce((SELECT sum(changes.manifest_bytes + changes.blob_bytes)
                                         FROM usage_changes AS changes
                                        WHERE changes.namespace_id = usage.namespace_id), 0)
          FROM namespaces JOIN namespace_usage AS usage ON usage.namespace_id = namespaces.id
         WHERE namespaces.name = of_namespace), 0);
END $$;

CREATE FUNCTION quota_refusal(of_namespace text, used bigint, most bigint, needed bigint) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format('the quota of namespace %s is %s bytes: %s are in use, and %s more are needed; delete something, or ask an administrator for more',
                  of_namespace, most, used, needed)
$$;

-- Where less is left, one transaction at a time may add. A manifest has 4 MiB at most; as many at once as there are
-- connections.
CREATE FUNCTION quota_reserve() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT CAST(1073741824 AS bigint)';

-- What a transaction that adds bytes to a namespace begins with. One at a time may add where it can't be said how much
-- will come (`waits`), and where little is left; else all at once. What is settled is enough to tell, for obey_quota
-- looks again, and more closely.
CREATE FUNCTION claim_quota(of_namespace text, waits boolean) RETURNS void LANGUAGE plpgsql AS $$
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

-- Raised after the fact: `added` is in what is used. Whoever finds the reserve untouched has room, and so have all who
-- add beside it: what they have not committed yet, and it can't see, is in the reserve. Whoever finds less must be the
-- only one to add. It can't wait for that here: another one may wait for what it has locked. So it begins anew, and
-- then waits before anything else (the constraint's name tells that from other failures).
CREATE FUNCTION obey_quota(namespace bigint, added bigint) RETURNS void LANGUAGE plpgsql AS $$
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

-- One repository at a time comes into a namespace with a quota of them.
CREATE FUNCTION obey_repository_quota(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
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

-- What a push begins with: the caller's rank, for the rules; its namespace's quota; its repository, which then keeps
-- its name until the push is over; and its tags, there or not, so that pushes of one tag go one after the other.
CREATE FUNCTION begin_push(of_repository text, tags text[], rank text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE key bigint;
BEGIN
    PERFORM claim_quota(split_part(of_repository, '/', 1), false);
    PERFORM FROM repositories WHERE name = of_repository FOR KEY SHARE;
    FOR key IN
        SELECT DISTINCT hashtextextended(of_repository || ':' || tag, 0) AS key FROM unnest(tags) AS tag ORDER BY key
    LOOP
        PERFORM pg_advisory_xact_lock(key);
    END LOOP;
    RETURN set_config('slipway.rank', rank, true);
END $$;

-- What open uploads hold counts in a namespace's quota, beside what is used: it is stored, and paid for. Not that of a
-- blob which the namespace has already, nor anything where a blob is damaged: what comes may be that one.
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

-- Asked before an upload begins: true, or refused. `needed` bytes are 0 where the client doesn't say; `known` is the
-- digest, if it does. Whatever else comes is refused once it is to be counted.
CREATE FUNCTION require_room(of_namespace text, needed bigint, known bytea DEFAULT NULL) RETURNS boolean
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
