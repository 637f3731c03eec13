-- What the registry holds. Digests are one byte for the algorithm, then the raw hash. Names sort bytewise.

-- What the registry knows. Digests are one byte for the algorithm, then the raw hash. Names sort bytewise.
CREATE TABLE namespaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

-- `keep_untagged` manifests stay until they are deleted; `grace` stands in for the registry's own.
CREATE TABLE repositories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL REFERENCES namespaces,
    name text COLLATE "C" NOT NULL UNIQUE,
    keep_untagged boolean NOT NULL DEFAULT false,
    grace interval CHECK (grace >= interval '0' AND grace <= interval '1 year'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX repositories_namespace ON repositories (namespace_id, name);

-- An object's name is made from the upload that wrote it and is never used twice. A blob with `damaged_at` is one whose
-- object is gone, or isn't the blob: it is answered as if it were not there, until a push brings it again.
CREATE TABLE blobs (
    digest bytea PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    object_name text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    damaged_at timestamptz
);
-- An index with a predicate, for one without makes a column part of a key: whoever names that column in an UPDATE would
-- wait for all transactions that refer to the row, whatever it changes. A commit names it each time.
CREATE UNIQUE INDEX blobs_object ON blobs (object_name) WHERE object_name IS NOT NULL;
CREATE INDEX blobs_damaged ON blobs (digest) WHERE damaged_at IS NOT NULL;

-- A link: this repository may serve this blob. It referees between a push that needs it and a GC run.
CREATE TABLE repository_blobs (
    repository_id bigint NOT NULL REFERENCES repositories,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    linked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (repository_id, digest),
    CONSTRAINT repository_blobs_blob FOREIGN KEY (digest) REFERENCES blobs ON DELETE RESTRICT
);
CREATE INDEX repository_blobs_digest ON repository_blobs (digest);

-- `payload` is the manifest exactly as sent; `artifact_type` is what a referrers list shows. `kind`, `size` and
-- `config_digest` are read from it (descriptions.sql). `size`: the payload, its config and its layers; of an index,
-- what it lists as well, as far as that is there.
CREATE TABLE manifests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository_id bigint NOT NULL REFERENCES repositories,
    digest bytea NOT NULL,
    media_type text NOT NULL,
    artifact_type text,
    subject bytea,
    annotations jsonb NOT NULL DEFAULT '{}',
    payload bytea NOT NULL,
    pushed_at timestamptz NOT NULL DEFAULT now(),
    kind text COLLATE "C" NOT NULL DEFAULT 'other',
    size bigint NOT NULL DEFAULT 0,
    config_digest bytea,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;

-- What a manifest names and holds fast: its config, its layers.
CREATE TABLE manifest_blobs (
    manifest_id bigint NOT NULL REFERENCES manifests ON DELETE CASCADE,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (manifest_id, digest),
    CONSTRAINT manifest_blobs_link
        FOREIGN KEY (repository_id, digest) REFERENCES repository_blobs ON DELETE RESTRICT
);
CREATE INDEX manifest_blobs_link ON manifest_blobs (repository_id, digest);

-- What an index lists. `child_id` holds the child fast against a deletion.
CREATE TABLE manifest_children (
    parent_id bigint NOT NULL REFERENCES manifests ON DELETE CASCADE,
    child_id bigint NOT NULL,
    PRIMARY KEY (parent_id, child_id),
    CONSTRAINT manifest_children_child FOREIGN KEY (child_id) REFERENCES manifests ON DELETE RESTRICT
);
CREATE INDEX manifest_children_child ON manifest_children (child_id);

-- What a manifest names and its repository did not hold when it was pushed, where a registry accepts that. It is kept
-- once it comes.
CREATE TABLE sparse_references (
    manifest_id bigint NOT NULL REFERENCES manifests ON DELETE CASCADE,
    repository_id bigint NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (manifest_id, digest)
);
CREATE INDEX sparse_references_digest ON sparse_references (repository_id, digest);

-- What tags are sorted by lies beside them. Never pulled is the earliest of times, so that it sorts as well.
CREATE TABLE tags (
    repository_id bigint NOT NULL REFERENCES repositories,
    name text COLLATE "C" NOT NULL,
    manifest_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    size bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    pulled_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (repository_id, name),
    CONSTRAINT tags_manifest FOREIGN KEY (manifest_id) REFERENCES manifests ON DELETE RESTRICT
);
CREATE INDEX tags_manifest ON tags (manifest_id);
CREATE INDEX tags_size ON tags (repository_id, size, name);
CREATE INDEX tags_updated ON tags (repository_id, updated_at, name);
CREATE INDEX tags_pulled ON tags (repository_id, pulled_at, name);
CREATE INDEX tags_pulls ON tags (repository_id, pulls, name);
