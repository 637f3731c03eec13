-- Rules for tags, obeyed in the statement that writes: whatever the path, and at once. The first that matches decides.

-- `role` is the least that the change takes; without one nobody may make it.
--   protected: to create, move or delete a tag.
--   immutable: to move or delete it; anybody who may push may create it.
--   exempt: nothing more; an exception to the rules behind it.
--   delete_protected: to delete anything from the repository.
-- Rules' names are a namespace's own: nobody learns, or takes, those of others.
CREATE TABLE tag_rules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    position int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('protected', 'immutable', 'exempt', 'delete_protected')),
    repositories text COLLATE "C" NOT NULL,
    repositories_regex text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pattern_namespace(repositories)) STORED,
    tags text COLLATE "C" NOT NULL,
    tags_regex text COLLATE "C" NOT NULL,
    role text CHECK (role IS NULL OR role_rank(role) IS NOT NULL),
    created_at timestamptz NOT NULL DEFAULT now(),
    repositories_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(repositories)) STORED,
    repositories_form text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_form(repositories)) STORED,
    tags_like text COLLATE "C" NOT NULL GENERATED ALWAYS AS (glob_like(tags)) STORED,
    CONSTRAINT tag_rules_name UNIQUE (namespace, name),
    CONSTRAINT tag_rules_delete_protected CHECK (kind <> 'delete_protected' OR tags = '*'),
    CONSTRAINT tag_rules_exempt CHECK (kind <> 'exempt' OR role IS NULL)
);
CREATE INDEX tag_rules_namespace ON tag_rules (namespace, position, id);

-- What the session's transaction was told (`set_rank`). Whoever says nothing has none.
CREATE FUNCTION caller_rank() RETURNS int STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('slipway.rank', true), ''), '0')::int
$$;

-- What to tell a caller of this rank, or NULL if the change is not refused. A delete-protecting rule does not hide
-- those for the same tags that stand behind it, nor they it.
CREATE FUNCTION tag_refusal(repository text, tag text, creates boolean, rank int) RETURNS text
STABLE LANGUAGE sql AS $$
    SELECT CASE
           WHEN kind = 'exempt' OR (kind = 'immutable' AND creates) OR role_rank(role) <= rank THEN NULL
           ELSE format('tag %s is %s by rule "%s": %s', tag, kind, name,
                       coalesce('it takes the role ' || role, 'nobody may change it'))
           END
      FROM tag_rules
     WHERE namespace IN ('', split_part(repository, '/', 1)) AND kind <> 'delete_protected'
       AND repository LIKE repositories_like AND tag LIKE tags_like
       AND glob_fits(repository, repositories, repositories_form, repositories_regex)
     ORDER BY position, id
     LIMIT 1
$$;

-- The same for deleting a tag, or, without one, anything else of the repository. Exceptions hold here too: one for all
-- tags is one for the repository.
CREATE FUNCTION deletion_refusal(repository text, tag text, rank int) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE
           WHEN kind = 'exempt' OR role_rank(role) <= rank THEN NULL
           ELSE format('repository %s is delete-protected by rule "%s": %s', repository, name,
                       coalesce('to delete takes the role ' || role, 'nobody may delete'))
           END
      FROM tag_rules
     WHERE namespace IN ('', split_part(repository, '/', 1)) AND kind IN ('delete_protected', 'exempt')
       AND repository LIKE repositories_like AND (tags = '*' OR tag LIKE tags_like)
       AND glob_fits(repository, repositories, repositories_form, repositories_regex)
     ORDER BY position, id
     LIMIT 1
$$;

-- Ends the transaction with what the client is told.
CREATE FUNCTION refuse(reason text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF reason IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'SW001', MESSAGE = reason; END IF;
END $$;

-- An upsert comes here as an insertion first, and as an update after that if the tag is there: then that one decides.
-- The tag that is there is locked, so that it can't go meanwhile and the insertion make it anew. A tag that moves
-- leaves what it named without one: in a delete-protected repository that takes what a deletion takes. Where a
-- namespace has no rules, asking whether it has is all that this costs.
CREATE FUNCTION obey_tag_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched tags := coalesce(OLD, NEW);
    repository text;
    refusal text;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.manifest_id = NEW.manifest_id THEN RETURN NEW; END IF;
    SELECT name INTO repository FROM repositories
     WHERE id = touched.repository_id
       AND EXISTS (SELECT FROM tag_rules WHERE tag_rules.namespace IN ('', split_part(repositories.name, '/', 1)));
    IF NOT FOUND THEN RETURN coalesce(NEW, OLD); END IF;
    refusal := tag_refusal(repository, touched.name, TG_OP = 'INSERT', caller_rank());
    IF TG_OP <> 'INSERT' THEN
        refusal := coalesce(refusal, deletion_refusal(repository, touched.name, caller_rank()));
    END IF;
    IF TG_OP = 'INSERT' AND refusal IS NOT NULL THEN
        PERFORM FROM tags WHERE repository_id = NEW.repository_id AND name = NEW.name FOR UPDATE;
        IF FOUND THEN RETURN NEW; END IF;
    END IF;
    PERFORM refuse(refusal);
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER obey_rules BEFORE INSERT OR UPDATE OR DELETE ON tags
    FOR EACH ROW EXECUTE FUNCTION obey_tag_rules();

-- How many rules a namespace has, for whoever adds one: one at a time, so that the bound holds for many at once as
-- well. The registry's own are without a bound.
CREATE FUNCTION rules_in(of_namespace text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF of_namespace = '' THEN RETURN 0; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(of_namespace, 4));
    RETURN (SELECT count(*) FROM tag_rules WHERE namespace = of_namespace);
END $$;
