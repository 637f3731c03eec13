"""What is added up once a seed's rows are there: figures of namespaces and of the registry, and days of use.

Each statement takes `namespaces`, the ids of those that were added, or `objects`, how the names of their blobs' objects
begin, or both.
"""

from __future__ import annotations

from typing import Final

from local.seed_content import TABLES

# Repositories that are used every day, and whose tags have days too.
BUSY: Final = 100

_NAMESPACE_BLOBS: Final = """
    INSERT INTO namespace_blobs (namespace_id, digest, size, links)
    SELECT namespace_id, digest, min(size), count(*)
      FROM repository_blobs JOIN repositories ON repositories.id = repository_id
     WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) GROUP BY 1, 2
"""

_NAMESPACE_USAGE: Final = """
    INSERT INTO namespace_usage (namespace_id, repositories, tags, manifests, manifest_bytes, blobs, blob_bytes,
                                 pushed_at, pulled_at, pulls)
    SELECT namespace_id, count(*), sum(usage.tags), sum(usage.manifests), sum(usage.manifest_bytes), min(shared.blobs),
           min(shared.bytes), max(usage.pushed_at), max(usage.pulled_at), sum(usage.pulls)
      FROM repository_usage AS usage
      JOIN (SELECT namespace_id, count(*) AS blobs, sum(size) AS bytes FROM namespace_blobs
             WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) GROUP BY 1) AS shared USING (namespace_id)
     WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) GROUP BY 1
"""

_REGISTRY_USAGE: Final = """
    UPDATE registry_usage AS usage
       SET repositories = usage.repositories + more.repositories, tags = usage.tags + more.tags,
           manifests = usage.manifests + more.manifests, manifest_bytes = usage.manifest_bytes + more.manifest_bytes,
           blobs = usage.blobs + added.blobs, blob_bytes = usage.blob_bytes + added.bytes
      FROM (SELECT sum(repositories) AS repositories, sum(tags) AS tags, sum(manifests) AS manifests,
                   sum(manifest_bytes) AS manifest_bytes
              FROM namespace_usage WHERE namespace_id = ANY (CAST(:namespaces AS bigint[]))) AS more,
           (SELECT count(*) AS blobs, sum(size) AS bytes FROM blobs WHERE starts_with(object_name, :objects)) AS added
"""

# Of the last two months: every day for the repositories that are pulled most, a day in a week for the others. Weekends
# are quiet.
_REPOSITORY_DAYS: Final = f"""
    INSERT INTO repository_days (repository_id, day, pushes, pulls, bytes)
    SELECT used.repository_id, current_date - age, random() * 8,
           used.pulls * random() / 30 * CASE WHEN extract(isodow FROM current_date - age) > 5 THEN 0.2 ELSE 1 END,
           used.bytes - used.bytes * age / 120
      FROM (SELECT repository_id, pulls, bytes, row_number() OVER (ORDER BY pulls DESC, repository_id) AS number
              FROM repository_usage WHERE namespace_id = ANY (CAST(:namespaces AS bigint[]))) AS used
      JOIN generate_series(0, 59) AS age ON used.number <= {BUSY} OR (used.number + age) % 7 = 0
"""  # noqa: S608  # a constant of this module

# Garbage collection adds them up.
_TRENDS: Final = """
    INSERT INTO repository_trends (repository_id, namespace_id)
    SELECT repository_id, namespace_id FROM repository_usage WHERE namespace_id = ANY (CAST(:namespaces AS bigint[]))
"""

_NAMESPACE_DAYS: Final = """
    INSERT INTO namespace_days (namespace_id, day, pushes, pulls, bytes)
    SELECT namespace_id, current_date - age, 20 + random() * 50, pulls * random() / 30,
           bytes - bytes * age / 120
      FROM namespace_usage, generate_series(0, 59) AS age
     WHERE namespace_id = ANY (CAST(:namespaces AS bigint[]))
"""

_REGISTRY_DAYS: Final = """
    INSERT INTO registry_days AS total (day, pushes, pulls, bytes)
    SELECT day, sum(pushes), sum(pulls), sum(bytes)
      FROM namespace_days WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) GROUP BY day
    ON CONFLICT (day) DO UPDATE
       SET pushes = total.pushes + excluded.pushes, pulls = total.pulls + excluded.pulls,
           bytes = coalesce(total.bytes, 0) + excluded.bytes
"""

_TAG_DAYS: Final = f"""
    INSERT INTO tag_days (repository_id, tag, day, pulls)
    SELECT busy.repository_id, name, current_date - age, random() * 40
      FROM (SELECT repository_id FROM repository_usage WHERE namespace_id = ANY (CAST(:namespaces AS bigint[]))
             ORDER BY pulls DESC, repository_id LIMIT {BUSY}) AS busy
     CROSS JOIN LATERAL (SELECT name FROM tags WHERE tags.repository_id = busy.repository_id
                          ORDER BY pulls DESC, name DESC LIMIT 10) AS pulled,
           generate_series(0, 59) AS age
"""  # noqa: S608  # as above

_MANIFEST_DAYS: Final = """
    INSERT INTO manifest_days (manifest_id, day, pulls)
    SELECT tags.manifest_id, tag_days.day, sum(tag_days.pulls)
      FROM tag_days
      JOIN repositories ON repositories.id = tag_days.repository_id
      JOIN tags ON tags.repository_id = tag_days.repository_id AND tags.name = tag_days.tag
     WHERE namespace_id = ANY (CAST(:namespaces AS bigint[])) GROUP BY 1, 2
"""

# In this order: each needs what those before it wrote.
STATEMENTS: Final = (
    _NAMESPACE_BLOBS,
    _NAMESPACE_USAGE,
    _REGISTRY_USAGE,
    _REPOSITORY_DAYS,
    _TRENDS,
    _NAMESPACE_DAYS,
    _REGISTRY_DAYS,
    _TAG_DAYS,
    _MANIFEST_DAYS,
)

# Visible to index-only scans at once, and known to the planner.
ANALYZE: Final = "VACUUM (ANALYZE) " + ", ".join(
    [
        *TABLES,
        "repositories",
        "namespaces",
        "namespace_usage",
        "namespace_blobs",
        "repository_days",
        "repository_trends",
    ]
)
