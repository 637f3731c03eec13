"""What isn't there and was deleted not long ago: the command that puts it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from slipway_cli.client import Client
from slipway_cli.failures import Failed, NotThere
from slipway_cli.references import Reference

# As many as one page has: advice is worth no more than one request.
_LOOKED_AT = 1000


@contextmanager
def advising(client: Client, image: Reference) -> Iterator[None]:
    """Where it isn't there but can be put back, the failure says how."""
    try:
        yield
    except NotThere as missing:
        if not _can_be_put_back(client, image):
            raise
        raise NotThere(str(missing), f"it was deleted: slipway restore {image}", missing.said) from missing


def _can_be_put_back(client: Client, image: Reference) -> bool:
    """Returns False also where it can't be asked for: deleted repositories are told to administrators."""
    try:
        if image.tag is None and image.digest is None:
            return _was_deleted(client, image.repository)
        path = f"/api/v1/repositories/{image.repository}/-/history"
        ended = client.pages(path, "history", _LOOKED_AT, n=_LOOKED_AT if image.digest else 1, tag=image.tag)
        for binding in ended:
            if image.digest in {None, binding["digest"]}:
                return bool(binding["restorable"])
    except Failed:
        pass
    return False


def _was_deleted(client: Client, repository: str) -> bool:
    namespace = repository.partition("/")[0]
    found = client.pages("/api/v1/deleted/repositories", "repositories", _LOOKED_AT, n=_LOOKED_AT, namespace=namespace)
    return any(each["name"] == repository for each in found)
