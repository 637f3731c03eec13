"""Some claimed repositories of a source, as its listing shows them now: what is imported together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from functions.migrate.imports.pace import Pace
from functions.registry.imports import listing
from functions.registry.imports.names import shown
from functions.registry.imports.origin import Blobs, Origin
from functions.registry.imports.repository import OldRepository
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports.bulk.bulk_steps import Target
from functions.registry.metadata.imports.bulk.last_steps import Done
from functions.registry.metadata.imports.claims import Claim, WorkSource
from functions.registry.metadata.imports.vocabulary import ListedTag, Problem, ProblemKind, Reason
from functions.registry.oci.digest import Digest

_MOST_TAGS_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker has for one source: where it lies, and how much goes on at once."""

    source: WorkSource
    origin: Origin
    blobs: Blobs
    database: Database
    pool: Executor
    pace: Pace
    largest_manifest_bytes: int


@dataclass(slots=True)
class Member:
    """A claimed repository with what its source has of it.

    `left_out` counts manifests that are not to come; `refused` are those that can't be taken.
    """

    claim: Claim
    old: OldRepository
    left_out: int = 0
    problems: dict[tuple[ProblemKind, str], Problem] = field(default_factory=dict)
    refused: set[Digest] = field(default_factory=set)
    _tags: dict[Digest, list[str]] | None = None

    @property
    def is_empty(self) -> bool:
        """Only an upload was begun there, or it has gone since."""
        return not (self.old.tags or self.old.revisions or self.old.layers)

    def note(self, kind: ProblemKind, key: str, reason: Reason, detail: str = "") -> None:
        """The first thing that is said about it stays."""
        self.problems.setdefault((kind, key), Problem(shown(self.claim.path), kind, key, reason, detail))

    def refuse(self, digest: Digest, reason: Reason, detail: str) -> None:
        self.refused.add(digest)
        tags = self.tags_of(digest)
        named = f"named by {', '.join(tags[:_MOST_TAGS_TOLD])}{', …' if len(tags) > _MOST_TAGS_TOLD else ''}"
        self.note("manifest", str(digest), reason, "; ".join(filter(None, (detail, named if tags else ""))))

    def tags_of(self, digest: Digest) -> list[str]:
        if self._tags is None:
            self._tags = defaultdict(list)
            for tag in self.old.tags.values():
                self._tags[tag.digest].append(tag.name)
        return self._tags.get(digest, [])


class Batch:
    """The members by the ids of their claims. Those that turn out to be somebody else's are left out."""

    def __init__(self, work: Work, members: Iterable[Member], listed_at: datetime) -> None:
        self.work = work
        self.members = {member.claim.id: member for member in members}
        self.listed_at = listed_at

    def targets(self) -> list[Target]:
        return [
            Target(
                id=member.claim.id,
                lease=member.claim.lease,
                name=member.claim.name,
                created_at=member.old.oldest or self.listed_at,
                keeps_untagged=self.work.source.untagged == "keep",
            )
            for member in self.members.values()
        ]

    def part(self, is_of_it: Callable[[Member], bool]) -> Batch:
        return Batch(self.work, filter(is_of_it, self.members.values()), self.listed_at)

    def take_empty(self) -> list[Done]:
        """Leaves out the members of which nothing is there, and nothing is here."""
        empty = self.part(lambda member: member.is_empty and member.claim.repository_id is None)
        self.keep(self.members.keys() - empty.members.keys())
        return empty.done()

    def keep(self, left: set[int]) -> None:
        self.members = {id_: member for id_, member in self.members.items() if id_ in left}

    def bases(self) -> list[tuple[int, ListedTag]]:
        return [(id_, tag) for id_, member in self.members.items() for tag in member.old.tags.values()]

    def problems(self) -> list[Problem]:
        return [problem for member in self.members.values() for problem in member.problems.values()]

    def aliases(self) -> dict[Digest, Digest]:
        return {digest: named for member in self.members.values() for digest, named in member.old.aliases.items()}

    def done(self) -> list[Done]:
        return [
            Done(
                id=member.claim.id,
                lease=member.claim.lease,
                tags=len(member.old.tags),
                manifests=len(member.old.revisions),
                left_out=member.left_out,
                links=len(member.old.layers),
                objects=member.old.objects,
                oldest=member.old.oldest,
                newest=member.old.newest,
                compared_at=self.listed_at,
            )
            for member in self.members.values()
        ]


def list_batch(work: Work, claims: Iterable[Claim]) -> Batch:
    """Lists each one's folders anew: one request for most of them."""
    listed_at = datetime.now(UTC)

    def member(claim: Claim) -> Member:
        old = listing.repository(work.origin.place, work.origin.root, claim.path, is_repairing=work.source.is_repairing)
        found = Member(claim, old)
        for problem in old.problems:
            found.note(problem.kind, problem.key, problem.reason, problem.detail)
        return found

    return Batch(work, work.pool.map(member, claims), listed_at)


def chunks(pairs: Iterable[tuple[int, Digest]], size: int) -> Iterator[list[tuple[int, Digest]]]:
    chunk: list[tuple[int, Digest]] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
