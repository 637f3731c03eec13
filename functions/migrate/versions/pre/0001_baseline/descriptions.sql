-- What a manifest is and how many bytes it takes to pull, read from its payload when it is stored: no writer can
-- forget.

-- What a manifest is and how many bytes it takes to pull, read from its payload when it is stored: no writer can
-- forget.
CREATE FUNCTION digest_bytes(digest text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
           WHEN digest ~ '^sha256:[0-9a-f]{64}$' THEN '\x01'::bytea || decode(substr(digest, 8), 'hex')
           WHEN digest ~ '^sha512:[0-9a-f]{128}$' THEN '\x02'::bytea || decode(substr(digest, 8), 'hex')
           END
$$;

-- Type and subtype, which are the same in any case (RFC 9110, section 8.3.1).
CREATE FUNCTION media_type_essence(media_type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT lower(btrim(split_part(media_type, ';', 1)))
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

-- JSON may escape what no text of a database can hold, a NUL or half of a surrogate pair, and that would make all of it
-- unreadable: another escape, which says so, stands in for it.
CREATE FUNCTION manifest_document(payload bytea) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(convert_from(payload, 'UTF8'),
                          '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::json
$$;

-- The bytes of what an index lists, each digest once. An entry whose type is one of manifests is a manifest; any other
-- may be a blob, if the repository has no such manifest.
CREATE FUNCTION listed_bytes(repository bigint, listed json) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(CASE WHEN child.id IS NOT NULL THEN child.size WHEN entry.may_be_blob THEN entry.size END), 0)
      FROM (SELECT digest_bytes(trim('"' FROM (item -> 'digest')::text)) AS digest,
                   max((item -> 'size')::text::numeric) AS size,
                   bool_and(media_type_essence(trim('"' FROM (item -> 'mediaType')::text)) IS NULL
                            OR media_type_essence(trim('"' FROM (item -> 'mediaType')::text)) NOT IN (
                               'application/vnd.oci.image.manifest.v1+json',
                               'application/vnd.oci.image.index.v1+json',
                               'application/vnd.docker.distribution.manifest.v2+json',
                               'application/vnd.docker.distribution.manifest.list.v2+json')) AS may_be_blob
              FROM json_array_elements(listed) AS item
             GROUP BY 1) AS entry
      LEFT JOIN manifests AS child ON child.repository_id = repository AND child.digest = entry.digest
$$;

CREATE FUNCTION describe_manifest() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    document json;
    config json;
    layers json;
BEGIN
    document := manifest_document(NEW.payload);
    config := document -> 'config';
    layers := document -> 'layers';
    NEW.kind := manifest_kind(media_type_essence(NEW.media_type), media_type_essence(NEW.artifact_type),
                              media_type_essence(trim('"' FROM (layers #> '{0,mediaType}')::text)));
    NEW.config_digest := digest_bytes(trim('"' FROM (config -> 'digest')::text));
    NEW.size := octet_length(NEW.payload) + coalesce((config -> 'size')::text::bigint, 0);
    IF json_typeof(layers) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((layer -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(layers) AS layer);
    END IF;
    IF json_typeof(document -> 'blobs') = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((blob -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(document -> 'blobs') AS blob);
    END IF;
    IF json_typeof(document -> 'manifests') = 'array' THEN
        NEW.size := NEW.size + listed_bytes(NEW.repository_id, document -> 'manifests');
    END IF;
    RETURN NEW;
EXCEPTION WHEN statement_too_complex OR numeric_value_out_of_range OR data_exception THEN
    -- Nested too deep, or larger than anything can be: stored as it came, and not described.
    RETURN NEW;
END $$;
CREATE TRIGGER describe BEFORE INSERT OR UPDATE ON manifests FOR EACH ROW EXECUTE FUNCTION describe_manifest();

-- A tag shows the size of what it names.
CREATE FUNCTION describe_tag() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.size := coalesce((SELECT size FROM manifests WHERE id = NEW.manifest_id), 0);
    RETURN NEW;
END $$;
CREATE TRIGGER describe BEFORE INSERT OR UPDATE OF manifest_id ON tags FOR EACH ROW EXECUTE FUNCTION describe_tag();
