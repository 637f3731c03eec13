"""One pass over a repository of another registry: its tags as they are there now, and whatever is missing here.

A pass may be ended at any point and gone on with by another worker: the cursor is the last tag that was applied. A pass
over a repository of which nothing changed asks for each tag's digest, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from functions.migrate.imports.remote import lists
from functions.migrate.imports.remote.blobs import Place
from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import (
    AnswerInvalid,
    RemoteMissing,
    RemoteResting,
    RemoteUnavailable,
    TimeOver,
)
from functions.migrate.imports.remote.manifests import Copied, ManifestCopy
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.remote import copied_tags, copies
from functions.registry.metadata.imports.remote.copied_tags import Stretch, TagsApplied
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.name import Tag
from functions.registry.wiring import Services

AT_ONCE: Final = 8
_STRETCH: Final = 200
# After every name of a tag.
_END: Final = "~"
_REFERRERS: Final = "referrers:"


@dataclass(frozen=True, slots=True)
class Choices:
    """How a source is copied: whether what is deleted there stays here, and how many names a page of a list has."""

    keeps_deleted: bool = False
    page_size: int = lists.PAGE_SIZE


@dataclass(slots=True)
class Passed:
    """What a pass did; `tags` are how many there are."""

    copied: Copied = field(default_factory=Copied)
    tags: int = 0
    changed: int = 0

    @property
    def is_nothing(self) -> bool:
        return self.copied.is_nothing and not self.changed


@dataclass(frozen=True, slots=True)
class Keeping:
    """`cursor` is where the pass goes on; `save` keeps the next one, and `note` is told of each problem."""

    cursor: str
    save: Callable[[str], None]
    note: Callable[[Problem], None]


class RepositoryPass:
    """Raises what RemoteUnavailable is for where the registry fails, and leaves out what it can't have."""

    def __init__(
        self,
        services: Services,
        remote: Remote,
        place: Place,
        theirs: Claim,
        choices: Choices,
        keeping: Keeping,
    ) -> None:
        self._services, self._remote, self._theirs, self._choices = services, remote, theirs, choices
        self._place, self._keeping = place, keeping
        self._note, self._save = keeping.note, keeping.save
        self.passed = Passed()

    def run(self) -> Passed:
        """Raises Overtaken, TimeOver and RemoteUnavailable, after which the next pass goes on from the cursor."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            copy = ManifestCopy(self._services, self._remote, self._place, pool, self._note)
            self.passed.copied = copy.copied
            cursor = self._keeping.cursor
            if not cursor.startswith(_REFERRERS):
                self._pass_tags(copy, pool, cursor)
                cursor = _REFERRERS
                self._save(cursor)
            self._pass_referrers(copy, cursor.removeprefix(_REFERRERS))
        self._save("")
        return self.passed

    def _pass_tags(self, copy: ManifestCopy, pool: ThreadPoolExecutor, after: str) -> None:
        names = sorted(self._tags())
        self.passed.tags = len(names)
        left = [name for name in names if name > after]
        for first in range(0, len(left) or 1, _STRETCH):
            some = left[first : first + _STRETCH]
            upto = _END if first + _STRETCH >= len(left) else str(some[-1])
            found = zip(some, pool.map(self._head, some), strict=True)
            heads = {tag: digest for tag, digest in found if digest is not None}
            copy.know(list(heads.values()))
            gone = self._gone(after, heads)
            listed = {tag: digest for tag, digest in heads.items() if tag in gone or copy.bring(digest)}
            applied = copied_tags.apply(
                self._services.database,
                self._theirs,
                Stretch(after, upto, listed, frozenset(some) - frozenset(listed)),
                removes=not self._choices.keeps_deleted,
            )
            self._tell(applied)
            after = upto
            self._save(after)

    def _gone(self, after: str, heads: dict[Tag, Digest]) -> set[Tag]:
        """Returns tags whose manifest somebody deleted here: it isn't brought again for what is no news there."""
        database, name = self._services.database, self._place.name
        unchanged = copied_tags.unchanged(database, self._theirs, after, heads)
        here = copies.present_manifests(database, name, [heads[tag] for tag in unchanged])
        deleted = copies.deleted_manifests(database, name, list(heads.values()))
        return {tag for tag, digest in heads.items() if digest in deleted or (tag in unchanged and digest not in here)}

    def _tags(self) -> Iterator[Tag]:
        try:
            for name in lists.tags(self._remote, self._theirs.path, self._choices.page_size):
                try:
                    yield Tag.parse(name)
                except ManifestInvalid:
                    self._note(Problem(self._theirs.path, "tag", ascii(name)[1:-1][:300], "tag_name"))
        except RemoteMissing:
            # Not a repository any more, or none with a tag: what was copied of it stays as the rule has it.
            return

    def _head(self, tag: Tag) -> Digest | None:
        path = self._theirs.path
        try:
            digest = self._remote.head(path, tag).digest
            if digest is None:
                payload, _ = self._remote.manifest(path, tag, self._services.settings.largest_manifest_bytes)
                digest = Digest.of(payload)
        except RemoteMissing:
            self._note(Problem(path, "tag", str(tag), "manifest_missing", "listed, and not there"))
        except AnswerInvalid as error:
            self._note(Problem(path, "tag", str(tag), "unreadable", str(error)))
        except (TimeOver, RemoteResting):
            raise
        except RemoteUnavailable:
            # The registry as a whole, or this one tag?
            self._remote.greet()
            self._note(Problem(path, "tag", str(tag), "unreadable", "the other registry can't show it"))
        else:
            return digest
        return None

    def _tell(self, applied: TagsApplied) -> None:
        self.passed.changed += applied.changed
        for name in applied.conflicts:
            self._note(Problem(self._theirs.path, "tag", name, "conflict", "changed there and here: ours stays"))
        for name in applied.refused:
            self._note(Problem(self._theirs.path, "tag", name, "conflict", "a rule of this registry keeps it"))

    def _pass_referrers(self, copy: ManifestCopy, after: str) -> None:
        """Brings the referrers of all that is here, and of what that brings; nothing where the other registry has no
        such list.
        """
        last = Digest.parse(after) if after else None
        asked: set[Digest] = set()
        while page := copies.manifests_after(self._services.database, self._place.name, last, _STRETCH):
            todo = list(page)
            while todo:
                subject = todo.pop()
                found = lists.referrers(self._remote, self._theirs.path, subject) if subject not in asked else []
                if found is None:
                    return
                asked.add(subject)
                copy.know(found)
                todo += [digest for digest in found if digest not in asked and copy.bring(digest)]
            last = page[-1]
            self._save(f"{_REFERRERS}{last}")
