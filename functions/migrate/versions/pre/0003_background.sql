-- Changes of tables that may be too large for one statement. The function `work` goes through the table in the order of
-- its key, a batch in each transaction, which also moves `last`: so each row is done exactly once, whatever is killed.
--
-- Keys are JSON arrays with a value for each of `key_columns`. All up to `last` is done; `stop` was the largest when the
-- migration was registered, and what came later was written by code that needs no migration. `total` is an estimate
-- where the table is large. `worked_at` is when the last batch ended, `rate` rows in a second, rests included. The next
-- batch is due at `due_at`; `waits_for` says why the last look did not begin one.
CREATE TABLE background_migrations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    table_name text COLLATE "C" NOT NULL,
    key_columns text[] NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'finished', 'failed')),
    start jsonb NOT NULL,
    last jsonb NOT NULL,
    stop jsonb NOT NULL,
    total bigint NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    batch integer NOT NULL DEFAULT 1000 CHECK (batch >= 1),
    rate double precision,
    rests boolean NOT NULL DEFAULT true,
    waits_for text COLLATE "C",
    due_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    worked_at timestamptz,
    finished_at timestamptz,
    retried_at timestamptz NOT NULL DEFAULT '-infinity'
);

-- Rows that a migration could not do, one by one. A failure from before `retried_at` is due again; it is the row whose
-- key comes next after `after`.
CREATE TABLE background_failures (
    migration_id bigint NOT NULL REFERENCES background_migrations ON DELETE CASCADE,
    key jsonb NOT NULL,
    after jsonb NOT NULL,
    error text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration_id, key)
);

-- Registers a migration, in the transaction that has made new rows right: its lock on the table has waited for all who
-- were writing, so none of the old kind comes after `stop`. `start` is a key before all others. A table with few rows is
-- done at once, by `all_at_once`.
CREATE FUNCTION register_background_migration(
    of_name text, of_table text, of_key text[], start jsonb, all_at_once text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    few CONSTANT bigint := 10000;
    columns text := (SELECT string_agg(quote_ident(part), ', ' ORDER BY place)
                       FROM unnest(of_key) WITH ORDINALITY AS parts (part, place));
    downwards text := (SELECT string_agg(quote_ident(part) || ' DESC', ', ' ORDER BY place)
                         FROM unnest(of_key) WITH ORDINALITY AS parts (part, place));
    counted bigint;
    largest jsonb;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT %s) AS first_rows', of_table, few) INTO counted;
    EXECUTE format('SELECT jsonb_build_array(%s) FROM %I ORDER BY %s LIMIT 1', columns, of_table, downwards)
       INTO largest;
    IF counted < few THEN
        EXECUTE all_at_once;
        INSERT INTO background_migrations (name, table_name, key_columns, state, start, last, stop, total, rows_done,
                                           started_at, worked_at, finished_at)
        VALUES (of_name, of_table, of_key, 'finished', start, coalesce(largest, start), coalesce(largest, start),
                counted, counted, now(), now(), now());
    ELSE
        INSERT INTO background_migrations (name, table_name, key_columns, start, last, stop, total)
        SELECT of_name, of_table, of_key, start, start, largest, greatest(counted, reltuples::bigint)
          FROM pg_class WHERE oid = of_table::regclass;
    END IF;
END $$;

-- How many standby servers have replayed nothing younger than so many seconds, or have more bytes than that to replay.
-- Whoever migrates sees them if it is a member of pg_read_all_stats, and the other functions through it.
CREATE FUNCTION late_standbys(seconds double precision, bytes bigint) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT count(*) FROM pg_stat_replication
     WHERE replay_lag > make_interval(secs => seconds) OR pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > bytes
$$;
