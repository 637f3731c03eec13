-- A push adds up what its namespace uses once, and only after it has written; until then a figure that may be old will
-- do. Many that push into one namespace then don't read all that waits to be settled several times each.

-- As a function with a plan that is kept: it is called by every push into a namespace with a quota.
CREATE OR REPLACE FUNCTION used_bytes(of_namespace text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN
    RETURN coalesce((
        SELECT usage.bytes + coalesce((SELECT sum(changes.manifest_bytes + changes.blob_bytes)
                                         FROM usage_changes AS changes
                                        WHERE changes.namespace_id = usage.namespace_id), 0)
          FROM namespaces JOIN namespace_usage AS usage ON usage.namespace_id = namespaces.id
         WHERE namespaces.name = of_namespace), 0);
END $$;

-- Where less is left, one transaction at a time may add. A manifest has 4 MiB at most; as many at once as there are
-- connections.
CREATE FUNCTION quota_reserve() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT CAST(1073741824 AS bigint)';

-- What a transaction that adds bytes to a namespace begins with. One at a time may add where it can't be said how much
-- will come (`waits`), and where little is left; else all at once. What is settled is enough to tell, for obey_quota
-- looks again, and more closely.
CREATE OR REPLACE FUNCTION claim_quota(of_namespace text, waits boolean) RETURNS void LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION obey_quota(namespace bigint, added bigint) RETURNS void LANGUAGE plpgsql AS $$
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
