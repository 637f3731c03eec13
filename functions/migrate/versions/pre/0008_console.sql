-- Who is signed in to the console. The hash is of what the browser's cookie holds, by the pepper: the table signs nobody
-- in. A session ends with the secret that it was opened by, and with the person.
CREATE TABLE console_sessions (
    hash bytea PRIMARY KEY,
    principal_id bigint NOT NULL REFERENCES principals ON DELETE CASCADE,
    secret_id text COLLATE "C" REFERENCES secrets ON DELETE CASCADE,
    via text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    agent text NOT NULL,
    address text NOT NULL
);
CREATE INDEX console_sessions_principal ON console_sessions (principal_id);
CREATE INDEX console_sessions_secret ON console_sessions (secret_id) WHERE secret_id IS NOT NULL;
CREATE INDEX console_sessions_expiry ON console_sessions (expires_at);

-- What opens a session once, within a minute: the command line hands it to a browser.
CREATE TABLE console_links (
    hash bytea PRIMARY KEY,
    principal_id bigint NOT NULL REFERENCES principals ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_links_principal ON console_links (principal_id);
CREATE INDEX console_links_expiry ON console_links (expires_at);

-- Which secrets end soon, for the console's first page.
CREATE INDEX secrets_expiry ON secrets (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;
