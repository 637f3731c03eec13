-- Who there is, what they sign in with and what they may do. Secrets and tokens are here as keyed hashes: the key is
-- not.

-- A role has all that the ones before it have. Its rank is what a caller's is compared with; no role has none.
CREATE FUNCTION role_rank(role text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT array_position(ARRAY['reader', 'writer', 'maintainer', 'admin'], role)
$$;

-- Identities start at 1: 0 is nobody. A robot may belong to a namespace, whose administrators then look after it.
CREATE TABLE principals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('user', 'robot')),
    name text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" CHECK (namespace IS NULL OR kind = 'robot'),
    is_admin boolean NOT NULL DEFAULT false,
    is_disabled boolean NOT NULL DEFAULT false,
    password_hash text CHECK (password_hash IS NULL OR kind = 'user'),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT principals_name UNIQUE (name)
);
CREATE INDEX principals_namespace ON principals (namespace, name) WHERE namespace IS NOT NULL;
-- Few of many: whoever takes an administrator away looks whether another one is left.
CREATE INDEX principals_administrators ON principals (is_disabled, id) WHERE is_admin;

-- `id` is the part of a secret that is shown in lists. A revoked one stays, so that its id can't come back.
CREATE TABLE secrets (
    id text COLLATE "C" PRIMARY KEY,
    principal_id bigint NOT NULL REFERENCES principals ON DELETE CASCADE,
    name text NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX secrets_principal ON secrets (principal_id, created_at);

-- A token of this issuer that makes all of these claims acts as the principal.
CREATE TABLE trusted_publishers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal_id bigint NOT NULL REFERENCES principals ON DELETE CASCADE,
    issuer text COLLATE "C" NOT NULL,
    claims jsonb NOT NULL CHECK (jsonb_typeof(claims) = 'object' AND claims <> '{}'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX trusted_publishers_issuer ON trusted_publishers (issuer, id);
CREATE INDEX trusted_publishers_principal ON trusted_publishers (principal_id, id);
-- By the tenant that a trusted publisher names.
CREATE INDEX trusted_publishers_claims ON trusted_publishers USING gin (claims jsonb_path_ops);

-- A grant without a principal is anyone's, who then may read and no more. What stands before the first star of a
-- pattern tells most of them apart, at the cost of comparing bytes: nothing in a name sorts after `~`.
CREATE TABLE grants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal_id bigint REFERENCES principals ON DELETE CASCADE,
    pattern text COLLATE "C" NOT NULL,
    pattern_regex text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pattern_namespace(pattern)) STORED,
    role text NOT NULL CHECK (role_rank(role) IS NOT NULL),
    created_at timestamptz NOT NULL DEFAULT now(),
    pattern_prefix text COLLATE "C" NOT NULL GENERATED ALWAYS AS (split_part(pattern, '*', 1)) STORED,
    pattern_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(pattern)) STORED,
    pattern_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(pattern)) STORED,
    CONSTRAINT grants_anyone CHECK (principal_id IS NOT NULL OR role = 'reader'),
    CONSTRAINT grants_pattern UNIQUE NULLS NOT DISTINCT (principal_id, namespace, pattern)
);
CREATE INDEX grants_list ON grants (pattern, id);
CREATE INDEX grants_namespace ON grants (namespace, principal_id);
CREATE INDEX grants_of_principal ON grants (principal_id, pattern, id);

-- What an earlier sign-in is remembered by. It dies with the secret or the trusted publisher that it came from.
CREATE TABLE refresh_tokens (
    hash bytea PRIMARY KEY,
    principal_id bigint NOT NULL REFERENCES principals ON DELETE CASCADE,
    secret_id text COLLATE "C" REFERENCES secrets ON DELETE CASCADE,
    trusted_publisher_id bigint REFERENCES trusted_publishers ON DELETE CASCADE,
    via text NOT NULL,
    is_read_only boolean NOT NULL,
    claims jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_principal ON refresh_tokens (principal_id);
CREATE INDEX refresh_tokens_secret ON refresh_tokens (secret_id) WHERE secret_id IS NOT NULL;
CREATE INDEX refresh_tokens_trusted_publisher ON refresh_tokens (trusted_publisher_id)
    WHERE trusted_publisher_id IS NOT NULL;

-- Tokens of other issuers that may be used once only; the hash is of the issuer and the token's id.
CREATE TABLE used_tokens (
    hash bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_tokens_expiry ON used_tokens (expires_at);

-- A crash may forget them: they only slow down who guesses.
CREATE UNLOGGED TABLE sign_in_failures (
    key bytea PRIMARY KEY,
    failures int NOT NULL,
    last_failed_at timestamptz NOT NULL
);
CREATE INDEX sign_in_failures_age ON sign_in_failures (last_failed_at);

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

CREATE FUNCTION trusted_publishers_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace IS NULL THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 5));
    RETURN (SELECT count(*) FROM principals JOIN trusted_publishers ON trusted_publishers.principal_id = principals.id
             WHERE principals.namespace = of_namespace);
END $$;
