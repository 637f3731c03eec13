"""Whether an instance can do its work: asked by the platform before it sends requests, and by nobody else.

An instance's way to the database may take a minute to come up. The schema is not asked for: a first deployment starts
before its first migration.
"""

from __future__ import annotations

import threading
from typing import Final

from flask import Response

from functions.registry.metadata.db import Database, MetadataUnavailable

PATH: Final = "/.startup"
_asking = threading.Lock()


def answer(database: Database) -> Response:
    """Answers 204 once a connection works, else 503. One asks at a time: the platform repeats itself each second."""
    if not _asking.acquire(blocking=False):
        return Response(status=503)
    try:
        database.reach()
    except MetadataUnavailable:
        return Response(status=503)
    finally:
        _asking.release()
    return Response(status=204)
