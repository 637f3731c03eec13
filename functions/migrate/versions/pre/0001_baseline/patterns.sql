-- Patterns of names, with stars. They are matched by LIKE: a regular expression has to be compiled, for each row anew
-- where there are more than the server keeps; LIKE costs about a microsecond, and less than ten for the worst pattern.

-- What a pattern of repository names can only match in: its first segment, or '' where that may be anything. Those who
-- look for the patterns that match a name find them by it.
CREATE FUNCTION pattern_namespace(pattern text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(split_part(pattern, '/', 1), '*') = 0 THEN split_part(pattern, '/', 1) ELSE '' END
$$;

CREATE FUNCTION glob_like(glob text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT regexp_replace(replace(glob, '_', '\_'), '\*+', '%', 'g')
$$;

-- What LIKE leaves to be looked at, for it knows one star only: nothing where each goes across parts of a name
-- (`whole`); whether there are as many parts, where none does (`parts`); both ends, around the one that does (`ends`).
-- Several of these beside single ones are not taken (patterns.py); if there were any they would be expressions.
CREATE FUNCTION glob_form(glob text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(regexp_replace(glob, '\*\*+', '', 'g'), '*') = 0 THEN 'whole'
                WHEN strpos(glob, '**') = 0 THEN 'parts'
                WHEN length(regexp_replace(glob, '\*\*+', '**', 'g'))
                     - length(regexp_replace(glob, '\*\*+', '*', 'g')) = 1 THEN 'ends'
                ELSE 'expression' END
$$;

-- How much LIKE has to look for, which is what it costs: all from the first star on, unless that is the end.
CREATE FUNCTION starred_length(glob text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN strpos(rtrim(glob, '*'), '*') > 0 THEN length(glob) - length(split_part(glob, '*', 1)) ELSE 0 END
$$;

CREATE FUNCTION slashes(name text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT length(name) - length(replace(name, '/', ''))
$$;

-- Before and behind `**` there are as many parts as the pattern has there, which LIKE can compare. With no more parts
-- than that no star has gone across one.
CREATE FUNCTION glob_ends(name text, glob text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    head text := split_part(regexp_replace(glob, '\*\*+', '>'), '>', 1);
    tail text := split_part(regexp_replace(glob, '\*\*+', '>'), '>', 2);
    before int := slashes(head);
    behind int := slashes(tail);
    parts text[];
BEGIN
    IF slashes(name) <= before + behind THEN RETURN slashes(name) = before + behind; END IF;
    parts := string_to_array(name, '/');
    RETURN array_to_string(parts[:before + 1], '/') LIKE glob_like(head) || '%'
       AND array_to_string(parts[cardinality(parts) - behind:], '/') LIKE '%' || glob_like(tail);
END $$;

-- Whether a name that is LIKE the pattern fits it.
CREATE FUNCTION glob_fits(name text, glob text, form text, expression text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE form WHEN 'whole' THEN true
                     WHEN 'parts' THEN slashes(name) = slashes(glob)
                     WHEN 'ends' THEN glob_ends(name, glob)
                     ELSE name ~ expression END
$$;
