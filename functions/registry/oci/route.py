"""Everything that can be asked of the registry, as types (distribution-spec, "Endpoints"), and the paths to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from functions.registry.oci.activity import Activity
from functions.registry.oci.administration import Administration
from functions.registry.oci.digest import Digest
from functions.registry.oci.gitlab import GitLab
from functions.registry.oci.in_repository import InRepository
from functions.registry.oci.insights import Insight
from functions.registry.oci.name import Reference, RepositoryName, Tag
from functions.registry.oci.page import Page
from functions.registry.oci.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class CheckVersion:
    """Is this a registry? (end-1)"""


@dataclass(frozen=True, slots=True)
class ListMethods:
    """OPTIONS of any path: what else may be asked of it."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetDescription:
    """What this API is, for programs (docs/api.md is for people)."""


@dataclass(frozen=True, slots=True)
class GetToken:
    """Docker token protocol: who asks is in the Authorization header, or nobody. `account` is a hint."""

    service: str
    scopes: tuple[str, ...]
    account: str | None
    wants_refresh: bool


@dataclass(frozen=True, slots=True)
class PostToken:
    """OAuth 2.0 (RFC 6749, RFC 8693): all that is asked is in the body, a form."""


@dataclass(frozen=True, slots=True)
class GetKeySet:
    """The public keys of this registry's tokens (RFC 7517)."""


@dataclass(frozen=True, slots=True)
class GetCollection:
    """How the garbage collection stands."""


@dataclass(frozen=True, slots=True)
class ListRepositories:
    page: Page


@dataclass(frozen=True, slots=True)
class PreviewCollection(InRepository):
    """What the garbage collection would take from a repository."""


@dataclass(frozen=True, slots=True)
class ListTags(InRepository):
    """end-8a, end-8b"""

    page: Page


@dataclass(frozen=True, slots=True)
class GetManifest(InRepository):
    """GET and HEAD (end-3)"""

    reference: Reference


@dataclass(frozen=True, slots=True)
class PutManifest(InRepository):
    """end-7; `tags` are those of `?tag=`, for a push by digest."""

    reference: Reference
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteManifest(InRepository):
    """A tag alone, or a manifest with its tags (end-9)"""

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
    """end-4a (an upload), end-4b (`digest`: the whole blob at once), end-11 (`mount`)"""

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


Route = (
    CheckVersion
    | ListMethods
    | GetDescription
    | GetToken
    | PostToken
    | GetKeySet
    | GetCollection
    | PreviewCollection
    | ListRepositories
    | ListTags
    | GetManifest
    | PutManifest
    | DeleteManifest
    | GetBlob
    | HeadBlob
    | DeleteBlob
    | StartUpload
    | GetUpload
    | PatchUpload
    | PutUpload
    | DeleteUpload
    | ListReferrers
    | Administration
    | Activity
    | GitLab
    | Insight
    | Upkeep
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query string's values, by name, in order."""

    pairs: Sequence[tuple[str, str]] = field(default=())

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


def manifest_path(repository: RepositoryName, reference: Reference) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def blob_path(repository: RepositoryName, digest: Digest) -> str:
    return f"/v2/{repository}/blobs/{digest}"


def upload_path(repository: RepositoryName, upload: uuid.UUID) -> str:
    return f"/v2/{repository}/blobs/uploads/{upload}"
