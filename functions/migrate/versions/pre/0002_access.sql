-- Who there is, what they sign in with and what they may do. Secrets and tokens are here as keyed hashes: the key is not.

-- A role has all that the ones before it have. Its rank is what a caller's is compared with; no role has none.
CREATE FUNCTION role_rank(role text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT array_position(ARRAY['reader', 'writer', 'maintainer', 'admin'], role)
$$;

-- What a pattern of repository names can only match in: its first segment, or '' where that may be anything. Those who
-- look for the patterns that match a name find them by it.
CREATE FUNCTION pattern_namespace(pattern text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(split_part(pattern, '/', 1), '*') = 0 THEN split_part(pattern, '/', 1) ELSE '' END
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

-- A grant without a principal is anyone's, who then may read and no more.
CREATE TABLE grants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal_id bigint REFERENCES principals ON DELETE CASCADE,
    pattern text COLLATE "C" NOT NULL,
    pattern_regex text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pattern_namespace(pattern)) STORED,
    role text NOT NULL CHECK (role_rank(role) IS NOT NULL),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT grants_anyone CHECK (principal_id IS NOT NULL OR role = 'reader'),
    CONSTRAINT grants_pattern UNIQUE NULLS NOT DISTINCT (principal_id, namespace, pattern)
);
CREATE INDEX grants_list ON grants (pattern, id);

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
CREATE INDEX refresh_tokens_trusted_publisher ON refresh_tokens (trusted_publisher_id) WHERE trusted_publisher_id IS NOT NULL;

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

-- Who did what, and what was refused. `principal` is a name as it was then: the row outlives whom it names.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('success', 'denied', 'error')),
    principal text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    address text NOT NULL,
    reason text,
    details jsonb NOT NULL
);
CREATE INDEX audit_age ON audit (at);
CREATE INDEX audit_principal ON audit (principal, id);
CREATE INDEX audit_resource ON audit (resource, id);

-- Who started the upload: nobody else may go on with it.
ALTER TABLE uploads ADD COLUMN principal text COLLATE "C";
CREATE INDEX uploads_principal ON uploads (principal, expires_at);
