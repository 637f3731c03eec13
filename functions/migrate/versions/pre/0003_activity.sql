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
