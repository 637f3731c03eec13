"""Manifests of another registry, with all that they refer to: what is listed comes before what lists it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from functions.migrate.imports.remote import blobs
from functions.migrate.imports.remote.blobs import Place
from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import (
    AnswerInvalid,
    RemoteMissing,
    RemoteResting,
    RemoteUnavailable,
    TimeOver,
)
from functions.registry.auth.roles import Role
from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push, ReferenceMissing, TypeDiffers
from functions.registry.metadata.imports.remote import copies
from functions.registry.metadata.imports.vocabulary import Problem, ProblemKind, Reason
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid
from functions.registry.oci.json_object import read_stored
from functions.registry.oci.manifest import Descriptor, Manifest, parse_manifest
from functions.registry.oci.media_type import essence
from functions.registry.wiring import Services

# What is read and waits for what it lists, in bytes: an index in an index and so on has an end.
_MOST_WAITING: Final = 64 << 20
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
_NO_DIFFERENCE: Final = ("application/json", "application/octet-stream", "text/plain")


@dataclass(slots=True)
class Copied:
    """What travelled."""

    manifests: int = 0
    blobs: int = 0
    bytes: int = 0

    @property
    def is_nothing(self) -> bool:
        return not self.manifests and not self.blobs


@dataclass(frozen=True, slots=True)
class _Read:
    payload: bytes
    manifest: Manifest


class _Refused(Exception):
    """The manifest can't be taken over, whoever asks again."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.detail = detail


class ManifestCopy:
    """Of one repository. `note` is told of each problem; what can't be had is left out, and nothing else stops for it.

    `bring` raises RemoteUnavailable, RemoteRefused, ChangeRefused (the quota), and what the store and the database do.
    """

    def __init__(
        self, services: Services, remote: Remote, place: Place, pool: Executor, note: Callable[[Problem], None]
    ) -> None:
        self._services, self._remote, self._place = services, remote, place
        self._pool, self._note = pool, note
        self._here: set[Digest] = set()
        self._failed: set[Digest] = set()
        self.copied = Copied()

    def know(self, digests: list[Digest]) -> None:
        """Asks at once which of these are here."""
        asked = [digest for digest in digests if digest not in self._here]
        self._here |= copies.known_manifests(self._services.database, self._place.name, asked)

    def bring(self, root: Digest) -> bool:
        """Says whether the manifest is here now."""
        stack = [root]
        waiting: dict[Digest, _Read] = {}
        while stack:
            digest = stack[-1]
            if digest in self._here or digest in self._failed:
                stack.pop()
                continue
            try:
                if digest in waiting:
                    self._put(digest, waiting.pop(digest))
                else:
                    waiting[digest] = self._read(digest)
                    _require_bounded(waiting)
                    stack += self._absent_children(waiting[digest].manifest)
            except _Refused as refused:
                self._problem("manifest", str(digest), refused.reason, refused.detail)
                self._failed.add(digest)
                waiting.pop(digest, None)
        return root in self._here

    def _absent_children(self, manifest: Manifest) -> list[Digest]:
        listed = [*manifest.child_digests, *(each for each in manifest.listed_digests if not self._is_blob(each))]
        self.know(listed)
        return [digest for digest in listed if digest not in self._here and digest not in self._failed]

    def _is_blob(self, digest: Digest) -> bool:
        """What an index lists under a type that is none of manifests may be either."""
        try:
            self._remote.blob_size(self._place.path, digest)
        except (RemoteMissing, AnswerInvalid):
            return False
        return True

    def _read(self, digest: Digest) -> _Read:
        """Raises _Refused."""
        most = self._services.settings.largest_manifest_bytes
        try:
            payload, media_type = self._remote.manifest(self._place.path, digest, most)
        except RemoteMissing as error:
            raise _Refused("manifest_missing") from error
        except AnswerInvalid as error:
            raise _Refused("unreadable", str(error)) from error
        except (TimeOver, RemoteResting):
            raise
        except RemoteUnavailable as error:
            # The registry as a whole, or this one thing?
            self._remote.greet()
            raise _Refused("unreadable", "the other registry can't show it") from error
        if not payload:
            raise _Refused("manifest_empty")
        if essence(media_type or "").startswith(_SCHEMA_1) or read_stored(payload).get("schemaVersion") == 1:
            raise _Refused("schema1")
        if Digest.of(payload, digest.algorithm) != digest:
            raise _Refused("manifest_digest", "its bytes are those of another digest")
        try:
            return _Read(payload, parse_manifest(payload, _as_sent(media_type)))
        except ManifestInvalid as error:
            raise _Refused("manifest_refused", error.reason or "") from error

    def _put(self, digest: Digest, read: _Read) -> None:
        manifest = read.manifest
        absent = {each for each in (*manifest.child_digests, *manifest.listed_digests) if each in self._failed}
        for child in sorted(absent):
            self._problem("manifest", str(digest), "child_missing", str(child))
        listed = [each for each in manifest.listed if each.digest not in self._here]
        is_whole = self._bring_blobs(digest, [*manifest.blobs, *listed], set(manifest.optional_blobs))
        accepts_missing = bool(absent) or not is_whole
        push = Push(self._place.name, digest, manifest, read.payload, (), accepts_missing, Role.ADMIN, is_copy=True)
        try:
            pushes.put(self._services.database, push)
        except TypeDiffers as differs:
            raise _Refused("manifest_refused", f"these bytes are here as {differs.stored}") from differs
        except ReferenceMissing as missing:
            raise RemoteUnavailable(f"what was copied just now is gone: {missing}") from missing
        self._here.add(digest)
        self.copied.manifests += 1

    def _bring_blobs(self, holder: Digest, named: list[Descriptor], optional: set[Digest]) -> bool:
        """Says whether all are here that have to be; several at once."""
        sizes = {each.digest: each.size for each in named}
        absent = copies.unlinked(self._services.database, self._place.name, list(sizes))
        brought = self._pool.map(lambda digest: self._bring_blob(holder, digest, sizes[digest]), absent)
        travelled = dict(zip(absent, brought, strict=True))
        for size in travelled.values():
            self.copied.blobs += 1 if size else 0
            self.copied.bytes += size or 0
        return {digest for digest, size in travelled.items() if size is None} <= optional

    def _bring_blob(self, holder: Digest, digest: Digest, size: int) -> int | None:
        """Returns how many bytes travelled; None if it is not to be had."""
        try:
            return blobs.copy(self._services, self._remote, self._place, digest, size)
        except RemoteMissing:
            self._problem("blob", str(digest), "blob_missing", f"named by {holder}")
        except DigestInvalid:
            self._problem("blob", str(digest), "blob_digest", f"named by {holder}")
        except AnswerInvalid as error:
            self._problem("blob", str(digest), "blob_size", f"{error}; named by {holder}")
        return None

    def _problem(self, kind: ProblemKind, key: str, reason: Reason, detail: str = "") -> None:
        self._note(Problem(self._place.path, kind, key, reason, detail[:1000]))


def _require_bounded(waiting: dict[Digest, _Read]) -> None:
    if sum(len(each.payload) for each in waiting.values()) > _MOST_WAITING:
        raise _Refused("manifest_refused", "indexes in indexes beyond all measure")


def _as_sent(media_type: str | None) -> str | None:
    """Returns None where the answer's type says nothing of the manifest's."""
    return None if media_type is None or essence(media_type) in _NO_DIFFERENCE else media_type
