"""What a registry must hold after a history of pushes and deletions: nothing in it knows how the registry does so.

The model can't tell when a GC run takes what is garbage, so what it knows to be there is brought up to what is
observed after each step. What it can tell is what must still be there, and what can't be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from functions.registry.oci.digest import Digest
from tests.support import Image, descriptor, encode, index_of

# Few of each, so that much is shared, and what one step does concerns another. One content has no byte.
REPOSITORIES: Final = ("one/a", "one/b")
TAGS: Final = ("latest", "v1")
CONTENTS: Final = (b"", b"the base", b"an application")
CONFIGS: Final = tuple(encode({"config": number}) for number in range(2))
DEFAULT_GRACE: Final = {"upload": 24.0, "push": 24.0, "untag": 24.0, "cascade": 12.0, "lease": 24.0}
UPLOAD_HOURS: Final = 24.0


@dataclass(frozen=True)
class Document:
    """A manifest and all that a client pushes before it. Two of the same bytes are the same."""

    name: str = field(compare=False)
    payload: bytes
    blobs: tuple[bytes, ...] = field(default=(), compare=False)
    children: tuple[Document, ...] = field(default=(), compare=False)
    subject: Document | None = field(default=None, compare=False)

    @cached_property
    def digest(self) -> Digest:
        return Digest.of(self.payload)

    @cached_property
    def blob_digests(self) -> tuple[Digest, ...]:
        return tuple(map(Digest.of, self.blobs))

    def tree(self) -> Iterator[Document]:
        """Itself, what it lists, what that lists, and so on."""
        yield self
        for child in self.children:
            yield from child.tree()

    def __repr__(self) -> str:
        return self.name


def image(config: int, *layers: int) -> Document:
    content = Image(CONFIGS[config], tuple(CONTENTS[layer] for layer in layers))
    return Document(f"image{config}{''.join(map(str, layers))}", content.manifest, content.blobs)


IMAGES: Final = (image(0, 1, 2), image(1, 1), image(0, 0))


def referrer(subject: Document, config: int) -> Document:
    """A signature, a bill of materials: an image with a subject."""
    content = Image(CONFIGS[config], (CONTENTS[2],), {"subject": descriptor(subject.payload)})
    return Document(f"referrer{config}({subject})", content.manifest, content.blobs, subject=subject)


def index(children: Iterable[Document], subject: Document | None) -> Document:
    listed = tuple(children)
    more = {} if subject is None else {"subject": descriptor(subject.payload)}
    payload = index_of(*(child.payload for child in listed), **more)
    name = f"index({', '.join(map(str, listed))}{f'; of {subject}' if subject else ''})"
    return Document(name, payload, children=listed, subject=subject)


@dataclass(frozen=True)
class Observed:
    """The rows of a registry. `links` tells the object of each, `known` are all objects that any row names."""

    manifests: set[tuple[str, Digest]]
    tags: dict[tuple[str, str], Digest]
    links: dict[tuple[str, Digest], str]
    known: set[str]


@dataclass
class _Promise:
    """What was pushed is kept for its whole grace; what was looked for, `until` a time that settings may change."""

    pushed_until: float = 0.0
    since: float = 0.0
    until: float = 0.0


@dataclass
class Model:
    """Time is in hours; a digest is a manifest's or a blob's, never both."""

    now: float = 0.0
    manifests: set[tuple[str, Document]] = field(default_factory=set)
    links: set[tuple[str, Digest]] = field(default_factory=set)
    tags: dict[tuple[str, str], Document] = field(default_factory=dict)
    keeping: set[str] = field(default_factory=set)
    grace: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_GRACE))
    own_grace: dict[str, float] = field(default_factory=dict)
    promises: dict[tuple[str, Digest], _Promise] = field(default_factory=dict)
    # How often the two repositories changed their names, and how often each was deleted.
    swaps: int = 0
    deletions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REPOSITORIES, 0))

    def pushed(self, event: str, repository: str, digest: Digest) -> None:
        """The registry took this in, or had it already; `event` names the grace for that."""
        promise = self.promises.setdefault((repository, digest), _Promise())
        grace = self.own_grace.get(repository, self.grace[event])
        promise.pushed_until = max(promise.pushed_until, self.now + grace)

    def looked_for(self, repository: str, digest: Digest) -> None:
        """The registry said that it holds this."""
        promise = self.promises.setdefault((repository, digest), _Promise())
        promise.since, promise.until = self.now, self.now + self._promised_hours(repository)

    def _promised_hours(self, repository: str) -> float:
        """Half a lease; less only where what the thing is held by may go with a shorter grace."""
        grace = dict.fromkeys(self.grace, self.own_grace[repository]) if repository in self.own_grace else self.grace
        return min(grace["lease"] / 2, *grace.values())

    def grace_changed(self) -> None:
        """What was looked for before is promised no more than if it were looked for now."""
        for (repository, _), promise in self.promises.items():
            promise.until = min(promise.until, promise.since + self._promised_hours(repository))

    def is_promised(self, repository: str, digest: Digest) -> bool:
        promise = self.promises.get((repository, digest))
        return promise is not None and self.now < max(promise.until, promise.pushed_until)

    def is_promised_whole(self, repository: str, document: Document) -> bool:
        """All that a push of the manifest needs."""
        needed = (*document.blob_digests, *(child.digest for child in document.children))
        return all(self.is_promised(repository, digest) for digest in needed)

    def put(self, repository: str, document: Document, tag: str | None) -> None:
        self.manifests.add((repository, document))
        if tag is not None:
            self.tags[repository, tag] = document

    def is_complete(self, repository: str, document: Document) -> bool:
        """Says whether all is there that a push of the manifest needs."""
        return all((repository, digest) in self.links for digest in document.blob_digests) and all(
            (repository, child) in self.manifests for child in document.children
        )

    def is_listed(self, repository: str, document: Document) -> bool:
        return any(document in parent.children for parent in self._of(repository))

    def is_named(self, repository: str, digest: Digest) -> bool:
        return any(digest in document.blob_digests for document in self._of(repository))

    def _of(self, repository: str) -> Iterator[Document]:
        return (document for there, document in self.manifests if there == repository)

    def delete_manifest(self, repository: str, document: Document) -> None:
        self.manifests.remove((repository, document))
        self.promises.pop((repository, document.digest), None)
        for key, tagged in list(self.tags.items()):
            if key[0] == repository and tagged == document:
                del self.tags[key]

    def delete_link(self, repository: str, digest: Digest) -> None:
        self.links.remove((repository, digest))
        self.promises.pop((repository, digest), None)

    def swap(self) -> None:
        """Each repository has the other's name now, and all that it had."""
        self.swaps += 1
        self.manifests = {(other(name), document) for name, document in self.manifests}
        self.links = {(other(name), digest) for name, digest in self.links}
        self.tags = {(other(name), tag): document for (name, tag), document in self.tags.items()}
        self.keeping = {other(name) for name in self.keeping}
        self.own_grace = {other(name): hours for name, hours in self.own_grace.items()}
        self.promises = {(other(name), digest): promise for (name, digest), promise in self.promises.items()}
        self.deletions = {other(name): count for name, count in self.deletions.items()}

    def delete_repository(self, repository: str) -> None:
        """There is one of that name again, and nothing in it."""
        self.deletions[repository] += 1
        self.manifests = {key for key in self.manifests if key[0] != repository}
        self.links = {key for key in self.links if key[0] != repository}
        self.tags = {key: document for key, document in self.tags.items() if key[0] != repository}
        self.promises = {key: promise for key, promise in self.promises.items() if key[0] != repository}
        self.keeping.discard(repository)
        self.own_grace.pop(repository, None)

    def reached(self) -> set[tuple[str, Document]]:
        """What tags reach: by what an index lists, and by what refers to it, again and again."""
        reached: set[tuple[str, Document]] = set()
        ahead = [(repository, document) for (repository, _), document in self.tags.items()]
        while ahead:
            repository, document = ahead.pop()
            if (repository, document) not in reached:
                reached.add((repository, document))
                ahead += [(repository, child) for child in document.children]
                ahead += [(repository, other) for other in self._of(repository) if other.subject == document]
        return reached

    def kept(self) -> set[tuple[str, Document]]:
        return {(repository, document) for repository, document in self.manifests if repository in self.keeping}

    def held_manifests(self) -> set[tuple[str, Document]]:
        """All that can't go now."""
        return self._promised() | _trees(self.reached() | self.kept())

    def _promised(self) -> set[tuple[str, Document]]:
        return _trees((name, it) for name, it in self.manifests if self.is_promised(name, it.digest))

    def held_links(self, manifests: set[tuple[str, Document]]) -> set[tuple[str, Digest]]:
        """Given the manifests that can't go."""
        return links_of(manifests) | {key for key in self.links if self.is_promised(*key)}

    def compare(self, observed: Observed, held_before: set[tuple[str, Document]] | None) -> None:
        """What must be there is, and nothing else that can't be; then the model knows no more than what is there.

        If there was a GC run, `held_before` is what it could not take. What was held only later, by a new tag on
        its subject, may have gone just before, unless it was promised.
        """
        held = self.held_manifests()
        if held_before is not None:
            held = held & held_before | self._promised()
        there = {(name, document) for name, document in self.manifests if (name, document.digest) in observed.manifests}
        assert observed.tags == {key: document.digest for key, document in self.tags.items()}
        assert_within(held, there, "manifests are lost")
        assert_within(observed.manifests, {(name, it.digest) for name, it in self.manifests}, "manifests came back")
        assert_within(self.held_links(held), observed.links, "links are lost")
        assert_within(observed.links, self.links, "links came back")
        if held_before is None:
            assert_within(self.manifests, there, "manifests went without a GC run")
            assert_within(self.links, observed.links, "links went without a GC run")
        self.manifests = there
        self.links = set(observed.links)

    def adopt(self, observed: Observed, repository: str, document: Document, tag: str | None) -> None:
        """Takes over what a push did that was broken off: what it did, it did whole."""
        is_tagged = tag is not None and observed.tags.get((repository, tag)) == document.digest
        if tag is not None and (repository, document) not in self.manifests:
            assert is_tagged == ((repository, document.digest) in observed.manifests), "half a push was kept"
        for part in document.tree():
            if (repository, part.digest) in observed.manifests:
                self.manifests.add((repository, part))
            self.links |= {key for key in links_of([(repository, part)]) if key in observed.links}
        if is_tagged:
            self.put(repository, document, tag)


def other(repository: str) -> str:
    return REPOSITORIES[1 - REPOSITORIES.index(repository)]


def _trees(manifests: Iterable[tuple[str, Document]]) -> set[tuple[str, Document]]:
    """Returns them with all that they list."""
    return {(repository, part) for repository, document in manifests for part in document.tree()}


def links_of(manifests: Iterable[tuple[str, Document]]) -> set[tuple[str, Digest]]:
    return {(repository, digest) for repository, document in manifests for digest in document.blob_digests}


def assert_within(some: Iterable[Any], more: Iterable[Any], complaint: str) -> None:
    missing = set(some) - set(more)
    assert not missing, f"{complaint}: {sorted(map(str, missing))}"
