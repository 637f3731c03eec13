"""What an import's own transactions put in front, and nothing else ever does.

The schema's triggers hear it: what exists elsewhere is refused by no quota and by no rule about new tags, has the times
that it has there, and is reviewed by the import's own steps (functions/migrate/versions/pre/0002_imports.sql). Links
come in a transaction of their own before what names them, as an upload comes before a push: they keep their reviews.
"""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Call, Statement

_SET: Final = Statement("imports_set_mode", str, "SELECT set_config('slipway.importing', :step, true)", is_hot=True)


def linking() -> Call[str]:
    """Comes in front of a batch that links blobs."""
    return _SET(step="links")


def importing() -> Call[str]:
    """Comes in front of a batch that puts in manifests and tags, or changes and deletes them as the source did."""
    return _SET(step="content")
