-- Type and subtype, which are the same in any case (RFC 9110, section 8.3.1).
CREATE FUNCTION media_type_essence(media_type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT lower(btrim(split_part(media_type, ';', 1)))
$$;

-- Each digest once. Of a type of manifests it is one: all else may be a blob, if the repository has no such manifest.
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

CREATE OR REPLACE FUNCTION describe_manifest() RETURNS trigger LANGUAGE plpgsql AS $$
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
