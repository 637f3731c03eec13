-- Backups that somebody brought back elsewhere, to see that they come back: `tags` were pulled there and compared, and
-- `lost` of them were not as they should be. NULL is what nobody said. A record is never changed, and stays when its
-- backup is pruned.
CREATE TABLE backup_drills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    backup_id bigint NOT NULL REFERENCES backup_runs,
    tags int CHECK (tags >= 0),
    lost int CHECK (lost BETWEEN 0 AND tags),
    seconds int CHECK (seconds >= 0),
    note text,
    drilled_by text COLLATE "C" NOT NULL,
    drilled_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((tags IS NULL) = (lost IS NULL))
);
CREATE INDEX backup_drills_backups ON backup_drills (backup_id, id);
