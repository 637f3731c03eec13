"""The end of a soak: garbage collection comes to rest, then bucket and rows are compared, one by one."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, Final

from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.usage.recount import recount
from local.programs import BUCKET
from tests.soak.figures import GRACES, Figures

QUIET_SECONDS: Final = 180
QUEUES: Final = ("uploads", "upload_objects", "manifest_reviews", "link_reviews", "blob_reviews", "deletions")
# What nothing needs, though no queue knows of it.
_UNKNOWN_GARBAGE: Final = {
    "a manifest that no tag reaches": """
        SELECT CAST(id AS text) FROM manifests WHERE NOT is_reached(id, only_by_tags => true)""",
    "a link that no manifest names": """
        SELECT repository_id || ' ' || encode(digest, 'hex') FROM repository_blobs AS link
         WHERE NOT EXISTS (SELECT FROM manifest_blobs AS named
                            WHERE named.repository_id = link.repository_id AND named.digest = link.digest)""",
    "a blob that no repository links": """
        SELECT encode(digest, 'hex') FROM blobs
         WHERE NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)""",
}
# The registry spreads what is due over a minute; a soak can't wait for that.
_LESS_JITTER: Final = """
    DO $$ BEGIN
        EXECUTE replace(pg_get_functiondef('grace'::regproc), $q$interval '1 minute'$q$, $q$interval '1 second'$q$);
    END $$
"""


class Audit:
    def __init__(self, database: str, storage: str, figures: Figures) -> None:
        self._connection = Connection(database)
        self._database = Database(database, size=1)
        self._storage = storage
        self._figures = figures

    def close(self) -> None:
        self._connection.close()
        self._database.close()

    def set_graces(self) -> None:
        self._connection.simple(_LESS_JITTER)
        for event, seconds in GRACES.items():
            self._column(f"UPDATE gc_settings SET grace = '{seconds} seconds' WHERE event = '{event}'")  # noqa: S608

    def wait_until_quiet(self) -> None:
        """Nobody pushes any more: what waits is carried out as it falls due. Only uploads wait too long for this."""
        self._connection.simple("UPDATE uploads SET expires_at = now()")
        deadline = time.monotonic() + QUIET_SECONDS
        while self._waiting() and time.monotonic() < deadline:
            # A collector that was killed had put off what it was about to do.
            self._connection.simple("UPDATE deletions SET not_before = now() WHERE attempts > 0 AND not_before > now()")
            time.sleep(1)

    def compare(self, foreign: str = "/") -> None:
        """Objects whose names begin with `foreign` need not be known."""
        for queue, count in self._waiting().items():
            self._figures.find("leaked", f"{count} rows are left in {queue}")
        for what, sql in _UNKNOWN_GARBAGE.items():
            for name in self._column(sql):
                self._figures.find("leaked", f"{what}: {name}")
        stored, known = self._objects(), set(self._column("SELECT object_name FROM blobs"))
        for name in {name for name in stored if not name.startswith(foreign)} - known:
            self._figures.find("leaked", f"an object that no blob names: {name}")
        for name in known - stored:
            self._figures.find("lost", f"the object of a blob: {name}")
        for difference in recount(self._database).differences:
            self._figures.find("miscounted", str(difference))

    def collected(self) -> dict[str, int]:
        """Returns how many rows were, by level."""
        found = self._connection.run([("SELECT level, CAST(sum(rows) AS bigint) FROM collected GROUP BY level", {})])
        return {level: int(rows) for level, rows in found[0].rows}

    def _waiting(self) -> dict[str, int]:
        counts = {queue: self._column(f"SELECT count(*) FROM {queue}")[0] for queue in QUEUES}  # noqa: S608
        return {queue: count for queue, count in counts.items() if count}

    def _column(self, sql: str) -> list[Any]:
        return [row[0] for row in self._connection.run([(sql, {})])[0].rows]

    def _objects(self) -> set[str]:
        names: set[str] = set()
        token = ""
        while True:
            url = f"{self._storage}/storage/v1/b/{BUCKET}/o?pageToken={token}"
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # our own address
                page = json.load(answer)
            names |= {entry["name"] for entry in page.get("items", [])}
            token = page.get("nextPageToken", "")
            if not token:
                return names
