"""Images that were pushed before anybody looked for their platforms."""

from __future__ import annotations

from contextlib import closing

import pytest

from functions.migrate.schema import upgrade
from functions.registry.metadata.db import Database
from tests.metadata.build import APP, push_image, push_index, query


def test_older_images_are_queued_little_by_little_the_latest_first(empty_database_url: str) -> None:
    upgrade(empty_database_url, ("pre",))
    with closing(Database(empty_database_url, size=1)) as database:
        images = [push_image(database, APP, f"v{number}") for number in range(4)]
        push_index(database, APP, "index", of=images)
        query(database, "DELETE FROM platforms WHERE manifest_id < (SELECT max(manifest_id) FROM platforms)")
        ((latest, due),) = query(database, "SELECT manifest_id, look_after FROM platforms")
        upgrade(empty_database_url, ("post",))
        queued = query(database, "SELECT manifest_id, look_after FROM platforms ORDER BY manifest_id DESC")
    assert len(queued) == len(images)
    assert queued[0] == [latest, due]
    older = [look_after for _, look_after in queued[1:]]
    assert older == sorted(older)
    assert (older[-1] - older[0]).total_seconds() == pytest.approx(0.1)
