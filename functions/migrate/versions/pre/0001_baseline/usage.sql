-- Usage: exact, changed in the transaction that changes what it counts. Bytes of blobs are counted once within each
-- scope.
--
-- A repository's row is changed in place, and is locked first, several by id: it also says which namespace its figures
-- belong to, which a move changes. What a change means to a namespace and to the registry is a row of its own in
-- usage_changes, so that pushes of one namespace don't wait for each other. A reader adds those up (namespace_totals,
-- registry_totals); garbage collection folds them into namespace_usage and registry_usage.

CREATE TABLE namespace_usage (
    namespace_id bigint PRIMARY KEY REFERENCES namespaces ON DELETE CASCADE,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0,
    repositories bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED,
    pushed_at timestamptz NOT NULL DEFAULT '-infinity',
    pulled_at timestamptz NOT NULL DEFAULT '-infinity',
    pulls bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX namespace_usage_bytes ON namespace_usage (bytes, namespace_id);
CREATE INDEX namespace_usage_pushed ON namespace_usage (pushed_at, namespace_id);
CREATE INDEX namespace_usage_pulled ON namespace_usage (pulled_at, namespace_id);
CREATE INDEX namespace_usage_pulls ON namespace_usage (pulls, namespace_id);
CREATE INDEX namespace_usage_tags ON namespace_usage (tags, namespace_id);
CREATE INDEX namespace_usage_repositories ON namespace_usage (repositories, namespace_id);

-- How many repositories of a namespace link a blob: the first counts its bytes, the last takes them away.
CREATE TABLE namespace_blobs (
    namespace_id bigint NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    links bigint NOT NULL,
    PRIMARY KEY (namespace_id, digest)
);

CREATE TABLE repository_usage (
    repository_id bigint PRIMARY KEY REFERENCES repositories ON DELETE CASCADE,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0,
    namespace_id bigint NOT NULL REFERENCES namespaces,
    bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED,
    pushed_at timestamptz NOT NULL DEFAULT '-infinity',
    pulled_at timestamptz NOT NULL DEFAULT '-infinity',
    pulls bigint NOT NULL DEFAULT 0,
    -- What no tag reaches, as of the last untagged scan; one is due once anything has changed.
    untagged bigint NOT NULL DEFAULT 0,
    untagged_bytes bigint NOT NULL DEFAULT 0,
    untagged_as_of timestamptz,
    untagged_scan_due boolean NOT NULL DEFAULT true
) WITH (fillfactor = 50);
-- Of the registry, and of one namespace, by each order there is.
CREATE INDEX repository_usage_bytes ON repository_usage (bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pushed ON repository_usage (pushed_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pulled ON repository_usage (pulled_at, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_pulls ON repository_usage (pulls, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_tags ON repository_usage (tags, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_untagged ON repository_usage (untagged_bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_bytes ON repository_usage (namespace_id, bytes, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_pushed ON repository_usage (namespace_id, pushed_at, repository_id)
    WHERE manifests > 0;
CREATE INDEX repository_usage_of_pulled ON repository_usage (namespace_id, pulled_at, repository_id)
    WHERE manifests > 0;
CREATE INDEX repository_usage_of_pulls ON repository_usage (namespace_id, pulls, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_tags ON repository_usage (namespace_id, tags, repository_id) WHERE manifests > 0;
CREATE INDEX repository_usage_of_untagged ON repository_usage (namespace_id, untagged_bytes, repository_id)
    WHERE manifests > 0;
CREATE INDEX repository_usage_untagged_scan ON repository_usage (repository_id) WHERE untagged_scan_due;

CREATE TABLE repository_kinds (
    repository_id bigint NOT NULL REFERENCES repositories ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL,
    manifests bigint NOT NULL,
    PRIMARY KEY (repository_id, kind)
) WITH (fillfactor = 50);

-- One row. Blobs are counted once for the whole registry.
CREATE TABLE registry_usage (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    repositories bigint NOT NULL,
    tags bigint NOT NULL,
    manifests bigint NOT NULL,
    manifest_bytes bigint NOT NULL,
    blobs bigint NOT NULL,
    blob_bytes bigint NOT NULL,
    bytes bigint NOT NULL GENERATED ALWAYS AS (manifest_bytes + blob_bytes) STORED
);
INSERT INTO registry_usage (repositories, tags, manifests, manifest_bytes, blobs, blob_bytes) VALUES (0, 0, 0, 0, 0, 0);

-- `registry_blobs` and `registry_blob_bytes` are the registry's; all else is a namespace's, and so the registry's too,
-- but for a namespace's blobs. Namespace 0 is none.
CREATE TABLE usage_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL,
    repositories bigint NOT NULL DEFAULT 0,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    manifest_bytes bigint NOT NULL DEFAULT 0,
    blobs bigint NOT NULL DEFAULT 0,
    blob_bytes bigint NOT NULL DEFAULT 0,
    registry_blobs bigint NOT NULL DEFAULT 0,
    registry_blob_bytes bigint NOT NULL DEFAULT 0,
    pushed_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX usage_changes_namespace ON usage_changes (namespace_id);

CREATE VIEW namespace_totals AS
SELECT usage.namespace_id,
       usage.repositories + pending.repositories AS repositories,
       usage.tags + pending.tags AS tags,
       usage.manifests + pending.manifests AS manifests,
       usage.manifest_bytes + pending.manifest_bytes AS manifest_bytes,
       usage.blobs + pending.blobs AS blobs,
       usage.blob_bytes + pending.blob_bytes AS blob_bytes,
       usage.bytes + pending.manifest_bytes + pending.blob_bytes AS bytes,
       greatest(usage.pushed_at, pending.pushed_at) AS pushed_at,
       usage.pulled_at,
       usage.pulls
  FROM namespace_usage AS usage
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(changes.repositories), 0)::bigint AS repositories,
              coalesce(sum(changes.tags), 0)::bigint AS tags,
              coalesce(sum(changes.manifests), 0)::bigint AS manifests,
              coalesce(sum(changes.manifest_bytes), 0)::bigint AS manifest_bytes,
              coalesce(sum(changes.blobs), 0)::bigint AS blobs,
              coalesce(sum(changes.blob_bytes), 0)::bigint AS blob_bytes,
              max(changes.pushed_at) AS pushed_at
         FROM usage_changes AS changes
        WHERE changes.namespace_id = usage.namespace_id) AS pending;

CREATE VIEW registry_totals AS
SELECT usage.repositories + pending.repositories AS repositories,
       usage.tags + pending.tags AS tags,
       usage.manifests + pending.manifests AS manifests,
       usage.manifest_bytes + pending.manifest_bytes AS manifest_bytes,
       usage.blobs + pending.blobs AS blobs,
       usage.blob_bytes + pending.blob_bytes AS blob_bytes,
       usage.bytes + pending.manifest_bytes + pending.blob_bytes AS bytes
  FROM registry_usage AS usage
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(changes.repositories), 0)::bigint AS repositories,
              coalesce(sum(changes.tags), 0)::bigint AS tags,
              coalesce(sum(changes.manifests), 0)::bigint AS manifests,
              coalesce(sum(changes.manifest_bytes), 0)::bigint AS manifest_bytes,
              coalesce(sum(changes.registry_blobs), 0)::bigint AS blobs,
              coalesce(sum(changes.registry_blob_bytes), 0)::bigint AS blob_bytes
         FROM usage_changes AS changes
        WHERE changes.namespace_id >= 0) AS pending
 WHERE usage.is_only;
