"""A source is listed, in pieces that several workers take: its blobs become ours, its repositories are noted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from functions.migrate.imports.batch import Work
from functions.registry.blobs.objects import StoredObject
from functions.registry.imports import listing, names
from functions.registry.imports.listing import Listed
from functions.registry.imports.names import BlobData, shown
from functions.registry.metadata.db import Session
from functions.registry.metadata.imports import adoption, problems
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.bulk import listed, pieces
from functions.registry.metadata.imports.bulk.listed import ListedRepository
from functions.registry.metadata.imports.bulk.pieces import Range
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

_MOST_REPOSITORIES: Final = 200
_MOST_TAGS: Final = 5000
# The most pieces of a large source; the first letters of a digest are as many.
_MOST_PIECES: Final = 64
_LETTERS: Final = "0123456789abcdef"


class RangeLost(Exception):
    """Another worker has it by now."""


def list_range(work: Work, piece: Range, deadline: float) -> bool:
    """Lists a piece to its end, or until the time is over; then False. Raises BlobStoreUnavailable and RangeLost.

    The whole of a tree is cut into pieces first, unless it is small.
    """
    if not piece.start and not piece.cursor and _cut(work, piece):
        return True
    steps = _list_blobs(work, piece) if piece.tree == "blobs" else _list_repositories(work, piece)
    return all(time.monotonic() <= deadline for _ in steps)


def _cut(work: Work, piece: Range) -> bool:
    """Says whether there are pieces now instead of the whole."""
    origin = work.origin
    tree = origin.root + (names.BLOBS if piece.tree == "blobs" else names.REPOSITORIES)
    if origin.bucket_name is None or origin.place.page(tree).is_last:
        return False
    if piece.tree == "blobs":
        starts = [f"{tree}sha256/{letter}" for letter in _LETTERS[1:]]
    else:
        folders = origin.place.folders(tree)
        starts = folders[:: max(1, len(folders) // _MOST_PIECES)][1:]
    if not starts:
        return False
    edges = [tree, *starts]
    pieces.cut_range(work.database, piece, list(zip(edges, [*starts, None], strict=True)))
    return True


def _list_blobs(work: Work, piece: Range) -> Iterator[None]:
    origin = work.origin
    after, is_last = piece.cursor or piece.start, False
    while not is_last:
        page = origin.place.page(origin.root + names.BLOBS, after, piece.stop or "")
        is_last = page.is_last
        if not page.objects:
            return
        found, strays = _blobs(origin.root, page.objects)
        after = page.objects[-1].name
        cursor = _cursor(after)

        def note(
            session: Session,
            found: list[FoundBlob] = found,
            strays: list[Problem] = strays,
            cursor: str | None = cursor,
        ) -> None:
            _advance(session, piece, cursor)
            # What a collection has in hand is asked for again once something needs it.
            session.batch([*([adoption.adopting(found)] if found else []), *problems.noting(piece.source_id, strays)])

        work.database.transaction(note)
        yield


def _blobs(root: str, objects: list[StoredObject]) -> tuple[list[FoundBlob], list[Problem]]:
    found: list[FoundBlob] = []
    strays: list[Problem] = []
    for stored in objects:
        part = names.parse(stored.name.removeprefix(root))
        if isinstance(part, BlobData):
            found.append(FoundBlob(part.digest, stored.size, stored.name, stored.updated))
        else:
            strays.append(Problem("", "object", shown(stored.name.removeprefix(root)), "stray"))
    return found, strays


def _list_repositories(work: Work, piece: Range) -> Iterator[None]:
    origin = work.origin
    group: list[Listed] = []
    tags = 0
    before = piece.cursor or piece.start
    for each in listing.repositories(
        origin.place,
        origin.root,
        before,
        piece.stop or "",
        is_repairing=work.source.is_repairing,
    ):
        group.append(each)
        tags += len(each.repository.tags) if each.repository is not None else 0
        if len(group) >= _MOST_REPOSITORIES or tags >= _MOST_TAGS:
            _note(work, piece, group, before)
            before, group, tags = group[-1].last, [], 0
            yield
    _note(work, piece, group, before, is_end=True)


def _note(work: Work, piece: Range, group: list[Listed], before: str, *, is_end: bool = False) -> None:
    """Notes what was listed behind the name `before`; at the end all of the piece was."""
    found: dict[str, ListedRepository] = {}
    seen: list[Problem] = []
    taken: set[str] = set()
    for each in group:
        seen += each.strays
        if each.repository is None:
            continue
        listing_of, refused = _named(work, each, taken)
        found[listing_of.path] = listing_of
        seen += [*refused, *each.repository.problems]
    tree = work.origin.root + names.REPOSITORIES
    upto = None if is_end and piece.stop is None else (piece.stop if is_end else group[-1].last) or ""

    def note(session: Session) -> None:
        _advance(session, piece, _cursor(group[-1].last) if group else None)
        known = listed.put(session, piece.source_id, list(found.values()), work.source.opened_at)
        clashes = [
            Problem(each.path, "repository", each.path, "name", "another repository has the name that it would get")
            for each in known
            if each.is_taken
        ]
        if noting := problems.noting(piece.source_id, [*seen, *clashes]):
            session.batch(noting)
        if work.source.is_listed:
            listed.note_vanished(
                session,
                piece.source_id,
                list(found),
                before.removeprefix(tree),
                None if upto is None else upto.removeprefix(tree),
            )

    work.database.transaction(note)


def _named(work: Work, each: Listed, taken: set[str]) -> tuple[ListedRepository, list[Problem]]:
    """Returns the repository with the name that it gets here, or why it gets none."""
    old = each.repository
    assert old is not None and old.oldest is not None and old.newest is not None  # noqa: PT018, S101  # it has objects
    path = shown(old.name)
    name, reason = _name(work.source.renames.get(path, path), old.name == path, taken)
    refused = [] if name is not None else [Problem(path, "repository", path, "name", reason)]
    repository = ListedRepository(
        path=path,
        name=name,
        tags=list(old.tags.values()),
        manifests=len(old.revisions),
        links=len(old.layers),
        objects=old.objects,
        oldest=old.oldest,
        newest=old.newest,
    )
    return repository, refused


def _name(name: str, is_text: bool, taken: set[str]) -> tuple[str | None, str]:
    """Returns None with a reason if it can't be a name here."""
    if not is_text:
        return None, "it is no text that can be a name"
    try:
        RepositoryName.parse(name)
    except NameInvalid as error:
        return None, str(error.reason)
    if name in taken:
        return None, "another repository has the name that it would get"
    taken.add(name)
    return name, ""


def _advance(session: Session, piece: Range, cursor: str | None) -> None:
    if not session.count(pieces.advancing(piece, cursor)):
        raise RangeLost


def _cursor(name: str) -> str | None:
    """Returns None for a name that no text can hold: whoever goes on lists a little twice."""
    return name if shown(name) == name else None
