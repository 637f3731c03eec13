"""A name that isn't there gets the nearest one that is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from slipway_cli.client import Client
from slipway_cli.failures import Failed, NotThere
from slipway_cli.references import Reference
from slipway_cli.tree import nearest

# As many as one page has: a suggestion is worth no more than one request.
_LOOKED_AT: Final = 1000


@contextmanager
def suggesting(word: str, known: Iterable[str]) -> Iterator[None]:
    """`known` is asked for only if `word` isn't there."""
    try:
        yield
    except NotThere as missing:
        near = _nearest(word, known)
        raise NotThere(str(missing), f"did you mean {near}?" if near else missing.advice, missing.said) from missing


@contextmanager
def suggesting_image(client: Client, image: Reference) -> Iterator[None]:
    """Suggests the nearest repository, or the nearest tag of the one that is there."""
    try:
        yield
    except NotThere as missing:
        if missing.said == "MANIFEST_UNKNOWN" and image.tag:
            near = _nearest(image.tag, tags(client, image.repository))
            near = near and f"{image.repository}:{near}"
        else:
            near = _nearest(image.repository, repositories(client))
        raise NotThere(str(missing), f"did you mean {near}?" if near else missing.advice, missing.said) from missing


def repositories(client: Client) -> Iterator[str]:
    found = client.pages("/api/v1/repositories", "repositories", _LOOKED_AT, n=_LOOKED_AT)
    return (item["name"] for item in found)


def tags(client: Client, repository: str) -> Iterator[str]:
    return client.pages(f"/v2/{repository}/tags/list", "tags", _LOOKED_AT, n=_LOOKED_AT)


def principals(client: Client, kind: str | None = None) -> Iterator[str]:
    found = client.pages("/api/v1/principals", "principals", _LOOKED_AT, n=_LOOKED_AT)
    return (item["name"] for item in found if kind in {None, item["kind"]})


def namespaces(client: Client) -> Iterator[str]:
    return (item["name"] for item in client.pages("/api/v1/namespaces", "namespaces", _LOOKED_AT, n=_LOOKED_AT))


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns None also where they can't be asked for."""
    try:
        return nearest(word, list(itertools.islice(known, _LOOKED_AT)))
    except Failed:
        return None
