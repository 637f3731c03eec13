-- Quotas, by the name of a namespace, which need not exist yet. They hold in the statement that would break them.

CREATE TABLE quotas (
    namespace text COLLATE "C" PRIMARY KEY,
    bytes bigint CHECK (bytes >= 0),
    repositories bigint CHECK (repositories >= 0),
    CONSTRAINT quotas_something CHECK (bytes IS NOT NULL OR repositories IS NOT NULL)
);

CREATE FUNCTION used_bytes(of_namespace text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT bytes FROM namespaces JOIN namespace_totals ON namespace_id = id WHERE name = of_namespace), 0)
$$;

CREATE FUNCTION quota_refusal(of_namespace text, used bigint, most bigint, needed bigint) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format('the quota of namespace %s is %s bytes: %s are in use, and %s more are needed; delete something, or ask an administrator for more',
                  of_namespace, most, used, needed)
$$;

-- What a transaction that adds bytes to a namespace begins with. One at a time may add where little is left, and where
-- it can't be said how much will come (`waits`); else all at once, for what they may add together is left. So what each
-- then compares with the quota holds until it commits.
CREATE FUNCTION claim_quota(of_namespace text, waits boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- A manifest has 4 MiB at most; as many at once as there are connections.
    reserve CONSTANT bigint := 1073741824;
    lock CONSTANT bigint := hashtextextended(of_namespace, 1);
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
BEGIN
    IF most IS NULL THEN RETURN; END IF;
    IF waits OR most - used_bytes(of_namespace) < reserve THEN
        PERFORM pg_advisory_xact_lock(lock);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(lock);
        IF most - used_bytes(of_namespace) < reserve THEN
            RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'the quota is nearly used up: try again';
        END IF;
    END IF;
END $$;

-- Raised after the fact: `added` is in what is used.
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
    IF used > quota.bytes THEN PERFORM refuse(quota_refusal(quota.name, used - added, quota.bytes, added)); END IF;
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

-- Asked before an upload begins: true, or refused. `needed` bytes are 0 where the client doesn't say.
CREATE FUNCTION require_room(of_namespace text, needed bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    most bigint := (SELECT bytes FROM quotas WHERE namespace = of_namespace);
    used bigint;
BEGIN
    IF most IS NULL THEN RETURN true; END IF;
    used := used_bytes(of_namespace);
    IF used + greatest(needed, 1) > most THEN PERFORM refuse(quota_refusal(of_namespace, used, most, needed)); END IF;
    RETURN true;
END $$;
