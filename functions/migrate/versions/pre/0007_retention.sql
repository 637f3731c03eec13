-- Policies that say which tags of a repository are kept. One decides about a repository: the first that matches, by
-- position, then by age. `rules` are as people write them; what they mean is worked out outside the database, for their
-- patterns are RE2's. `held_because` says why the next run waits for somebody to look at it; null if it doesn't.
CREATE TABLE retention_policies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT retention_policies_name UNIQUE,
    position int NOT NULL CHECK (position >= 0),
    repositories text COLLATE "C" NOT NULL,
    repositories_like text COLLATE "C" GENERATED ALWAYS AS (glob_like(repositories)) STORED NOT NULL,
    repositories_form text COLLATE "C" GENERATED ALWAYS AS (glob_form(repositories)) STORED NOT NULL,
    namespace text COLLATE "C" GENERATED ALWAYS AS (pattern_namespace(repositories)) STORED NOT NULL,
    mode text NOT NULL CHECK (mode IN ('preview', 'enforce', 'paused')),
    rules jsonb NOT NULL,
    new_for interval NOT NULL CHECK (new_for BETWEEN interval '1 hour' AND interval '3660 days'),
    brake_share int NOT NULL CHECK (brake_share BETWEEN 1 AND 100),
    brake_tags int NOT NULL CHECK (brake_tags > 0),
    held_because text,
    revision bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);
CREATE INDEX retention_policies_place ON retention_policies (namespace, position, id);

-- Locks until the end of the transaction, and counts only then: two at once would both find room.
CREATE FUNCTION retention_policies_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 7));
    RETURN (SELECT count(*) FROM retention_policies WHERE namespace = of_namespace);
END $$;

-- Which repositories a policy decides about, as far as fills have come: what a push needs to know of it.
CREATE TABLE retention_scopes (
    repository_id bigint PRIMARY KEY REFERENCES repositories ON DELETE CASCADE,
    policy_id bigint NOT NULL,
    new_for interval NOT NULL
);

-- When the verdict on a tag may change next. What nothing but another policy changes has no row.
CREATE TABLE retention_reviews (
    repository_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    error text,
    PRIMARY KEY (repository_id, tag),
    CONSTRAINT retention_reviews_tag FOREIGN KEY (repository_id, tag) REFERENCES tags ON DELETE CASCADE
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX retention_reviews_due ON retention_reviews (due_at);

-- Ranges of repositories' names in which policies changed, or that were moved: what decides there is looked up anew, and
-- then their tags are queued. Each waits until nobody is left who may not have seen the change.
CREATE TABLE retention_fills (
    lowest text COLLATE "C" NOT NULL,
    highest text COLLATE "C" NOT NULL,
    phase text NOT NULL DEFAULT 'asked' CHECK (phase IN ('asked', 'scopes', 'tags')),
    after_transaction xid8,
    repository text COLLATE "C" NOT NULL DEFAULT '',
    tag text COLLATE "C" NOT NULL DEFAULT '',
    queued bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (lowest, highest)
);

-- The last time that garbage collection looked: if that is long ago, it stood still or the clock jumped.
CREATE TABLE retention_clock (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- A plan is made when somebody asks; a scheduled run is what a policy found due. `document` is the policy as it was
-- then, and `repository` how far a plan has come. What is applied or undone goes through the repositories by their ids;
-- it has come as far as `gone_through`.
CREATE TABLE retention_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('plan', 'scheduled')),
    state text NOT NULL CHECK (state IN ('making', 'ready', 'open', 'preview', 'held', 'applying', 'done', 'undoing',
                                         'undone', 'dropped', 'expired', 'failed')),
    reason text,
    policy_id bigint,
    policy text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    document jsonb NOT NULL,
    repositories text COLLATE "C",
    repository text COLLATE "C" NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    applied_at timestamptz,
    applied_by text,
    expires_at timestamptz NOT NULL,
    waiting bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    left_alone bigint NOT NULL DEFAULT 0,
    gone_through bigint NOT NULL DEFAULT 0,
    bytes bigint,
    counts jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX retention_runs_current ON retention_runs (policy_id)
 WHERE kind = 'scheduled' AND state IN ('open', 'preview', 'held');
CREATE INDEX retention_runs_state ON retention_runs (state, id);
CREATE INDEX retention_runs_applied ON retention_runs (policy_id, applied_at) WHERE applied_at IS NOT NULL;
CREATE INDEX retention_runs_namespace ON retention_runs (namespace, id);
CREATE INDEX retention_runs_expiry ON retention_runs (expires_at);

-- What a run says of each tag, and what became of those that it would remove.
CREATE TABLE retention_verdicts (
    run_id bigint NOT NULL REFERENCES retention_runs ON DELETE CASCADE,
    repository_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    manifest_id bigint NOT NULL,
    digest bytea NOT NULL,
    size bigint NOT NULL,
    pushed_at timestamptz NOT NULL,
    pulled_at timestamptz,
    verdict text NOT NULL CHECK (verdict IN ('keep', 'remove')),
    reason text NOT NULL,
    rule int,
    why text NOT NULL,
    outcome text CHECK (outcome IN ('waiting', 'removed', 'changed', 'gone', 'kept', 'restored', 'taken', 'lost')),
    note text,
    PRIMARY KEY (run_id, repository_id, tag)
);
CREATE INDEX retention_verdicts_outcome ON retention_verdicts (run_id, outcome, repository_id, tag)
 WHERE outcome IS NOT NULL;

-- One entry in the trail for each repository that a run took something from, or gave it back. With the rights of who
-- migrates: the garbage collection may write nothing into the trail but this, under the policy's name.
CREATE FUNCTION tell_of_retention(run bigint, action text, outcome text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO audit (action, outcome, principal, resource, address, details, namespace)
    SELECT CASE tell_of_retention.action WHEN 'tags.restore' THEN 'tags.restore' ELSE 'tags.delete' END, 'success',
           'policy:' || runs.policy, repositories.name, '',
           jsonb_build_object('run', runs.id, 'tags', taken.tags, 'by', coalesce(runs.applied_by, '')),
           CASE WHEN strpos(repositories.name, '/') > 0 THEN split_part(repositories.name, '/', 1) END
      FROM retention_runs AS runs
      JOIN (SELECT run_id, repository_id, count(*) AS tags FROM retention_verdicts AS verdict
             WHERE verdict.run_id = tell_of_retention.run AND verdict.outcome = tell_of_retention.outcome
             GROUP BY 1, 2) AS taken ON taken.run_id = runs.id
      JOIN repositories ON repositories.id = taken.repository_id
     WHERE runs.id = tell_of_retention.run
     ORDER BY repositories.name
$$;

CREATE FUNCTION microseconds(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CAST(extract(epoch FROM moment) * 1000000 AS bigint) WHERE isfinite(moment)
$$;

CREATE FUNCTION moment_of(microseconds bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond'
$$;

-- None for a repository that is set aside: its name has an @.
CREATE FUNCTION retention_policy_of(repository text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT id FROM retention_policies
     WHERE strpos(repository, '@') = 0 AND namespace IN ('', split_part(repository, '/', 1)) AND repository LIKE repositories_like
       AND glob_fits(repository, repositories, repositories_form, NULL)
     ORDER BY position, id
     LIMIT 1
$$;

-- No rule undercuts the time for which a policy keeps what is new, so that is when a pushed tag is looked at first.
CREATE FUNCTION review_new_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO retention_reviews AS review (repository_id, tag, due_at)
    SELECT new_rows.repository_id, new_rows.name, now() + scope.new_for * (1 + random() / 10)
      FROM new_rows JOIN retention_scopes AS scope USING (repository_id)
     ORDER BY 1, 2
    ON CONFLICT (repository_id, tag) DO UPDATE SET due_at = excluded.due_at, attempts = 0, error = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER review_retention AFTER INSERT ON tags REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION review_new_tags();

-- By rows, so that counting pulls does not set it off.
CREATE FUNCTION review_pushed_tag() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO retention_reviews AS review (repository_id, tag, due_at)
    SELECT NEW.repository_id, NEW.name, now() + scope.new_for * (1 + random() / 10)
      FROM retention_scopes AS scope WHERE scope.repository_id = NEW.repository_id
    ON CONFLICT (repository_id, tag) DO UPDATE SET due_at = excluded.due_at, attempts = 0, error = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER review_retention_of_pushed AFTER UPDATE OF updated_at ON tags
    FOR EACH ROW WHEN (OLD.updated_at IS DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION review_pushed_tag();

CREATE FUNCTION scope_repositories() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM retention_policies WHERE namespace >= '') THEN RETURN NULL; END IF;
    INSERT INTO retention_scopes (repository_id, policy_id, new_for)
    SELECT new_rows.id, policy.id, policy.new_for
      FROM new_rows JOIN retention_policies AS policy ON policy.id = retention_policy_of(new_rows.name)
     ORDER BY new_rows.id
    ON CONFLICT (repository_id) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER scope_retention AFTER INSERT ON repositories REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION scope_repositories();

-- Patterns are of names: what decides under the new name may be another policy, or none.
CREATE FUNCTION scope_moved_repositories() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM retention_policies WHERE namespace >= '') THEN RETURN NULL; END IF;
    INSERT INTO retention_fills AS fill (lowest, highest)
    SELECT min(new_rows.name), max(new_rows.name)
      FROM new_rows JOIN old_rows USING (id)
     WHERE new_rows.name <> old_rows.name
    HAVING count(*) > 0
    ON CONFLICT (lowest, highest)
    DO UPDATE SET phase = 'asked', after_transaction = NULL, repository = '', tag = '', queued = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER scope_retention_of_moved AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION scope_moved_repositories();
