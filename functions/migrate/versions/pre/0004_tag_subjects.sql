-- What a tag belongs to by its name: `sha256-HEX` is the list of a manifest's referrers where a registry keeps none
-- (OCI), and cosign puts `.sig`, `.att` and `.sbom` behind it. Of a sha512 digest such a name has only the first half.
CREATE FUNCTION tag_subject(tag text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN tag ~ '^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$'
                THEN '\x01'::bytea || decode(substr(tag, 8, 64), 'hex') END
$$;

-- NULL as well for what the background migration `tag_subjects` has not come to: read it with tag_subject(name) beside.
ALTER TABLE tags ADD COLUMN subject bytea;

-- A tag shows the size of what it names, and what it belongs to.
CREATE OR REPLACE FUNCTION describe_tag() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.size := coalesce((SELECT size FROM manifests WHERE id = NEW.manifest_id), 0);
    NEW.subject := tag_subject(NEW.name);
    RETURN NEW;
END $$;

SELECT register_background_migration(
    'tag_subjects', 'tags', '{repository_id,name}', '[0, ""]',
    'UPDATE tags SET subject = tag_subject(name) WHERE subject IS DISTINCT FROM tag_subject(name)'
);
