-- Uploads that have not ended, and every object that they wrote.

-- `version` counts the changes: whoever writes says which one was read, and the second writer loses.
-- `hash_state` is the state of the running hash, so that any instance goes on with the next chunk. `principal` started
-- the upload: nobody else may go on with it. `received` bytes count in the namespace's quota while `is_counted`.
CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    repository_id bigint NOT NULL REFERENCES repositories,
    version int NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    algorithm text NOT NULL,
    hash_state bytea,
    started_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    principal text COLLATE "C",
    namespace_id bigint,
    is_counted boolean NOT NULL DEFAULT true
);
CREATE INDEX uploads_expiry ON uploads (expires_at);
CREATE INDEX uploads_repository ON uploads (repository_id);
CREATE INDEX uploads_principal ON uploads (principal, expires_at);
CREATE INDEX uploads_namespace ON uploads (namespace_id);

-- Every object that an upload writes, named before its first byte is sent. `number` and `finished_at` are set once it
-- is complete.
CREATE TABLE upload_objects (
    object_name text COLLATE "C" PRIMARY KEY,
    upload_id uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    number int,
    size bigint,
    finished_at timestamptz
);
CREATE INDEX upload_objects_upload ON upload_objects (upload_id, number);

-- An upload knows its namespace, whose quota it counts in, and goes along when its repository moves.
CREATE FUNCTION place_upload() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.namespace_id := (SELECT namespace_id FROM repositories WHERE id = NEW.repository_id);
    RETURN NEW;
END $$;
CREATE TRIGGER place BEFORE INSERT ON uploads FOR EACH ROW EXECUTE FUNCTION place_upload();

CREATE FUNCTION move_uploads() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE uploads SET namespace_id = NEW.namespace_id WHERE repository_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER move_uploads AFTER UPDATE OF namespace_id ON repositories FOR EACH ROW
    WHEN (OLD.namespace_id <> NEW.namespace_id) EXECUTE FUNCTION move_uploads();
