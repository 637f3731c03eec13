"""What the steps of the classic suite share. A step is a name and what it does; it raises what is wrong.

What a later step needs of an earlier one's answer is kept in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import requests

from tests.conformance.classic_client import SUCCESS, Client, expect
from tests.conformance.classic_content import IMAGE, Content, Contents

Step = tuple[str, Callable[[], None]]
# Of a delete in a teardown; what is already gone is taken as well, but not by every version everywhere.
DELETED = (*SUCCESS, 405)
GONE = (*DELETED, 404)
INVALID_TAG = ".INVALID_MANIFEST_NAME"
TAG = "tagtest0"


class Skipped(Exception):
    """A step that makes no sense after what the registry chose to answer before."""


@dataclass
class Run:
    """`automatic_mounts`: what a mount without a source is to give, of what the repository has: "1" 201, "0" 202."""

    client: Client
    version: str
    manifests_first: bool
    automatic_mounts: str
    contents: Contents = field(init=False)
    answers: dict[str, requests.Response] = field(default_factory=dict)
    tags_before: int = 0

    def __post_init__(self) -> None:
        self.contents = Contents(is_1_0=self.is_1_0)

    @property
    def is_1_0(self) -> bool:
        return self.version == "v1.0.1"

    @property
    def other(self) -> str:
        """Where blobs are mounted to."""
        return f"{self.client.repository}-mounted"


def push_blob(run: Run, content: Content) -> Callable[[], None]:
    return lambda: expect(run.client.push(content), *SUCCESS)


def put(run: Run, reference: str, content: Content) -> Callable[[], None]:
    return lambda: expect(run.client.put(reference, content), *SUCCESS)


def ask(run: Run, method: str, rest: str, *statuses: int, digest: str = "") -> Callable[[], None]:
    """Returns a step that asks; with `digest`, an answer that tells one must tell this."""

    def act() -> None:
        answer = run.client.ask(method, rest, headers={"Accept": IMAGE} if "manifests" in rest else {})
        expect(answer, *statuses)
        told = answer.headers.get("Docker-Content-Digest")
        assert not digest or told in (None, digest), f"{told}, not {digest}"

    return act


def teardown(run: Run, manifests: list[Step], blobs: list[Step]) -> list[Step]:
    return [*manifests, *blobs] if run.manifests_first else [*blobs, *manifests]


def delete(run: Run, content: Content, statuses: tuple[int, ...]) -> Callable[[], None]:
    return ask(run, "DELETE", f"manifests/{content.digest}", *statuses)


def delete_blob(run: Run, content: Content) -> Callable[[], None]:
    return ask(run, "DELETE", f"blobs/{content.digest}", *(GONE if run.version == "v1.1.1" else DELETED))


def each(acts: Iterator[Callable[[], None]]) -> Callable[[], None]:
    chosen = list(acts)

    def act() -> None:
        for one in chosen:
            one()

    return act


def count_tags(run: Run) -> None:
    run.tags_before = len(run.client.tags())
