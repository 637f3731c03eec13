"""The routes of the OCI Distribution API (distribution-spec, "Endpoints"), and the paths that answers name."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from functions.api.route import InRepository, Route
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Reference, RepositoryName, Tag
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class CheckVersion(Route):
    """The caller asks whether this is a registry (end-1)."""


@dataclass(frozen=True, slots=True)
class ListRepositories(Route):
    page: Page


@dataclass(frozen=True, slots=True)
class ListTags(InRepository):
    """end-8a, end-8b"""

    page: Page


@dataclass(frozen=True, slots=True)
class GetManifest(InRepository):
    """A manifest is asked for, by GET or HEAD (end-3)."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class PutManifest(InRepository):
    """A manifest is pushed (end-7); `tags` are those of `?tag=`, for a push by digest."""

    reference: Reference
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteManifest(InRepository):
    """A tag goes alone, or a manifest with its tags (end-9)."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class GetBlob(InRepository):
    """end-2"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class HeadBlob(InRepository):
    """end-2"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class DeleteBlob(InRepository):
    """end-10"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class StartUpload(InRepository):
    """An upload begins (end-4a), a blob comes at once (`digest`, end-4b), or one is mounted (`mount`, end-11)."""

    digest: Digest | None = None
    algorithm: str | None = None
    mount: Digest | None = None
    source: RepositoryName | None = None


@dataclass(frozen=True, slots=True)
class GetUpload(InRepository):
    """end-13"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class PatchUpload(InRepository):
    """end-5"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class PutUpload(InRepository):
    """end-6"""

    upload: uuid.UUID
    digest: Digest


@dataclass(frozen=True, slots=True)
class DeleteUpload(InRepository):
    """end-14"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class ListReferrers(InRepository):
    """end-12a, end-12b"""

    digest: Digest
    artifact_type: str | None = None
    last: str = ""


def manifest_path(repository: RepositoryName, reference: Reference) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def blob_path(repository: RepositoryName, digest: Digest) -> str:
    return f"/v2/{repository}/blobs/{digest}"


def upload_path(repository: RepositoryName, upload: uuid.UUID) -> str:
    return f"/v2/{repository}/blobs/uploads/{upload}"
