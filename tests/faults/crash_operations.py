"""What is killed in mid-work: each operation of the api, and a whole GC run.

`arrange` brings about what the operation starts from; `act` is what may die, and what a client that got no answer does
again from its beginning. The same seed gives the same contents in every process.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from werkzeug.test import Client

from functions.gc.run import run
from functions.registry.oci.digest import Digest
from tests.support import Image, Registry, descriptor, encode, index_of

QUANTUM: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Operation:
    arrange: Callable[[Registry, int], None]
    act: Callable[[Client, int], None]
    # The tag that must reach something once the operation is through.
    tag: str | None = None


OPERATIONS: Final[dict[str, Operation]] = {}


def prepare() -> Client:
    """The api as the framework serves it; and everything that is imported late, imported."""
    import functions_framework  # noqa: PLC0415
    import google.api_core.exceptions  # noqa: PLC0415
    import google.cloud.storage  # noqa: F401, PLC0415

    from local.programs import ROOT  # noqa: PLC0415

    return Client(functions_framework.create_app("api", str(ROOT / "functions" / "api" / "main.py"), "http"))


def repository(seed: int) -> str:
    """A new one each time, in a namespace of its own: making them is among the steps."""
    return f"crash{seed}/it"


def source(seed: int) -> str:
    return f"crash{seed}/source"


def image(seed: int, number: int = 0, size: int = 500) -> Image:
    """Two images with the same seed share their first layer."""
    own, shared = random.Random(f"{seed} {number}"), random.Random(f"{seed} shared")  # noqa: S311  # contents
    config = encode({"seed": seed, "number": number})
    return Image(config=config, layers=(shared.randbytes(300), own.randbytes(size)))


def _registry(client: Client) -> Registry:
    from functions.registry import wiring  # noqa: PLC0415  # built in the process that uses it

    return Registry(client, wiring.services())


def _operation(arrange: Callable[[Registry, int], None], tag: str | None = None) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        OPERATIONS[act.__name__] = Operation(arrange, lambda client, seed: act(_registry(client), seed), tag)
        return act

    return register


Act = Callable[[Registry, int], None]


def nothing(_: Registry, __: int) -> None:
    """Starts from an empty repository."""


def an_image(registry: Registry, seed: int) -> None:
    registry.push_image(repository(seed), "old", image(seed))


def an_image_elsewhere(registry: Registry, seed: int) -> None:
    registry.push_image(source(seed), "v1", image(seed))


@_operation(nothing, "v1")
def push(registry: Registry, seed: int) -> None:
    """Each blob in two requests; the layer in several pieces of one session."""
    registry.push_image(repository(seed), "v1", image(seed, size=2 * QUANTUM + 1000))


@_operation(nothing, "v1")
def push_in_chunks(registry: Registry, seed: int) -> None:
    """Three parts, which are composed."""
    pushed = image(seed)
    layer = pushed.layers[1]
    for blob in (pushed.config, pushed.layers[0]):
        registry.push_blob(repository(seed), blob)
    location = registry.start_upload(repository(seed))
    for chunk in (layer[:200], layer[200:400]):
        assert registry.request("PATCH", location, data=chunk).status_code == 202
    answer = registry.request("PUT", f"{location}?digest={Digest.of(layer)}", data=layer[400:])
    assert answer.status_code == 201, answer.text
    assert registry.put_manifest(repository(seed), "v1", pushed.manifest).status_code == 201


@_operation(an_image, "v1")
def push_what_is_known(registry: Registry, seed: int) -> None:
    """Blobs in one request each; all of them are there already. One more that is empty."""
    pushed = image(seed)
    for blob in (*pushed.blobs, b""):
        answer = registry.request("POST", f"/v2/{repository(seed)}/blobs/uploads/?digest={Digest.of(blob)}", data=blob)
        assert answer.status_code == 201, answer.text
    assert registry.put_manifest(repository(seed), "v1", pushed.manifest).status_code == 201


@_operation(an_image_elsewhere, "v1")
def mount(registry: Registry, seed: int) -> None:
    mounted = image(seed)
    for blob in mounted.blobs:
        path = f"/v2/{repository(seed)}/blobs/uploads/?mount={Digest.of(blob)}&from={source(seed)}"
        assert registry.request("POST", path).status_code == 201
    assert registry.put_manifest(repository(seed), "v1", mounted.manifest).status_code == 201


@_operation(an_image, "old")
def move_a_tag(registry: Registry, seed: int) -> None:
    """Moves the tag to an index over a new image, which gets a referrer."""
    pushed = registry.push_image(repository(seed), image=image(seed, 1))
    registry.put_manifest(repository(seed), "old", index_of(pushed.manifest))
    subject = descriptor(pushed.manifest, "application/vnd.oci.image.manifest.v1+json")
    registry.push_image(repository(seed), image=Image(config=b"{}", layers=(), more={"subject": subject}))


@_operation(an_image)
def delete(registry: Registry, seed: int) -> None:
    """The tag, the manifest, then what it named. What an earlier attempt did is done."""
    deleted = image(seed)
    registry.request("DELETE", f"/v2/{repository(seed)}/manifests/old")
    registry.request("DELETE", f"/v2/{repository(seed)}/manifests/{deleted.digest}")
    for blob in deleted.blobs:
        registry.request("DELETE", f"/v2/{repository(seed)}/blobs/{Digest.of(blob)}")


@_operation(an_image_elsewhere, "v1")
def move_a_repository(registry: Registry, seed: int) -> None:
    """What an earlier attempt moved is no longer there."""
    path = f"/api/v1/repositories/{source(seed)}/-/move"
    assert registry.request("POST", path, json={"to": repository(seed)}).status_code in {200, 404}


@_operation(an_image)
def delete_a_repository(registry: Registry, seed: int) -> None:
    assert registry.request("DELETE", f"/api/v1/repositories/{repository(seed)}").status_code in {200, 404}


@_operation(nothing)
def give_up_uploads(registry: Registry, seed: int) -> None:
    """One is cancelled, one ends with the wrong digest, one stays."""
    content = image(seed).layers[1]
    for ending in ("cancel", "wrong", "stay"):
        location = registry.start_upload(repository(seed))
        registry.request("PATCH", location, data=content)
        if ending == "cancel":
            assert registry.request("DELETE", location).status_code == 204
        elif ending == "wrong":
            assert registry.request("PUT", f"{location}?digest={Digest.of(b'other')}").status_code == 400


def garbage(registry: Registry, seed: int) -> None:
    """Some for every level, beside what must stay and shares layers with it."""
    registry.push_image(repository(seed), "kept", image(seed))
    child = registry.push_image(repository(seed), image=image(seed, 1))
    index = index_of(child.manifest)
    registry.put_manifest(repository(seed), Digest.of(index), index)
    registry.push_blob(repository(seed), image(seed, 2).layers[1])
    give_up_uploads(registry, seed)


@_operation(garbage, "kept")
def collect(registry: Registry, _: int) -> None:
    """Collects until nothing is due."""
    while any(run(registry.services).values()):
        pass
