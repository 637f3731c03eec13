"""Clients and a collection beside a check: pushes, mounts, deletions, uploads that are left, and garbage."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from functions.gc.run import run as collect
from functions.registry.oci.digest import Digest
from tests.support import Image, Registry

_REPOSITORIES: Final = ("busy/one", "busy/two", "busy/three")


@contextmanager
def busy(registry: Registry, clients: int) -> Iterator[list[int]]:
    """Gives the number of what each of them has done; what one of them raised is raised at the end."""
    stopped = threading.Event()
    done = [0] * (clients + 1)
    raised: list[BaseException] = []

    def going(number: int, act: Callable[[], object]) -> None:
        try:
            while not stopped.is_set():
                act()
                done[number] += 1
        except BaseException as error:
            raised.append(error)
            raise

    acts = [_client(registry, random.Random(number)) for number in range(clients)]  # noqa: S311  # no secret
    acts.append(lambda: collect(registry.services))
    threads = [threading.Thread(target=going, args=each, daemon=True) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


def _client(registry: Registry, rng: random.Random) -> Callable[[], object]:
    images = [Image(config=rng.randbytes(20), layers=(rng.randbytes(80), rng.randbytes(90))) for _ in range(4)]

    def act() -> None:
        repository, image, tag = rng.choice(_REPOSITORIES), rng.choice(images), f"t{rng.randrange(3)}"
        match rng.randrange(6):
            case 0 | 1:
                for blob in image.blobs:
                    _put(registry, repository, blob)
                registry.put_manifest(repository, rng.choice((tag, str(image.digest))), image.manifest)
            case 2:
                registry.request("DELETE", f"/v2/{repository}/manifests/{tag}")
            case 3:
                registry.request("DELETE", f"/v2/{repository}/manifests/{image.digest}")
            case 4:
                digest, source = image.blob_digests[0], rng.choice(_REPOSITORIES)
                registry.request("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}")
            case _:
                registry.request("POST", f"/v2/{repository}/blobs/uploads/", data=rng.randbytes(50))

    return act


def _put(registry: Registry, repository: str, blob: bytes) -> None:
    """Whatever the answer is: another one may be at the same."""
    registry.request("POST", f"/v2/{repository}/blobs/uploads/?digest={Digest.of(blob)}", data=blob)
