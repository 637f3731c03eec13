"""A run is undone: what it removed is put back from the history, as it was, unless somebody has set the tag since.

What comes back is left alone by policies for as long as what is deleted can be put back: it would else push others out.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from functions.registry.metadata.db import ChangeRefused, Database, Followed, Session
from functions.registry.metadata.history import restoring
from functions.registry.metadata.history.restoring import NothingToRestore, Wanted
from functions.registry.metadata.retention import facts, progress, verdicts
from functions.registry.metadata.retention.verdicts import Ending
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

# Tags that are looked at together, of as many repositories.
_TOGETHER: Final = 50

_Ended = tuple[Ending, str | None]
_TAKEN: Final[_Ended] = ("taken", "somebody has set it since")
_GONE: Final[_Ended] = ("lost", "its repository is gone, or deleted")


class _Here(NamedTuple):
    """A repository's name, None if it is gone or set aside, and which of the tags are there."""

    name: RepositoryName | None
    tags: set[str]


def undo_until(db: Database, run_id: int, deadline: float) -> bool:
    """Puts back what the run removed until all is or the deadline has come; returns which.

    Tag rules hold as for a caller without a role: what they protect now was not to be removed by a policy either.
    """
    while time.monotonic() < deadline:
        removed: list[list[Any]] = db.one_or_none(verdicts.waiting(run_id, _TOGETHER, "removed")) or []
        if not removed:
            db.batch(progress.finishing(run_id, "undone", "tags.restore", "restored"))
            return True
        for repository_id, rows in groupby(removed, itemgetter(0)):
            tags = {tag: Digest.parse(digest) for _, tag, _, _, digest in rows}
            here = _look(db, repository_id, list(tags))
            ended = {
                (repository_id, tag): _TAKEN
                if tag in here.tags
                else _restore(db, repository_id, here.name, tag, digest)
                for tag, digest in tags.items()
            }
            db.batch([verdicts.ending(run_id, ended)])
    return False


def _look(db: Database, repository_id: int, tags: list[str]) -> _Here:
    return db.transaction(partial(_find, repository_id=repository_id, tags=tags))


def _find(session: Session, repository_id: int, tags: list[str]) -> _Here:
    situation = facts.situations(session, [repository_id]).get(repository_id)
    entries = facts.of_tags(session, [repository_id] * len(tags), tags)
    is_here = situation is not None and "@" not in situation.name
    return _Here(RepositoryName(situation.name) if situation and is_here else None, {entry[0] for _, entry in entries})


def _restore(db: Database, repository_id: int, name: RepositoryName | None, tag: str, digest: Digest) -> _Ended:
    """Restores a tag as one that must not be there yet, so that no push that comes first is overwritten."""
    if name is None:
        return _GONE
    try:
        restoring.restore(db, Wanted(name, Tag(tag), digest, new_tags=[Tag(tag)]))
    except (NothingToRestore, ChangeRefused, Followed) as refused:
        return _TAKEN if _look(db, repository_id, [tag]).tags else ("lost", str(refused))
    return "restored", None
