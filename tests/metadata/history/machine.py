"""Random steps against everything that can be put back: is each byte of it there, and does it come back?

What is deleted is a promise, with all that it needs, until its window ends; after each step every promise is looked at.
`python -m tests.metadata.history.machine --steps 100000` runs it for long.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.content import blobs, manifests, moves, pushes, removal, tags
from functions.registry.metadata.content.manifests import ListedByIndex
from functions.registry.metadata.content.pushes import Push, ReferenceMissing
from functions.registry.metadata.db import Database
from functions.registry.metadata.history import deleted, ending, purging, restoring
from functions.registry.metadata.history.deleted import NameTaken, NotDeleted
from functions.registry.metadata.history.restoring import NothingToRestore, Wanted
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from tests.machines import QUEUES, collecting, run_for_long
from tests.metadata.build import artifact_of, pass_time, push_blob, put, query, set_grace
from tests.races.invariants import WRONG
from tests.support import Image, index_of

# Of hours.
WINDOW: Final = 168
# A promise is kept a little shorter than it was made: the machine counts whole hours.
_SPARE: Final = 0.5
_TAGS: Final = ("v1", "v2", "v3", "latest")
_CONFIGS: Final = tuple(b'{"config": %d}' % number for number in range(4))
_LAYERS: Final = tuple(b"layer %d" % number for number in range(6))
# A manifest here holds every blob, and from here they are mounted: an upload would take ten times as long.
_POOL: Final = RepositoryName("pool/blobs")

_HELD: Final = """
    SELECT repository_id, digest, payload, 'manifest' FROM manifests
    UNION ALL SELECT repository_id, digest, payload, 'manifest' FROM withdrawn_manifests WHERE until > now()
    UNION ALL SELECT repository_id, digest, NULL, 'blob' FROM repository_blobs JOIN blobs USING (digest)
               WHERE NOT EXISTS (SELECT FROM deletions WHERE deletions.object_name = blobs.object_name)
"""
_IN: Final = "SELECT id FROM repositories WHERE name = :name"
_MANIFESTS_OF: Final = """
    SELECT manifests.digest, payload, subject FROM manifests JOIN repositories ON repositories.id = repository_id
     WHERE repositories.name = :name ORDER BY digest
"""
_TAGS_OF: Final = """
    SELECT tags.name, manifests.digest FROM tags
      JOIN manifests ON manifests.id = manifest_id JOIN repositories ON repositories.id = tags.repository_id
     WHERE repositories.name = :name ORDER BY tags.name
"""
# Clients may delete a layer that only something deleted holds: promises are looked at one by one.
_WRONG: Final = {what: sql for what, sql in WRONG.items() if not what.startswith("what a withdrawn manifest held")}
_LEFT: Final = """
    SELECT (SELECT count(*) FROM manifests JOIN repositories ON repositories.id = repository_id
             WHERE repositories.name <> :pool)
           + (SELECT count(*) FROM withdrawn_manifests)
           + (SELECT count(*) FROM tag_reviews) + (SELECT count(*) FROM manifest_reviews)
           + (SELECT count(*) FROM repositories WHERE deleted_at IS NOT NULL)
           + (SELECT count(*) FROM repository_blobs JOIN repositories ON repositories.id = repository_id
               WHERE repositories.name <> :pool)
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """What comes back until `until`: a tag, or without one a manifest; with all manifests and blobs that it reaches."""

    until: float
    repository_id: int
    tag: str | None
    digest: Digest
    manifests: frozenset[bytes]
    blobs: frozenset[bytes]
    with_repository: bool = False


class Machine:
    """One registry and its promises. `step` raises AssertionError once one of them is broken."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._chance = random.Random(seed)  # noqa: S311  # no secret
        self._names = [RepositoryName(name) for name in ("team/a", "team/b", "other/c")]
        self._now = 0.0
        self._promises: list[Promise] = []
        self.log: list[str] = []
        self._restored = 0
        self._steps: dict[Callable[[RepositoryName], None], int] = {
            self._push_image: 4,
            self._push_index: 2,
            self._push_referrer: 1,
            self._sign: 1,
            self._retag: 2,
            self._delete_tag: 4,
            self._delete_manifest: 3,
            self._delete_repository: 1,
            self._put_back: 1,
            self._restore: 5,
            self._purge: 1,
            self._move: 1,
            self._delete_layer: 1,
            self._change_settings: 1,
            self._wait: 5,
            self._collect: 5,
        }
        set_grace(database, undo=WINDOW, push=0, untag=0, cascade=0, upload=0, lease=0, unlink=0, delete=1)
        for content in (*_CONFIGS, *_LAYERS):
            push_blob(database, _POOL, content)
        put(database, _POOL, Image(_CONFIGS[0], (*_CONFIGS[1:], *_LAYERS)).manifest, "all")

    def step(self, number: int) -> None:
        [act] = self._chance.choices(list(self._steps), list(self._steps.values()))
        name = self._chance.choice(self._names)
        self.log = [*self.log[-30:], f"{number}: {act.__name__.removeprefix('_')} {name}"]
        act(name)
        self._check()
        if number % 10 == 0:
            for what, sql in _WRONG.items():
                assert not (rows := query(self._database, sql)), (what, rows)

    def end(self) -> None:
        """Everything is untagged and nothing can be put back: then nothing is left."""
        query(self._database, "UPDATE repositories SET keep_untagged = false, grace = NULL")
        for name in self._names:
            for tag, _ in query(self._database, _TAGS_OF, name=name):
                tags.delete(self._database, name, Tag(tag))
        for _ in range(12):
            pass_time(self._database, WINDOW + 2)
            self._collect(self._names[0], everything=True)
        assert query(self._database, _LEFT, pool=_POOL) == [[0]]

    def told(self) -> dict[str, int]:
        return {"restored": self._restored}

    # ---- what the registry holds

    def _id(self, name: RepositoryName) -> int | None:
        found = query(self._database, _IN, name=name)
        return found[0][0] if found else None

    def _pick(self, name: RepositoryName) -> tuple[Digest, bytes] | None:
        found = query(self._database, _MANIFESTS_OF, name=name)
        if not found:
            return None
        digest, payload, _ = self._chance.choice(found)
        return Digest.from_bytes(digest), payload

    def _reached(self, name: RepositoryName, top: Digest) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """The manifests that belong to it, down to what they list and what refers to them, and the blobs they have."""
        here = {Digest.from_bytes(digest): (payload, subject) for digest, payload, subject in self._all(name)}
        found: set[Digest] = set()
        left = [top]
        while left:
            digest = left.pop()
            if digest in found or digest not in here:
                continue
            found.add(digest)
            left += parse_manifest(here[digest][0], None).child_digests
            left += [other for other, (_, subject) in here.items() if subject == digest.to_bytes()]
        named = {blob for digest in found for blob in parse_manifest(here[digest][0], None).required_blobs}
        return frozenset(each.to_bytes() for each in found), frozenset(each.to_bytes() for each in named)

    def _all(self, name: RepositoryName) -> list[list[Any]]:
        return query(self._database, _MANIFESTS_OF, name=name)

    def _promise(self, name: RepositoryName, tag: str | None, digest: Digest) -> Promise | None:
        repository_id = self._id(name)
        if repository_id is None:
            return None
        return Promise(self._now + WINDOW - _SPARE, repository_id, tag, digest, *self._reached(name, digest))

    def _check(self) -> None:
        self._promises = [promise for promise in self._promises if promise.until > self._now]
        held: dict[tuple[int, bytes, str], bytes | None] = {
            (repository_id, digest, kind): payload
            for repository_id, digest, payload, kind in query(self._database, _HELD)
        }
        for promise in self._promises:
            for digest in promise.manifests:
                payload = held.get((promise.repository_id, digest, "manifest"))
                assert payload is not None, f"{Digest.from_bytes(digest)} of {promise} is lost"
                assert Digest.of(payload).to_bytes() == digest
            for digest in promise.blobs:
                assert (promise.repository_id, digest, "blob") in held, f"{Digest.from_bytes(digest)} is lost"

    # ---- what clients do

    def _put(self, name: RepositoryName, payload: bytes, *tagged: str) -> None:
        push = Push(name, Digest.of(payload), parse_manifest(payload, None), payload, [Tag(tag) for tag in tagged])
        try:
            pushes.put(self._database, push)
        except ReferenceMissing:
            self.log[-1] += ", missing"

    def _some_tag(self) -> list[str]:
        return [self._chance.choice(_TAGS)] if self._chance.random() < 0.7 else []

    def _mount(self, name: RepositoryName, image: Image) -> None:
        for content in image.blobs:
            assert blobs.mount(self._database, name, Digest.of(content), _POOL)

    def _push_image(self, name: RepositoryName) -> None:
        more = self._chance.choice([{}, {"annotations": {"number": str(self._chance.randrange(3))}}])
        image = Image(self._chance.choice(_CONFIGS), tuple(self._chance.sample(_LAYERS, 2)), more)
        self._mount(name, image)
        self._put(name, image.manifest, *self._some_tag())

    def _push_index(self, name: RepositoryName) -> None:
        children = [found[1] for found in (self._pick(name), self._pick(name)) if found]
        if children:
            self._put(name, index_of(*children), *self._some_tag())

    def _push_referrer(self, name: RepositoryName) -> None:
        if found := self._pick(name):
            self._put(name, artifact_of(found[1], mediaType="application/vnd.oci.image.manifest.v1+json"))

    def _sign(self, name: RepositoryName) -> None:
        if found := self._pick(name):
            image = Image(_CONFIGS[0], (), {"annotations": {"signs": str(found[0])}})
            self._mount(name, image)
            self._put(name, image.manifest, f"{found[0]}.sig".replace(":", "-"))

    def _retag(self, name: RepositoryName) -> None:
        if found := self._pick(name):
            self._put(name, found[1], self._chance.choice(_TAGS))

    def _delete_tag(self, name: RepositoryName) -> None:
        found = query(self._database, _TAGS_OF, name=name)
        if not found:
            return
        tag, digest = self._chance.choice(found)
        promise = self._promise(name, tag, Digest.from_bytes(digest))
        assert tags.delete(self._database, name, Tag(tag))
        self._promises += [promise] if promise else []

    def _delete_manifest(self, name: RepositoryName) -> None:
        found = self._pick(name)
        if found is None:
            return
        promise = self._promise(name, None, found[0])
        try:
            assert manifests.delete(self._database, name, found[0])
        except ListedByIndex:
            return
        self._promises += [promise] if promise else []

    def _delete_repository(self, name: RepositoryName) -> None:
        made = [self._promise(name, tag, Digest.from_bytes(digest)) for tag, digest in self._tags(name)]
        if removal.remove(self._database, name) is not None:
            self._promises += [replace(promise, with_repository=True) for promise in made if promise]

    def _tags(self, name: RepositoryName) -> list[list[Any]]:
        return query(self._database, _TAGS_OF, name=name)

    def _put_back(self, name: RepositoryName) -> None:
        try:
            deleted.put_back(self._database, name)
        except (NotDeleted, NameTaken) as nothing:
            self.log[-1] += f", {type(nothing).__name__}"
            return
        # That is kept: from now on its tags are as all others.
        back = self._id(name)
        self._promises = [each for each in self._promises if (each.repository_id, each.with_repository) != (back, True)]

    def _restore(self, name: RepositoryName) -> None:
        """What was promised of a repository that is there comes back, by tag or by digest, byte for byte."""
        here = [promise for promise in self._promises if promise.repository_id == self._id(name)]
        if not here:
            return
        promise = self._chance.choice(here)
        if [promise.tag, promise.digest.to_bytes()] in self._tags(name):
            return  # its repository was put back, or somebody else has put it back
        if promise.tag is not None:
            wanted = Wanted(name, Tag(promise.tag), promise.digest)
        elif promise.digest.to_bytes() in {digest for digest, _, _ in self._all(name)}:
            return  # somebody has pushed it since
        else:
            wanted = Wanted(name, digest=promise.digest)
        try:
            restoring.restore(self._database, wanted)
        except NothingToRestore as nothing:
            raise AssertionError(f"{promise}: {nothing}") from nothing
        self._restored += 1
        assert promise.manifests <= {digest for digest, _, _ in self._all(name)} | self._withdrawn(name)
        if promise.tag is not None:
            assert [promise.tag, promise.digest.to_bytes()] in self._tags(name)

    def _withdrawn(self, name: RepositoryName) -> set[bytes]:
        """Referrers that were deleted by their own digests come back by these."""
        rows = query(
            self._database, "SELECT digest FROM withdrawn_manifests WHERE repository_id = :id", id=self._id(name)
        )
        return {digest for (digest,) in rows}

    def _purge(self, name: RepositoryName) -> None:
        """Whoever purges wants nothing of it back."""
        repository_id = self._id(name)
        if self._chance.random() < 0.3 and purging.purge(self._database, name, None) is not None:
            self._promises = [promise for promise in self._promises if promise.repository_id != repository_id]

    def _move(self, name: RepositoryName) -> None:
        new = RepositoryName(f"moved/r{self._chance.randrange(3)}")
        try:
            moves.move(self._database, name, new, with_below=False, dry_run=False)
        except (moves.NameTaken, moves.NothingToMove):
            return
        self._names[self._names.index(name)] = new

    def _delete_layer(self, name: RepositoryName) -> None:
        """A client may, if nothing names it: then what needed it can't be put back, and says so."""
        digest, repository_id = Digest.of(self._chance.choice(_LAYERS)), self._id(name)
        try:
            is_gone = blobs.delete(self._database, name, digest)
        except blobs.NamedByManifests:
            return
        if is_gone:
            self._promises = [
                promise
                for promise in self._promises
                if promise.repository_id != repository_id or digest.to_bytes() not in promise.blobs
            ]

    def _change_settings(self, name: RepositoryName) -> None:
        query(
            self._database,
            "UPDATE repositories SET keep_untagged = :keeps, grace = CAST(:grace AS interval) WHERE name = :name",
            keeps=self._chance.random() < 0.3,
            grace=self._chance.choice([None, "0", "30 days"]),
            name=name,
        )

    # ---- what happens by itself

    def _wait(self, _: RepositoryName) -> None:
        hours = self._chance.choice([1, 12, 24, 48, 100, 167])
        pass_time(self._database, hours)
        self._now += hours

    def _collect(self, _: RepositoryName, *, everything: bool = False) -> None:
        """Some of the collectors, as one that is killed between two batches leaves it."""
        with told.telling(told.COLLECTION):
            collectors: list[Callable[[], int]] = [
                partial(ending.end_withdrawn, self._database, 500),
                partial(ending.end_repository, self._database, 500),
                *(collecting(self._database, queue) for queue in QUEUES),
            ]
            for collect in collectors:
                while (everything or self._chance.random() < 0.8) and collect():
                    pass


if __name__ == "__main__":
    run_for_long(Machine)
