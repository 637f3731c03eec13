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

-- An object's name is made from the upload that wrote it and is never used twice.
CREATE TABLE blobs (
    digest bytea PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    object_name text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

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

-- `payload` is the manifest exactly as sent; `artifact_type` is what a referrers list shows.
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
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;

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

CREATE TABLE tags (
    repository_id bigint NOT NULL REFERENCES repositories,
    name text COLLATE "C" NOT NULL,
    manifest_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (repository_id, name),
    CONSTRAINT tags_manifest FOREIGN KEY (manifest_id) REFERENCES manifests ON DELETE RESTRICT
);
CREATE INDEX tags_manifest ON tags (manifest_id);

-- `version` counts the changes: whoever writes says which one was read, and the second writer loses.
-- `hash_state` is the state of the running hash, so that any instance goes on with the next chunk.
CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    repository_id bigint NOT NULL REFERENCES repositories,
    version int NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    algorithm text NOT NULL,
    hash_state bytea,
    started_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_expiry ON uploads (expires_at);
CREATE INDEX uploads_repository ON uploads (repository_id);

-- Every object that an upload writes, named before its first byte is sent. `number` is set once it is complete.
CREATE TABLE upload_objects (
    object_name text COLLATE "C" PRIMARY KEY,
    upload_id uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    number int,
    size bigint
);
CREATE INDEX upload_objects_upload ON upload_objects (upload_id, number);
