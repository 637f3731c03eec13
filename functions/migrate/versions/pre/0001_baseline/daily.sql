-- Pushes and pulls by day, and what repositories are ranked by. Instances of the api count in memory and add what they
-- counted now and then.

-- Pushes and pulls by day. Instances of the api count in memory and add what they counted now and then.
CREATE TABLE repository_days (
    repository_id bigint NOT NULL REFERENCES repositories ON DELETE CASCADE,
    day date NOT NULL,
    pushes bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    -- As of the last untagged scan of that day.
    bytes bigint,
    PRIMARY KEY (repository_id, day)
);
CREATE INDEX repository_days_day ON repository_days (day);

CREATE TABLE namespace_days (
    namespace_id bigint NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    day date NOT NULL,
    pushes bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    bytes bigint,
    PRIMARY KEY (namespace_id, day)
);
CREATE INDEX namespace_days_day ON namespace_days (day);

CREATE TABLE registry_days (
    day date PRIMARY KEY,
    pushes bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    bytes bigint
);

CREATE TABLE tag_days (
    repository_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    day date NOT NULL,
    pushes bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (repository_id, tag, day),
    CONSTRAINT tag_days_tag FOREIGN KEY (repository_id, tag) REFERENCES tags ON DELETE CASCADE
);
CREATE INDEX tag_days_day ON tag_days (day);

CREATE TABLE manifest_days (
    manifest_id bigint NOT NULL REFERENCES manifests ON DELETE CASCADE,
    day date NOT NULL,
    pushes bigint NOT NULL DEFAULT 0,
    pulls bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (manifest_id, day)
);
CREATE INDEX manifest_days_day ON manifest_days (day);

-- What repositories are ranked by, of the last 30 days: where an index can find the first of them. Garbage collection
-- adds it up, for those of which a day has changed, and for those whose figures change because a day is over.
CREATE TABLE repository_trends (
    repository_id bigint PRIMARY KEY REFERENCES repositories ON DELETE CASCADE,
    namespace_id bigint NOT NULL,
    -- Less than none where it has shrunk.
    gained_bytes bigint NOT NULL DEFAULT 0,
    recent_pushes bigint NOT NULL DEFAULT 0,
    recent_pulls bigint NOT NULL DEFAULT 0,
    recent bigint NOT NULL GENERATED ALWAYS AS (recent_pushes + recent_pulls) STORED,
    -- On this day the figures are added up again; null where nothing but a new day of use changes them.
    due_on date DEFAULT '-infinity'
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX repository_trends_gained ON repository_trends (gained_bytes DESC, repository_id) WHERE gained_bytes > 0;
CREATE INDEX repository_trends_recent ON repository_trends (recent DESC, repository_id) WHERE recent > 0;
CREATE INDEX repository_trends_of_gained ON repository_trends (namespace_id, gained_bytes DESC, repository_id)
    WHERE gained_bytes > 0;
CREATE INDEX repository_trends_of_recent ON repository_trends (namespace_id, recent DESC, repository_id)
    WHERE recent > 0;
CREATE INDEX repository_trends_due ON repository_trends (due_on, repository_id) WHERE due_on IS NOT NULL;

-- Pushes and pulls are added to days, and untagged scans record bytes there: whoever does holds the repository, so that
-- it can't move, and its figures. No push does so itself.
CREATE FUNCTION queue_trends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_trends AS trends (repository_id, namespace_id)
    SELECT usage.repository_id, usage.namespace_id
      FROM (SELECT DISTINCT repository_id FROM new_rows) AS changed JOIN repository_usage AS usage USING (repository_id)
     ORDER BY usage.repository_id
    ON CONFLICT (repository_id) DO UPDATE SET due_on = '-infinity' WHERE trends.due_on IS DISTINCT FROM '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER queue_inserted AFTER INSERT ON repository_days REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_trends();
CREATE TRIGGER queue_updated AFTER UPDATE ON repository_days REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION queue_trends();

-- A repository takes its trends along to another namespace.
CREATE FUNCTION move_trends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE repository_trends AS trends SET namespace_id = moved.namespace_id
      FROM (SELECT new_rows.id, new_rows.namespace_id FROM old_rows JOIN new_rows USING (id)
             WHERE old_rows.namespace_id <> new_rows.namespace_id) AS moved
     WHERE trends.repository_id = moved.id;
    RETURN NULL;
END $$;
CREATE TRIGGER move_trends AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION move_trends();
