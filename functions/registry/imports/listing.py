"""The listing of an old registry's repositories, taken apart into them: an object's own folders lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from functions.registry.imports import links, names
from functions.registry.imports.names import BlobData, Stray, shown
from functions.registry.imports.places import Place, walk
from functions.registry.imports.repository import Gathering, OldRepository
from functions.registry.metadata.imports.vocabulary import Problem


@dataclass(frozen=True, slots=True)
class Listed:
    """One repository, or none where there are but strays that lie in no repository's folders.

    `last` is the name of the last object: whoever goes on behind it misses nothing, and sees nothing twice.
    """

    repository: OldRepository | None
    strays: list[Problem]
    last: str


def repositories(
    place: Place, root: str, after: str = "", before: str = "", *, is_repairing: bool = True
) -> Iterator[Listed]:
    """Yields each repository between the two names. `root` ends in `docker/registry/v2/`; names are those in the
    place.
    """
    gathering: Gathering | None = None
    strays: list[Problem] = []
    last = ""
    for stored in walk(place, root + names.REPOSITORIES, after, before):
        part = names.parse(stored.name.removeprefix(root))
        if isinstance(part, BlobData) or part.repository == names.GUARD:
            continue
        if isinstance(part, Stray) and not part.repository:
            # Between two folders of a repository it does not end that.
            strays.append(Problem("", "object", shown(stored.name.removeprefix(root)), "stray"))
        else:
            if gathering is not None and gathering.repository.name != part.repository:
                yield Listed(gathering.finish(), strays, last)
                gathering, strays = None, []
            if gathering is None:
                gathering = Gathering(OldRepository(part.repository), root, _reader(place), is_repairing)
            gathering.add(stored, part)
        last = stored.name
    if last:
        yield Listed(gathering.finish() if gathering is not None else None, strays, last)


def repository(place: Place, root: str, name: str, *, is_repairing: bool = True) -> OldRepository:
    """Returns what the repository of that name holds now: nothing if there is none."""
    gathering = Gathering(OldRepository(name), root, _reader(place), is_repairing)
    for stored in walk(place, root + names.repository_prefix(name)):
        part = names.parse(stored.name.removeprefix(root))
        if not isinstance(part, BlobData) and part.repository == name:
            gathering.add(stored, part)
    return gathering.finish()


def _reader(place: Place) -> Callable[[str], bytes]:
    return lambda name: place.read(name, links.MOST_BYTES)
