"""What the tables of imports say about something that a client asked for and that isn't here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.opened import OpenSource
from functions.registry.metadata.imports.vocabulary import Mode, RepositoryState
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class Old:
    """A repository of a source. While the source is being listed, and where it decides and the repository came to be
    since, there may be no row of it: then `id` is None.

    `prefix` is None where the source does not lie in this registry's bucket; `is_listed` tells whether all its tags are
    known.
    """

    source_id: int
    address: str
    prefix: str | None
    id: int | None
    path: str
    state: RepositoryState | None
    mode: Mode
    is_listed: bool

    @property
    def is_awaited(self) -> bool:
        """What isn't here may be there. In an imported repository that is so only while its source decides."""
        if self.mode == "follow":
            return self.state not in ("refused", "dropped")
        return self.state in (None, "listed", "importing")


@dataclass(frozen=True, slots=True)
class TagBase:
    """What a tag names in its source as far as that is known, and here; `is_base` if that is the same, and nobody has
    pushed it here. A tag that was deleted here stays so.
    """

    listed: Digest | None
    generation: int | None
    is_deleted: bool
    here: Digest | None
    is_base: bool


# Of the sources that are layouts. One that is only opening, or was paused while it was, gives nothing yet, one that is
# sealed nothing any more.
_FIND: Final = Statement(
    "imports_find_repository",
    Old,
    """
    SELECT source.id, source.address, source.prefix, old.id, coalesce(old.path, asked.path), old.state,
           CASE old.state WHEN 'handed_back' THEN 'follow' ELSE import_mode(source.id, :repository) END,
           coalesce(old.objects > 0 OR old.state NOT IN ('listed', 'importing'), false)
      FROM import_sources AS source
      JOIN unnest(CAST(:source_ids AS bigint[]), CAST(:paths AS text[])) AS asked (source_id, path)
        ON asked.source_id = source.id
      LEFT JOIN import_repositories AS old ON old.source_id = source.id AND old.name = :repository
     WHERE source.state NOT IN ('added', 'opening', 'sealing', 'sealed') AND source.kind = 'layout'
       AND (source.state <> 'paused' OR source.listed_at IS NOT NULL
            OR EXISTS (SELECT FROM import_ranges WHERE import_ranges.source_id = source.id))
       AND (old.id IS NOT NULL
            OR (asked.path IS NOT NULL
                AND (source.listed_at IS NULL OR import_mode(source.id, :repository) = 'follow')))
     ORDER BY old.id IS NULL, source.id
    """,
)

_TAG: Final = Statement(
    "imports_find_tag",
    TagBase,
    """
    SELECT listed.digest, listed.generation,
           EXISTS (SELECT FROM import_deleted AS gone WHERE gone.repository = :repository AND gone.tag = :tag
                                                       AND gone.digest = ''),
           manifests.digest,
           coalesce(manifests.digest = listed.digest AND tags.updated_at = listed.updated_at, false)
      FROM (SELECT CAST(:import_id AS bigint) AS id) AS old
      LEFT JOIN import_tags AS listed ON listed.import_id = old.id AND listed.name = :tag
      LEFT JOIN repositories AS here ON here.name = :repository
      LEFT JOIN tags ON tags.repository_id = here.id AND tags.name = :tag
      LEFT JOIN manifests ON manifests.id = tags.manifest_id
    """,
)

_DELETED: Final = Statement(
    "imports_find_deleted",
    int,
    """
    SELECT 1 FROM import_deleted WHERE repository = :repository AND tag = '' AND digest = :digest
    """,
)

_REFUSE_FOLLOWED: Final = Statement("imports_refuse_followed", int, "SELECT 1 FROM refuse_followed(:repository)")


def find(db: Database, repository: RepositoryName, sources: list[OpenSource]) -> list[Old]:
    """Tells where the repository of that name may lie: one row of a source, or each source that isn't listed to its end
    yet, or decides about that name.
    """
    found = db.all(
        _FIND(
            repository=repository,
            source_ids=[source.id for source in sources],
            paths=[_path(source, repository) for source in sources],
        )
    )
    return found[:1] if found and found[0].id is not None else found


def find_tag(db: Database, old: Old, repository: RepositoryName, tag: Tag) -> TagBase:
    return db.all(_TAG(import_id=old.id, repository=repository, tag=tag))[0]


def is_deleted(db: Database, repository: RepositoryName, digest: Digest) -> bool:
    """Says whether somebody deleted the manifest or the blob here, so that it must not come back."""
    return db.one_or_none(_DELETED(repository=repository, digest=digest)) is not None


def refuse_followed(db: Database, repository: RepositoryName) -> None:
    """Raises Followed if the source decides about the repository of that name."""
    db.all(_REFUSE_FOLLOWED(repository=repository))


def _path(source: OpenSource, repository: RepositoryName) -> str | None:
    """Returns what the repository is called there; None if what is called so there gets another name here."""
    for path, name in source.renames.items():
        if name == repository:
            return path
    return None if repository in source.renames else str(repository)
