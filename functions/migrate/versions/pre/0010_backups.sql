-- While one stands, no object of the registry is deleted: what a snapshot of the rows names can be copied in peace.
-- It ends by itself unless whoever needs it renews it.
CREATE TABLE holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX holds_until ON holds (until);

-- One row for each thing that is or was done about backups; `name` is that of the backup at the destination.
-- backup: rows are written there, then the objects that it lacks, then the seal, without which it is none.
-- verification: its parts are read again, and its objects looked for; `options` has the share that is hashed.
-- prune: backups that need not be kept go, with the objects that no other one names; `options` has what is kept.
-- waiting: nobody has begun, or nothing of it counts yet; copying: the rows are there; sealed, done: its good end;
-- failed: its end, for the reason `error`; pruned: it was sealed, and is not kept any more.
-- `lease` is raised by each claim: a worker that slept past `lease_until` writes nothing. `cursor` is the last object
-- that was looked after, `tokens` how far copies of large objects came, `missing` what the registry's bucket lacked.
CREATE TABLE backup_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('backup', 'verification', 'prune')),
    state text NOT NULL DEFAULT 'waiting'
          CHECK (state IN ('waiting', 'copying', 'sealed', 'done', 'failed', 'pruned')),
    destination text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL DEFAULT '',
    options jsonb NOT NULL DEFAULT '{}',
    snapshot jsonb,
    snapshot_at timestamptz,
    hold_id bigint,
    cursor text COLLATE "C" NOT NULL DEFAULT '',
    tokens jsonb NOT NULL DEFAULT '{}',
    counts jsonb NOT NULL DEFAULT '{}',
    missing text[] NOT NULL DEFAULT '{}',
    lease bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts int NOT NULL DEFAULT 0,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
-- One thing at a time: nothing is pruned from under a backup that is being made.
CREATE UNIQUE INDEX backup_runs_unended ON backup_runs ((ended_at IS NULL)) WHERE ended_at IS NULL;
CREATE INDEX backup_runs_kinds ON backup_runs (kind, id);
CREATE INDEX backup_runs_names ON backup_runs (name);
