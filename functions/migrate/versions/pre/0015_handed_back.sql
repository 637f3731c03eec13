-- What was handed back is the source's for good: it decides about it, whoever is said to lead since.

CREATE OR REPLACE FUNCTION is_awaiting_import(repository bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE theirs record;
BEGIN
    IF NOT is_import_open() THEN RETURN false; END IF;
    SELECT old.state, import_mode(old.source_id, old.name) AS mode INTO theirs
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.repository_id = repository
        OR (old.repository_id IS NULL AND old.name = (SELECT here.name FROM repositories AS here WHERE here.id = repository));
    IF FOUND THEN
        RETURN theirs.state IN ('listed', 'importing', 'handed_back')
            OR (theirs.state <> 'dropped' AND theirs.mode = 'follow');
    END IF;
    RETURN EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL);
END $$;

CREATE OR REPLACE FUNCTION is_followed(of_repository text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE theirs record;
BEGIN
    -- What is copied over the other registry's API is pushed as all else is, but for this.
    IF is_importing() OR current_setting('slipway.copying', true) = 'on' OR NOT is_import_open() THEN
        RETURN false;
    END IF;
    SELECT old.state, import_mode(old.source_id, old.name) AS mode INTO theirs
      FROM import_repositories AS old
      JOIN import_sources AS source ON source.id = old.source_id AND source.state NOT IN ('added', 'sealed')
     WHERE old.repository_id = (SELECT here.id FROM repositories AS here WHERE here.name = of_repository)
        OR (old.repository_id IS NULL AND old.name = of_repository);
    IF FOUND THEN
        RETURN theirs.state = 'handed_back' OR (theirs.state <> 'dropped' AND theirs.mode = 'follow');
    END IF;
    RETURN EXISTS (SELECT FROM import_sources
                    WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL
                      AND import_mode(id, of_repository) = 'follow')
       AND NOT EXISTS (SELECT FROM repositories AS here JOIN repository_usage AS held ON held.repository_id = here.id
                        WHERE here.name = of_repository AND held.manifests > 0);
END $$;
