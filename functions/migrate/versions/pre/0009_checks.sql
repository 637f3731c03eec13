-- A check compares rows with objects, and rows with each other. It locks nothing that a push or a collection waits for.

-- Of an object that is whole. Unsigned, so an int is too small. NULL until somebody has seen it.
ALTER TABLE blobs ADD COLUMN crc32c bigint;

-- A manifest with `damaged_at` has other bytes than those of its digest: it is answered as if it were not there, until a
-- push brings them again.
ALTER TABLE manifests ADD COLUMN damaged_at timestamptz;

-- One row for each check. `planned_at`: it was cut into pieces. `asked_by` is NULL for one that began by itself.
-- running: there are pieces, or it was not planned yet; done: all was looked at
-- incomplete: something could not be looked at, for the `reason`; stopped: somebody, or a guard, ended it
CREATE TABLE checks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'incomplete', 'stopped')),
    asked_by text COLLATE "C",
    options jsonb NOT NULL DEFAULT '{}',
    counts jsonb NOT NULL DEFAULT '{}',
    reason text,
    started_at timestamptz NOT NULL DEFAULT now(),
    planned_at timestamptz,
    finished_at timestamptz
);
CREATE UNIQUE INDEX checks_running ON checks (state) WHERE state = 'running';
CREATE INDEX checks_started ON checks (started_at);

-- What is left of a check: gone once it was looked at. `start` and `stop` are bounds of what the step goes through, and
-- `cursor` is how far it came. `lease` is raised by each claim: a worker that slept past `lease_until` writes nothing.
CREATE TABLE check_pieces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    check_id bigint NOT NULL REFERENCES checks ON DELETE CASCADE,
    step text NOT NULL
         CHECK (step IN ('objects', 'digests', 'manifests', 'blobs', 'repositories', 'figures', 'repair')),
    start text COLLATE "C" NOT NULL DEFAULT '',
    stop text COLLATE "C" NOT NULL DEFAULT '',
    cursor text COLLATE "C" NOT NULL DEFAULT '',
    lease bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX check_pieces_check ON check_pieces (check_id, id);

-- What was found. `check_id` is the last check that came upon it; the next one that looks there and doesn't sets
-- `gone_at`. `subject` tells it from others of its kind: an object's name, a digest, an id. `action` is what a repair did
-- about it, which need not be the end of it: a blob that is marked is whole again once somebody pushes it.
CREATE TABLE findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    check_id bigint NOT NULL REFERENCES checks,
    kind text NOT NULL CHECK (kind IN (
         'missing', 'size', 'checksum', 'digest', 'marked', 'unknown', 'manifest', 'references', 'leaked_manifest',
         'leaked_link', 'leaked_blob', 'figure')),
    subject text COLLATE "C" NOT NULL,
    digest bytea,
    repository text COLLATE "C",
    size bigint,
    detail text NOT NULL DEFAULT '',
    found_at timestamptz NOT NULL DEFAULT now(),
    action text CHECK (action IN ('marked', 'unmarked', 'queued', 'written', 'reviewed')),
    acted_at timestamptz,
    gone_at timestamptz,
    CONSTRAINT findings_once UNIQUE (kind, subject)
);
CREATE INDEX findings_check ON findings (check_id, id);
CREATE INDEX findings_open ON findings (id) WHERE gone_at IS NULL;
CREATE INDEX findings_gone ON findings (gone_at) WHERE gone_at IS NOT NULL;
