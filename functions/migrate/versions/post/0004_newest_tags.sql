-- tags_newest has all that it has.
DROP INDEX CONCURRENTLY IF EXISTS tags_updated;
