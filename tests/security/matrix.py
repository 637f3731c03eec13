"""Who may do what: every role against every operation, asked of a registry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from werkzeug.test import TestResponse

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.security.people import ROLES, Guarded
from tests.support import Image, index_of

REPOSITORY: Final = "team/app"
PEOPLE: Final = ("anonymous", "no role", *ROLES, "administrator")
_ALL: Final = f"repository:{REPOSITORY}:pull,push,delete"


@dataclass(frozen=True)
class World:
    """One repository with one of everything, and who asks."""

    registry: Guarded
    image: Image
    blob: Digest
    headers: dict[str, str]

    def ask(self, method: str, rest: str, **options: object) -> TestResponse:
        return self.registry.request(method, f"/v2/{REPOSITORY}/{rest}", headers=self.headers, **options)

    def upload(self) -> str:
        """An upload of the one who asks, or none's."""
        return self.ask("POST", "blobs/uploads/").headers.get(
            "Location", f"/v2/{REPOSITORY}/blobs/uploads/{uuid.uuid4()}"
        )

    def at(self, method: str, path: str, **options: object) -> TestResponse:
        return self.registry.request(method, path, headers=self.headers, **options)


Operation = Callable[[World], TestResponse]
OPERATIONS: Final[dict[str, Operation]] = {
    "GET /v2/": lambda world: world.at("GET", "/v2/"),
    "GET catalog": lambda world: world.at("GET", "/v2/_catalog"),
    "GET tags": lambda world: world.ask("GET", "tags/list"),
    "GET manifest": lambda world: world.ask("GET", "manifests/v1"),
    "HEAD manifest": lambda world: world.ask("HEAD", f"manifests/{world.image.digest}"),
    "GET blob": lambda world: world.ask("GET", f"blobs/{world.blob}"),
    "HEAD blob": lambda world: world.ask("HEAD", f"blobs/{world.blob}"),
    "GET referrers": lambda world: world.ask("GET", f"referrers/{world.image.digest}"),
    "POST upload": lambda world: world.ask("POST", "blobs/uploads/"),
    "GET upload": lambda world: world.at("GET", world.upload()),
    "PATCH upload": lambda world: world.at("PATCH", world.upload(), data=b"x"),
    "PUT upload": lambda world: world.at("PUT", f"{world.upload()}?digest={Digest.of(b'x')}", data=b"x"),
    "DELETE upload": lambda world: world.at("DELETE", world.upload()),
    "PUT manifest": lambda world: world.ask(
        "PUT",
        "manifests/v2",
        data=index_of(world.image.manifest),
        content_type=OCI_INDEX,
    ),
    "DELETE tag": lambda world: world.ask("DELETE", "manifests/v1"),
    "DELETE manifest": lambda world: world.ask("DELETE", f"manifests/{world.image.digest}"),
    "DELETE blob": lambda world: world.ask("DELETE", f"blobs/{world.blob}"),
    "GET collection": lambda world: world.at("GET", "/api/v1/collection"),
    "GET collection of a repository": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/collection"),
}


def world_of(registry: Guarded, secrets: dict[str, str], person: str) -> World:
    """The repository made anew by an administrator, and seen by the one who asks."""
    owner = World(registry, Image(), Digest.of(b"loose"), _headers(registry, secrets, "administrator"))
    for content in (*owner.image.blobs, b"loose"):
        assert owner.ask("POST", f"blobs/uploads/?digest={Digest.of(content)}", data=content).status_code == 201
    pushed = owner.ask("PUT", "manifests/v1", data=owner.image.manifest, content_type=OCI_MANIFEST)
    assert pushed.status_code == 201, pushed.text
    return World(registry, owner.image, owner.blob, _headers(registry, secrets, person))


def _headers(registry: Guarded, secrets: dict[str, str], person: str) -> dict[str, str]:
    """With a token for everything that can be asked for: what isn't granted is missing in it."""
    name = person.replace(" ", "-")
    token = registry.token(name if person in secrets else None, secrets.get(person), _ALL, "registry:catalog:*")
    return registry.as_bearer(token)


def people(registry: Guarded) -> dict[str, str]:
    """Everybody but the anonymous, and their secrets."""
    grants = {role: ((REPOSITORY, role),) for role in ROLES}
    robots = {role: registry.robot(role, *granted) for role, granted in grants.items()}
    return {
        **robots,
        "no role": registry.robot("no-role", ("elsewhere/**", "admin")),
        "administrator": registry.robot("administrator", is_admin=True),
    }


def table(outcomes: dict[tuple[str, str], int]) -> Iterator[str]:
    """As Markdown."""
    yield "| operation | " + " | ".join(PEOPLE) + " |"
    yield "|---|" + "---|" * len(PEOPLE)
    for operation in OPERATIONS:
        cells: Sequence[str] = [str(outcomes[operation, person]) for person in PEOPLE]
        yield f"| {operation} | " + " | ".join(cells) + " |"
