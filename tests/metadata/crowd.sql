-- A registry with enough in it that the planner takes care: written straight into the tables, without triggers.
SET session_replication_role = replica;

-- The costs of plans are the same whenever they are asked for: nothing is vacuumed in between.
DO $$
DECLARE
    of_table regclass;
BEGIN
    FOR of_table IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', of_table);
    END LOOP;
END $$;

INSERT INTO namespaces (name) SELECT 'n' || n FROM generate_series(1, 20) AS n;
INSERT INTO repositories (namespace_id, name)
SELECT namespaces.id, namespaces.name || '/r' || n FROM namespaces, generate_series(1, 100) AS n;
INSERT INTO repository_usage (repository_id, namespace_id, manifests, tags, pulls, untagged_scan_due)
SELECT id, namespace_id, 10, 10 + id % 7, id % 97, id % 50 = 0 FROM repositories;
INSERT INTO repository_kinds (repository_id, kind, manifests)
SELECT id, kind, 5 FROM repositories, unnest(ARRAY['image', 'index']) AS kind;
INSERT INTO namespace_usage (namespace_id) SELECT id FROM namespaces;
INSERT INTO namespaces (name) SELECT 'small' || n FROM generate_series(1, 3000) AS n;
INSERT INTO namespace_usage (namespace_id, tags) SELECT id, id % 7 FROM namespaces WHERE name LIKE 'small%';
INSERT INTO usage_changes (namespace_id, tags) SELECT n % 20, 1 FROM generate_series(1, 5000) AS n;
INSERT INTO quotas (namespace, bytes) SELECT name, 1000000 FROM namespaces WHERE id % 2 = 0;

INSERT INTO backup_runs (kind, state, destination, name, ended_at)
SELECT 'backup', 'sealed', '/backups', 'b' || n, now() FROM generate_series(1, 2000) AS n;
INSERT INTO backup_drills (backup_id, drilled_by) SELECT id, 'user:ann' FROM backup_runs;

INSERT INTO blobs (digest, size, object_name)
SELECT '\x01' || sha256(int4send(n)), 1000, 'crowd/' || n FROM generate_series(1, 10000) AS n;
INSERT INTO repository_blobs (repository_id, digest, size)
SELECT repositories.id, '\x01' || sha256(int4send((10 * repositories.id + n)::int % 10000)), 1000
  FROM repositories, generate_series(1, 10) AS n;
INSERT INTO namespace_blobs (namespace_id, digest, size, links)
SELECT DISTINCT namespace_id, digest, size, 1 FROM repositories JOIN repository_blobs ON repository_id = id;

INSERT INTO manifests (repository_id, digest, media_type, subject, payload)
SELECT id, '\x01' || sha256(int4send(n)), 'application/vnd.oci.image.manifest.v1+json',
       CASE WHEN n > 7 THEN '\x01' || sha256(int4send(n - 7)) END, '{}'
  FROM repositories, generate_series(1, 10) AS n;
INSERT INTO platforms (manifest_id, os, architecture, look_after)
SELECT id, 'linux', 'amd64', CASE WHEN id % 50 = 0 THEN now() END FROM manifests;
INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
SELECT manifests.id, repository_id, link.digest FROM manifests JOIN repository_blobs AS link USING (repository_id)
 WHERE get_byte(link.digest, 1) < 50;
INSERT INTO manifest_children (parent_id, child_id) SELECT id, id - 1 FROM manifests WHERE id % 10 = 5;
INSERT INTO sparse_references (manifest_id, repository_id, digest)
SELECT id, repository_id, digest FROM manifests WHERE id % 3 = 0;
INSERT INTO tags (repository_id, name, manifest_id)
SELECT repository_id, 'v' || row_number() OVER (PARTITION BY repository_id), id FROM manifests;

INSERT INTO tag_history (repository_id, tag, digest, since, until, size, kind, cause, actor, is_move, created_at,
                         updated_at, pulls, pulled_at)
SELECT repository_id, name, '\x01' || sha256(int4send(n)), now() - (n + 1) * interval '1 hour', now() - n * interval '1 hour',
       1000, 'image', 'client', 'robot:ci', n % 2 = 0, now(), now(), 0, '-infinity'
  FROM tags, generate_series(1, 3) AS n;
INSERT INTO withdrawn_manifests (repository_id, digest, media_type, kind, size, payload, blobs, children, pushed_at, until,
                                 cause, actor)
SELECT id, '\x01' || sha256(int4send(n + 100)), 'application/vnd.oci.image.manifest.v1+json', 'image', 1000, '{}', '{}',
       '{}', now(), now() + id * interval '1 minute', 'client', 'robot:ci'
  FROM repositories, generate_series(1, 3) AS n;
INSERT INTO repositories (namespace_id, name, deleted_at, deleted_until, deleted_by)
SELECT namespaces.id, namespaces.name || '/gone' || n || '@' || (100000 * namespaces.id + n), now() - n * interval '1 minute',
       now() + n * interval '1 minute', 'robot:ci'
  FROM namespaces, generate_series(1, 50) AS n WHERE namespaces.id <= 20;

INSERT INTO repository_days (repository_id, day)
SELECT id, date '2026-01-01' + n FROM repositories, generate_series(1, 10) AS n;
INSERT INTO repository_trends (repository_id, namespace_id, gained_bytes, recent_pulls, due_on)
SELECT id, namespace_id, id % 97, id % 89, CASE WHEN id % 50 > 0 THEN current_date + id::int % 30 END FROM repositories;
INSERT INTO namespace_days (namespace_id, day)
SELECT id, date '2026-01-01' + n FROM namespaces, generate_series(1, 10) AS n;
INSERT INTO registry_days (day) SELECT date '2026-01-01' + n FROM generate_series(1, 400) AS n;
INSERT INTO tag_days (repository_id, tag, day)
SELECT repository_id, name, date '2026-01-01' + n FROM tags, generate_series(1, 2) AS n;
INSERT INTO manifest_days (manifest_id, day)
SELECT id, date '2026-01-01' + n FROM manifests, generate_series(1, 2) AS n;

INSERT INTO uploads (id, repository_id, algorithm, expires_at)
SELECT gen_random_uuid(), id, 'sha256', now() + id * interval '1 minute' FROM repositories;
INSERT INTO upload_objects (object_name, upload_id, number)
SELECT id || '-' || n, id, n FROM uploads, generate_series(1, 3) AS n;

INSERT INTO manifest_reviews SELECT id, now() + id * interval '1 second', 'push' FROM manifests;
INSERT INTO link_reviews
SELECT repository_id, digest, now() + repository_id * interval '1 second', 'upload' FROM repository_blobs;
INSERT INTO blob_reviews SELECT digest, now() + interval '1 hour', 'unlink' FROM blobs;
INSERT INTO deletions (object_name, not_before)
SELECT 'gone/' || n, now() + n * interval '1 minute' FROM generate_series(1, 5000) AS n;

INSERT INTO principals (kind, name, namespace, is_admin)
SELECT 'robot', 'robot-' || n, 'n' || n % 20, n % 1000 = 0 FROM generate_series(1, 5000) AS n;
INSERT INTO secrets (id, principal_id, name, hash)
SELECT 'secret-' || id || '-' || n, id, 'ci', sha256(int8send(id)) FROM principals, generate_series(1, 2) AS n;
INSERT INTO identities (principal_id, issuer, subject)
SELECT id, 'https://login.example.com', id::text FROM principals;
INSERT INTO trusted_publishers (principal_id, issuer, claims)
SELECT id, 'https://issuer-' || id % 500, jsonb_build_object('sub', id::text) FROM principals;
INSERT INTO grants (principal_id, pattern, pattern_regex, role)
SELECT principals.id, repositories.name, '^' || repositories.name || '$', 'writer'
  FROM principals JOIN repositories ON repositories.id IN (principals.id % 2000, principals.id % 1000 + 1);
INSERT INTO grants (principal_id, pattern, pattern_regex, role)
SELECT NULL, name, '^' || name || '$', 'reader' FROM repositories WHERE id % 10 = 0;
INSERT INTO tag_rules (name, position, kind, repositories, repositories_regex, tags, tags_regex)
SELECT 'releases of ' || name, id, 'immutable', name || '/**', '^' || name || '/.*$', 'release-*', '^release-.*$'
  FROM namespaces WHERE name LIKE 'n%';
INSERT INTO refresh_tokens (hash, principal_id, via, is_read_only, claims, expires_at)
SELECT sha256(int8send(id)), id, 'password', false, '{}', now() + id * interval '1 minute' FROM principals;
INSERT INTO console_sessions (hash, principal_id, via, expires_at, agent, address)
SELECT sha256(int8send(id)), id, 'password', now() + id * interval '1 minute', '', '' FROM principals;
INSERT INTO console_links (hash, principal_id, expires_at)
SELECT sha256(int8send(id)), id, now() + id * interval '1 s' FROM principals;
INSERT INTO used_tokens SELECT sha256(int4send(n)), now() + n * interval '1 s' FROM generate_series(1, 5000) AS n;
INSERT INTO sign_in_failures SELECT sha256(int4send(n)), 1, now() - n * interval '1 s' FROM generate_series(1, 5000) AS n;
INSERT INTO audit (at, action, outcome, principal, resource, address, details)
SELECT now() - (20000 - n) * interval '1 minute', 'tag.delete', 'success', 'robot:robot-' || n % 5000, 'n' || n % 20, '', '{}'
  FROM generate_series(1, 20000) AS n;

INSERT INTO tag_reviews (repository_id, tag, review_after, event)
SELECT repository_id, name, now() + repository_id * interval '1 second', 'cascade' FROM tags;

INSERT INTO import_sources (kind, address, prefix, state, listed_at)
VALUES ('layout', 'gs://old', 'docker/registry/v2/', 'open', now()), ('layout', 'gs://older', NULL, 'added', NULL);
INSERT INTO import_modes (source_id, pattern, pattern_regex, mode)
SELECT 1, name || '/*', '^' || name || '/[^/]*$', 'lead' FROM namespaces WHERE id % 5 = 0;
INSERT INTO import_repositories (source_id, path, name, repository_id, state, due_at, asked_at, objects)
SELECT 1, name, name, id, CASE id % 50 WHEN 0 THEN 'listed' WHEN 10 THEN 'importing' ELSE 'imported' END,
       CASE WHEN id % 20 = 0 THEN now() END, CASE WHEN id % 100 = 0 THEN now() END, id
  FROM repositories WHERE id % 2 = 0;
INSERT INTO import_repositories (source_id, path, name)
SELECT 1, 'old/r' || n, 'old/r' || n FROM generate_series(1, 2000) AS n;
INSERT INTO import_repositories (source_id, path, name, repository_id, state, due_at, objects)
SELECT 1, 'new/r' || n, 'new/r' || n, 1000000 + n, 'imported', CASE WHEN n % 2 = 0 THEN now() END, n
  FROM generate_series(1, 20000) AS n;
INSERT INTO import_places (source_id, number) SELECT 1, n FROM generate_series(1, 5000) AS n;
INSERT INTO import_tags (import_id, name, digest, generation, created_at, updated_at, state)
SELECT id, 'v' || n, sha256(int8send(id * 10 + n)), id * 10 + n, now(), now(),
       CASE WHEN state = 'listed' THEN 'listed' ELSE 'applied' END
  FROM import_repositories, generate_series(1, 5) AS n;
INSERT INTO import_deleted (repository, tag) SELECT name, 'gone' FROM import_repositories;
INSERT INTO import_ranges (source_id, tree, start)
SELECT 1, 'blobs', 'blobs/sha256/' || n FROM generate_series(100, 2000) AS n;
INSERT INTO import_problems (source_id, repository, kind, key, reason)
SELECT 1, path, 'tag', 'v' || n, 'conflict' FROM import_repositories, generate_series(1, 2) AS n;

INSERT INTO retention_policies (name, position, repositories, mode, rules, new_for, brake_share, brake_tags, changed_by)
SELECT 'p' || n, 1, 'n' || n % 20 || '/r' || n || '*', 'enforce', '[]', '1 day', 30, 5000, 'somebody'
  FROM generate_series(1, 2000) AS n;
INSERT INTO retention_scopes (repository_id, policy_id, new_for) SELECT id, id % 2000 + 1, '1 day' FROM repositories;
INSERT INTO retention_reviews (repository_id, tag, due_at)
SELECT repository_id, name, now() + repository_id * interval '1 second' FROM tags;
INSERT INTO retention_runs (kind, state, policy_id, policy, namespace, revision, document, made_by, expires_at)
SELECT kind, CASE WHEN n % 100 = 0 THEN 'held' ELSE 'done' END, n, 'p' || n, 'n' || n % 20, 1, '{}', 'somebody',
       now() + n * interval '1 minute'
  FROM generate_series(1, 2000) AS n, unnest(ARRAY['plan', 'scheduled']) AS kind;
INSERT INTO retention_verdicts (run_id, repository_id, tag, manifest_id, digest, size, pushed_at, verdict, reason, why,
                                outcome)
SELECT run_id, tags.repository_id, tags.name, manifest_id, manifests.digest, 10, now(), 'remove', 'expired', '',
       CASE WHEN run_id % 10 = 0 THEN 'waiting' ELSE 'removed' END
  FROM generate_series(1, 4000) AS run_id
  JOIN tags ON tags.repository_id = run_id % 2000 + 1 JOIN manifests ON manifests.id = tags.manifest_id;
INSERT INTO subscriptions (name, pattern, pattern_regex, target, created_by, state)
SELECT 's' || n, 'n' || n % 20 || '/**', '^n.*$', 'https://hooks.example.com', 'user:admin',
       CASE WHEN n % 50 = 0 THEN 'on' ELSE 'off' END
  FROM generate_series(1, 2000) AS n;
INSERT INTO events (kind, repository_id, repository, tag, digest, position, keep_until)
SELECT 'tag.moved', n % 2000 + 1, 'n' || n % 20 || '/r' || n % 100, 'v1', '\x01' || sha256(int4send(n)), n,
       now() + n * interval '1 minute'
  FROM generate_series(1, 20000) AS n;
INSERT INTO deliveries (subscription_id, event_id, repository_id, state)
SELECT events.id % 2000 + 1, events.id, repository_id, (ARRAY['sent', 'sent', 'sent', 'waiting', 'dead'])[events.id % 5 + 1]
  FROM events;
INSERT INTO lanes (subscription_id, repository_id, waiting, next_at)
SELECT subscription_id, repository_id, count(*) FILTER (WHERE state = 'waiting'), now() + min(event_id) * interval '1 s'
  FROM deliveries GROUP BY 1, 2;

INSERT INTO checks (state, started_at)
SELECT CASE WHEN n = 2000 THEN 'running' ELSE 'done' END, now() - (2000 - n) * interval '1 hour'
  FROM generate_series(1, 2000) AS n;
INSERT INTO check_pieces (check_id, step, start)
SELECT n % 20 + 1, 'objects', 'blobs/' || n FROM generate_series(1, 5000) AS n;
INSERT INTO findings (check_id, kind, subject, gone_at)
SELECT n % 2000 + 1, 'unknown', 'blobs/' || n, CASE WHEN n % 10 > 0 THEN now() - n * interval '1 hour' END
  FROM generate_series(1, 20000) AS n;

SET session_replication_role = origin;
ANALYZE;
