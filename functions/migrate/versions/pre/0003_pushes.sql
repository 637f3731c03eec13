-- What a push begins with: the caller's rank, for the rules; its namespace's quota; its repository, which then keeps its
-- name until the push is over; and its tags, there or not, so that pushes of one tag go one after the other.
CREATE FUNCTION begin_push(of_repository text, tags text[], rank text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE key bigint;
BEGIN
    PERFORM claim_quota(split_part(of_repository, '/', 1), false);
    PERFORM FROM repositories WHERE name = of_repository FOR KEY SHARE;
    FOR key IN SELECT DISTINCT hashtextextended(of_repository || ':' || tag, 0) AS key FROM unnest(tags) AS tag ORDER BY key
    LOOP
        PERFORM pg_advisory_xact_lock(key);
    END LOOP;
    RETURN set_config('slipway.rank', rank, true);
END $$;
