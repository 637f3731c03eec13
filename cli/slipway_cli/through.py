"""Everything is pulled from the older registry and from this one, as clients pull it, and what comes is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from slipway_cli.client import Client
from slipway_cli.contexts import Registry, address_of, contexts
from slipway_cli.failures import Failed, NotThere
from slipway_cli.healing import MANIFESTS

_PIECE_BYTES: Final = 1 << 20
_SECONDS: Final = (10, 60)
_MOST_TOLD: Final = 100


def older(text: str) -> Client:
    """Returns the registry that was named: a context, a host or an address. Raises Failed."""
    return Client(Registry(address_of(contexts()["contexts"].get(text, text)), "--through-old"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a client is given; `digest` is that of the bytes that came. None stands for what isn't there."""

    media_type: str
    digest: str
    content: bytes = field(repr=False, default=b"")


@dataclass(slots=True)
class Comparison:
    """`checked` things were pulled from both. Of `unshown` ones the older registry itself gave nothing but an error."""

    ours: Client
    theirs: Client
    checked: int = 0
    unshown: int = 0
    found: int = 0
    differences: list[str] = field(default_factory=list)

    def repository(self, path: str, name: str) -> None:
        """Compares all that the tags there lead to; the repository is called `name` here. Raises Away."""
        seen: set[str] = set()
        for tag in self._tags(path):
            left = [("manifests", tag)]
            while left:
                kind, reference = left.pop()
                if reference not in seen:
                    seen.add(reference)
                    left += self._compare(path, name, kind, reference)

    def _tags(self, path: str) -> Iterator[str]:
        try:
            yield from self.theirs.pages(f"/v2/{path}/tags/list", "tags", None, n=1000)
        except NotThere:
            return

    def _compare(self, path: str, name: str, kind: str, reference: str) -> list[tuple[str, str]]:
        """Returns what it leads to."""
        try:
            there = _pull(self.theirs, path, kind, reference)
        except Failed:
            # The registry as a whole, or this one thing?
            if self.theirs.ask_openly("/v2/").status_code >= requests.codes.server_error:
                raise
            self.unshown += 1
            return []
        here = _pull(self.ours, name, kind, reference)
        self.checked += 1
        if here != there:
            self.found += 1
            if len(self.differences) < _MOST_TOLD:
                self.differences.append(f"{path} {kind.removesuffix('s')} {reference}: {_told(here, there)}")
        return list(_named(there.content)) if there is not None and kind == "manifests" else []


def _pull(client: Client, repository: str, kind: str, reference: str) -> _Answer | None:
    path = f"/v2/{repository}/{kind}/{reference}"
    headers = {"Accept": ", ".join(MANIFESTS)} if kind == "manifests" else {}
    try:
        answer = client.request("GET", path, redirects=True, headers=headers, is_streamed=True)
        if answer.is_redirect:
            # Signed: it takes no credentials of ours.
            answer = requests.get(answer.headers["Location"], stream=True, timeout=_SECONDS)
            if answer.status_code == requests.codes.not_found:
                return None
            answer.raise_for_status()
        return _read(answer, kind)
    except NotThere:
        return None
    except requests.RequestException as error:
        raise Failed(f"{client.registry.host} could not give {path}: {error}") from error


def _read(answer: requests.Response, kind: str) -> _Answer:
    hashing = hashlib.sha256()
    content = bytearray()
    for piece in answer.iter_content(_PIECE_BYTES):
        hashing.update(piece)
        if kind == "manifests":
            content += piece
    # What a blob is served as says nothing: each registry has its own.
    media_type = answer.headers.get("Content-Type", "") if kind == "manifests" else ""
    return _Answer(media_type, hashing.hexdigest(), bytes(content))


def _named(content: bytes) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(content)
    except ValueError:
        return
    if not isinstance(document, dict):
        return
    blobs = [document.get("config"), *_listed(document, "layers"), *_listed(document, "blobs")]
    yield from (("blobs", each) for each in _digests(blobs))
    yield from (("manifests", each) for each in _digests(_listed(document, "manifests")))


def _listed(document: dict[str, Any], name: str) -> list[Any]:
    listed = document.get(name)
    return listed if isinstance(listed, list) else []


def _digests(descriptors: list[Any]) -> Iterator[str]:
    for each in descriptors:
        # What lies at an address of its own is nobody's to serve.
        if isinstance(each, dict) and isinstance(each.get("digest"), str) and not each.get("urls"):
            yield each["digest"]


def _told(here: _Answer | None, there: _Answer | None) -> str:
    if here is None:
        return "not here"
    if there is None:
        return "here, and not there"
    return "other bytes" if here.digest != there.digest else f"here {here.media_type}, there {there.media_type}"
