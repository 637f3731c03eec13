-- The newest tags of a repository are read from the index alone, with the manifests that they name.
DROP INDEX CONCURRENTLY IF EXISTS tags_newest;
CREATE INDEX CONCURRENTLY tags_newest ON tags (repository_id, updated_at, name) INCLUDE (manifest_id);
