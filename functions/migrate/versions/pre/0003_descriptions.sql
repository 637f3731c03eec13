-- What a manifest is and how many bytes it takes to pull, read from its payload when it is stored: no writer can forget.

CREATE FUNCTION digest_bytes(digest text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
           WHEN digest ~ '^sha256:[0-9a-f]{64}$' THEN '\x01'::bytea || decode(substr(digest, 8), 'hex')
           WHEN digest ~ '^sha512:[0-9a-f]{128}$' THEN '\x02'::bytea || decode(substr(digest, 8), 'hex')
           END
$$;

-- The list is open: what isn't known is `other`. An attachment is told by its own type, or by that of its first layer.
CREATE FUNCTION manifest_kind(media_type text, artifact_type text, layer_type text) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
           WHEN media_type IN ('application/vnd.oci.image.index.v1+json',
                               'application/vnd.docker.distribution.manifest.list.v2+json') THEN 'index'
           WHEN artifact_type = 'application/vnd.cncf.helm.config.v1+json' THEN 'chart'
           WHEN artifact_type ~ '^application/vnd\.(dev\.cosign\.artifact\.sig\.|cncf\.notary\.signature)'
             OR layer_type = 'application/vnd.dev.cosign.simplesigning.v1+json' THEN 'signature'
           WHEN artifact_type ~ '(spdx|cyclonedx|syft|sbom)' OR layer_type ~ '(spdx|cyclonedx|syft|sbom)' THEN 'sbom'
           WHEN artifact_type ~ '(in-toto|dsse|attestation|sigstore\.bundle)'
             OR layer_type ~ '(in-toto|dsse|attestation|sigstore\.bundle)' THEN 'attestation'
           WHEN artifact_type ~ 'wasm' OR layer_type ~ 'wasm' THEN 'wasm'
           WHEN artifact_type IN ('application/vnd.oci.image.config.v1+json',
                                  'application/vnd.docker.container.image.v1+json') THEN 'image'
           ELSE 'other'
           END
$$;

-- `size`: the payload, its config and its layers; of an index, what it lists as well, as far as that is there.
ALTER TABLE manifests
    ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT 'other',
    ADD COLUMN size bigint NOT NULL DEFAULT 0,
    ADD COLUMN config_digest bytea;

-- JSON may escape what no text of a database can hold, a NUL or half of a surrogate pair, and that would make all of it
-- unreadable: another escape, which says so, stands in for it.
CREATE FUNCTION manifest_document(payload bytea) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(convert_from(payload, 'UTF8'),
                          '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::json
$$;

CREATE FUNCTION describe_manifest() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    document json;
    config json;
    layers json;
    listed json;
BEGIN
    document := manifest_document(NEW.payload);
    config := document -> 'config';
    layers := document -> 'layers';
    listed := document -> 'manifests';
    NEW.kind := manifest_kind(NEW.media_type, NEW.artifact_type, trim('"' FROM (layers #> '{0,mediaType}')::text));
    NEW.config_digest := digest_bytes(trim('"' FROM (config -> 'digest')::text));
    NEW.size := octet_length(NEW.payload) + coalesce((config -> 'size')::text::bigint, 0);
    IF json_typeof(layers) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((layer -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(layers) AS layer);
    END IF;
    IF json_typeof(listed) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum(child.size), 0) FROM manifests AS child
             WHERE child.repository_id = NEW.repository_id AND child.digest = ANY (ARRAY(
                   SELECT digest_bytes(trim('"' FROM (entry -> 'digest')::text))
                     FROM json_array_elements(listed) AS entry)));
    END IF;
    RETURN NEW;
EXCEPTION WHEN statement_too_complex OR numeric_value_out_of_range OR data_exception THEN
    -- Nested too deep, or larger than anything can be: stored as it came, and not described.
    RETURN NEW;
END $$;
CREATE TRIGGER describe BEFORE INSERT OR UPDATE ON manifests FOR EACH ROW EXECUTE FUNCTION describe_manifest();

-- A description that is written later is no push.
DROP TRIGGER review_updated ON manifests;
CREATE TRIGGER review_updated AFTER UPDATE ON manifests REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (coalesce(current_setting('slipway.describing', true), '') = '')
    EXECUTE FUNCTION review_pushed_manifests();

-- What tags are sorted by lies beside them. Never pulled is the earliest of times, so that it sorts as well.
ALTER TABLE tags
    ADD COLUMN size bigint NOT NULL DEFAULT 0,
    ADD COLUMN pulls bigint NOT NULL DEFAULT 0,
    ADD COLUMN pulled_at timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX tags_size ON tags (repository_id, size, name);
CREATE INDEX tags_updated ON tags (repository_id, updated_at, name);
CREATE INDEX tags_pulled ON tags (repository_id, pulled_at, name);
CREATE INDEX tags_pulls ON tags (repository_id, pulls, name);

CREATE FUNCTION describe_tag() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.size := coalesce((SELECT size FROM manifests WHERE id = NEW.manifest_id), 0);
    RETURN NEW;
END $$;
CREATE TRIGGER describe BEFORE INSERT OR UPDATE OF manifest_id ON tags FOR EACH ROW EXECUTE FUNCTION describe_tag();
