"""What is damaged is fetched from elsewhere and pushed, as any client pushes: the registry takes only the right bytes.

Elsewhere is another registry, which has it in a repository of the same name; or a folder: an OCI layout, or what skopeo
makes of `dir:`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import requests

from slipway_cli.client import Client
from slipway_cli.contexts import Registry, address_of, contexts
from slipway_cli.failures import Failed, NotThere

_FOLDER: Final = "dir:"
_PIECE_BYTES: Final = 1 << 20
_IN_MEMORY_BYTES: Final = 8 << 20
_SECONDS: Final = (10, 60)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Source(Protocol):
    def read(self, kind: str, repository: str, digest: str, into: IO[bytes]) -> bool:
        """Writes the content of `blobs` or `manifests`; False if it isn't there. Raises Failed."""


class FolderSource:
    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Failed(f"{folder} is no folder", "dir:FOLDER names an OCI layout, or what skopeo makes of dir:")
        self._folder = folder

    def read(self, kind: str, repository: str, digest: str, into: IO[bytes]) -> bool:  # noqa: ARG002  # as of a registry
        algorithm, _, name = digest.partition(":")
        for path in (self._folder / "blobs" / algorithm / name, self._folder / name):
            if path.is_file():
                with path.open("rb") as file:
                    while piece := file.read(_PIECE_BYTES):
                        into.write(piece)
                return True
        return False


class RegistrySource:
    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, kind: str, repository: str, digest: str, into: IO[bytes]) -> bool:
        path = f"/v2/{repository}/{kind}/{digest}"
        headers = {"Accept": ", ".join(MANIFESTS)} if kind == "manifests" else {}
        try:
            answer = self._client.request("GET", path, redirects=True, headers=headers, is_streamed=True)
            if answer.is_redirect:
                # Signed: it takes no credentials of ours.
                answer = requests.get(answer.headers["Location"], stream=True, timeout=_SECONDS)
                if answer.status_code == requests.codes.not_found:
                    return False
                answer.raise_for_status()
            for piece in answer.iter_content(_PIECE_BYTES):
                into.write(piece)
        except NotThere:
            return False
        except requests.RequestException as error:
            raise Failed(f"{self._client.registry.host} could not give {digest}: {error}") from error
        return True


def source_of(text: str) -> Source:
    """Returns what was named: `dir:FOLDER`, a context, a host or an address. Raises Failed."""
    if text.startswith(_FOLDER):
        return FolderSource(Path(text.removeprefix(_FOLDER)))
    known = contexts()["contexts"]
    return RegistrySource(Client(Registry(address_of(known.get(text, text)), "--from")))


def heal(client: Client, source: Source, finding: dict[str, Any]) -> bool:
    """Pushes what was found to be damaged, from the first repository in which the source has it; False if none has."""
    for repository in finding["repositories"]:
        with _fetched(source, finding, repository) as content:
            if content is not None and _push(client, repository, finding, content):
                return True
    return False


@contextmanager
def _fetched(source: Source, finding: dict[str, Any], repository: str) -> Iterator[IO[bytes] | None]:
    kind = "manifests" if finding["kind"] == "manifest" else "blobs"
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        yield file if source.read(kind, repository, finding["digest"], file) else None


def _push(client: Client, repository: str, finding: dict[str, Any], content: IO[bytes]) -> bool:
    """Returns False if the registry doesn't take it there: the bytes are others, or nobody may push to that
    repository.
    """
    digest = finding["digest"]
    try:
        if finding["kind"] == "manifest":
            client.request("PUT", f"/v2/{repository}/manifests/{digest}", content=content)
        else:
            began = client.request("POST", f"/v2/{repository}/blobs/uploads/")
            path = client.own_path(began.headers["Location"])
            client.request("PUT", path, parameters={"digest": digest}, content=content, is_long=True)
    except Failed:
        return False
    return True
