"""News of a source: which of its repositories changed, as its bucket or the older registry itself tells it.

News may be lost, doubled or late, and nobody vouches for them: all that they do is to have a repository compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.imports import names
from functions.registry.imports.names import CurrentLink, RevisionLink
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import claims, news
from functions.registry.metadata.imports.claims import WorkSource
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

# What Cloud Storage tells of an object that came, was replaced, or went.
_CHANGES: Final = frozenset({"OBJECT_FINALIZE", "OBJECT_DELETE"})


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """An object that came or went, by its bucket and its name."""

    bucket: str
    name: str


def object_change(payload: Any) -> ObjectChange | None:
    """Reads a message of a bucket's notifications; None for any other message, and for other events."""
    message = payload.get("message") if isinstance(payload, dict) else None
    attributes = message.get("attributes") if isinstance(message, dict) else None
    if not isinstance(attributes, dict) or attributes.get("eventType") not in _CHANGES:
        return None
    bucket, name = attributes.get("bucketId"), attributes.get("objectId")
    return ObjectChange(bucket, name) if isinstance(bucket, str) and isinstance(name, str) else None


def take_object(db: Database, change: ObjectChange) -> bool:
    """Says whether the change is one of a repository's tags or manifests, which is compared then."""
    is_any = False
    for source in claims.sources_at_work(db):
        path = _changed_path(source, change)
        if path is not None:
            news.note(db, source.id, named([path], source.renames))
            is_any = True
    return is_any


def named(paths: Iterable[str], renames: Mapping[str, str]) -> dict[str, str]:
    """Returns what each is called here; those that can't be are left out."""
    found = {}
    for path in paths:
        try:
            found[path] = RepositoryName.parse(renames.get(path, path))
        except NameInvalid:
            continue
    return dict(found)


def _changed_path(source: WorkSource, change: ObjectChange) -> str | None:
    root = source.root_in(change.bucket)
    if root is None or not change.name.startswith(root):
        return None
    part = names.parse(change.name.removeprefix(root))
    # A layer alone changes nothing that could be pulled; what names it comes after it.
    if isinstance(part, CurrentLink | RevisionLink) and part.repository != names.GUARD:
        return part.repository
    return None
