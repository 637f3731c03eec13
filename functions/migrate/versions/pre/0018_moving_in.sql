-- What comes in bulk is described and counted for less; the outcome is what it was.

-- A pattern that counts 64 signs takes as many states, which are made anew for each text; this one takes two.
CREATE OR REPLACE FUNCTION digest_bytes(digest text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
           WHEN length(digest) = 71 AND starts_with(digest, 'sha256:') AND substr(digest, 8) !~ '[^0-9a-f]'
           THEN '\x01'::bytea || decode(substr(digest, 8), 'hex')
           WHEN length(digest) = 135 AND starts_with(digest, 'sha512:') AND substr(digest, 8) !~ '[^0-9a-f]'
           THEN '\x02'::bytea || decode(substr(digest, 8), 'hex')
           END
$$;

-- The usual image first, whose types none of the patterns below fit: it costs no regular expression.
CREATE OR REPLACE FUNCTION manifest_kind(media_type text, artifact_type text, layer_type text) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
           WHEN media_type IN ('application/vnd.oci.image.index.v1+json',
                               'application/vnd.docker.distribution.manifest.list.v2+json') THEN 'index'
           WHEN artifact_type IN ('application/vnd.oci.image.config.v1+json',
                                  'application/vnd.docker.container.image.v1+json')
            AND layer_type IN ('application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+gzip',
                               'application/vnd.oci.image.layer.v1.tar+zstd',
                               'application/vnd.docker.image.rootfs.diff.tar.gzip') THEN 'image'
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

-- Each look into JSON reads all of it, and an argument of the functions that are called here may be worked out more than
-- once: so the parts are taken out once, and what is asked about them are variables.
CREATE OR REPLACE FUNCTION describe_manifest() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    document json;
    part record;
    artifact_type text;
    layer_type text;
    config_digest text;
BEGIN
    document := manifest_document(NEW.payload);
    SELECT config, layers, blobs, manifests INTO part
      FROM json_to_record(CASE json_typeof(document) WHEN 'object' THEN document END)
           AS named (config json, layers json, blobs json, manifests json);
    artifact_type := media_type_essence(NEW.artifact_type);
    layer_type := media_type_essence(trim('"' FROM (part.layers #> '{0,mediaType}')::text));
    NEW.kind := manifest_kind(media_type_essence(NEW.media_type), artifact_type, layer_type);
    config_digest := trim('"' FROM (part.config -> 'digest')::text);
    NEW.config_digest := digest_bytes(config_digest);
    NEW.size := octet_length(NEW.payload) + coalesce((part.config -> 'size')::text::bigint, 0);
    IF json_typeof(part.layers) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((layer -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(part.layers) AS layer);
    END IF;
    IF json_typeof(part.blobs) = 'array' THEN
        NEW.size := NEW.size + (SELECT coalesce(sum((blob -> 'size')::text::numeric), 0)
                                  FROM json_array_elements(part.blobs) AS blob);
    END IF;
    IF json_typeof(part.manifests) = 'array' THEN
        NEW.size := NEW.size + listed_bytes(NEW.repository_id, part.manifests);
    END IF;
    RETURN NEW;
EXCEPTION WHEN statement_too_complex OR numeric_value_out_of_range OR data_exception THEN
    -- Nested too deep, or larger than anything can be: stored as it came, and not described.
    RETURN NEW;
END $$;

-- Only what is deleted can leave a blob without a link.
CREATE OR REPLACE FUNCTION count_links() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT repository_id FROM changed);
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF ids = '{}' THEN RETURN NULL; END IF;
    PERFORM lock_usage(ids);
    UPDATE repository_usage AS usage
       SET blobs = usage.blobs + sign * delta.count, blob_bytes = usage.blob_bytes + sign * delta.bytes,
           untagged_scan_due = true
      FROM (SELECT repository_id, count(*) AS count, sum(size) AS bytes FROM changed GROUP BY 1) AS delta
     WHERE usage.repository_id = delta.repository_id;
    -- Upserted in key order: two repositories that link the same blob at once wait for each other here alone.
    INSERT INTO namespace_blobs AS shared (namespace_id, digest, size, links)
    SELECT usage.namespace_id, digest, min(size), sign * count(*)
      FROM changed JOIN repository_usage AS usage USING (repository_id)
     GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (namespace_id, digest) DO UPDATE SET links = shared.links + excluded.links;
    IF TG_OP = 'INSERT' THEN RETURN NULL; END IF;
    DELETE FROM namespace_blobs AS shared
     USING (SELECT DISTINCT usage.namespace_id, digest
              FROM changed JOIN repository_usage AS usage USING (repository_id)) AS delta
     WHERE shared.namespace_id = delta.namespace_id AND shared.digest = delta.digest AND shared.links = 0;
    RETURN NULL;
END $$;
