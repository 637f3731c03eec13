-- What repositories are ranked by, of the last 30 days: where an index can find the first of them. Garbage collection adds it
-- up, for those of which a day has changed, and for those whose figures change because a day is over.

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
CREATE INDEX repository_trends_of_recent ON repository_trends (namespace_id, recent DESC, repository_id) WHERE recent > 0;
CREATE INDEX repository_trends_due ON repository_trends (due_on, repository_id) WHERE due_on IS NOT NULL;

-- Pushes and pulls are added to days, and untagged scans note bytes there: whoever does holds the repository, so that it can't
-- move, and its figures. No push does so itself.
CREATE FUNCTION rank_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO repository_trends AS trends (repository_id, namespace_id)
    SELECT usage.repository_id, usage.namespace_id
      FROM (SELECT DISTINCT repository_id FROM new_rows) AS changed JOIN repository_usage AS usage USING (repository_id)
     ORDER BY usage.repository_id
    ON CONFLICT (repository_id) DO UPDATE SET due_on = '-infinity' WHERE trends.due_on IS DISTINCT FROM '-infinity';
    RETURN NULL;
END $$;
CREATE TRIGGER rank_inserted AFTER INSERT ON repository_days REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rank_again();
CREATE TRIGGER rank_updated AFTER UPDATE ON repository_days REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rank_again();

-- A repository takes its rank along to another namespace.
CREATE FUNCTION move_trends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE repository_trends AS trends SET namespace_id = moved.namespace_id
      FROM (SELECT new_rows.id, new_rows.namespace_id FROM old_rows JOIN new_rows USING (id)
             WHERE old_rows.namespace_id <> new_rows.namespace_id) AS moved
     WHERE trends.repository_id = moved.id;
    RETURN NULL;
END $$;
CREATE TRIGGER move_trends AFTER UPDATE ON repositories REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION move_trends();

INSERT INTO repository_trends (repository_id, namespace_id) SELECT repository_id, namespace_id FROM repository_usage;
