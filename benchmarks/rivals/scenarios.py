"""What is asked of every registry: one row for each kind of request, or of push."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from http import HTTPStatus
from typing import Final

from benchmarks.content import Content
from benchmarks.rivals import images
from benchmarks.rivals.asking import Job, do, request
from benchmarks.rivals.images import MANIFEST_TYPE, Image, image_of, make_image

REPOSITORY: Final = "bench/pulled"
TAGS: Final = 1000
TAG: Final = "v0500"
# Of a layer.
SIZE: Final = 100_000
LAYERS: Final = 6


@dataclass(frozen=True)
class Scenario:
    """`make` returns the job of a number, whose contents are the same for every registry; `counts` are the jobs of a
    round, by the number of clients at once. `prepare` returns what has to be done before each, outside of the clock.
    """

    name: str
    make: Callable[[int], Job]
    counts: dict[int, int]
    prepare: Callable[[int], Job] | None = None


@cache
def pulled() -> Image:
    """Returns the image that everything pulls."""
    return make_image(seed=0, layers=LAYERS, layer_bytes=SIZE)


def fill(address: str) -> None:
    """Pushes what is pulled later: one image under a thousand tags."""
    image = pulled()
    do(address, [images.push_blobs(REPOSITORY, image)], 1)
    do(address, [images.put_manifest(REPOSITORY, f"v{number:04}", image) for number in range(TAGS)], 4)


def _ask(method: str, path: str, *, is_followed: bool = False) -> Callable[[int], Job]:
    def job(_: int) -> Job:
        answer = yield asked
        if answer.status == HTTPStatus.TEMPORARY_REDIRECT:
            if not is_followed:
                return
            answer = yield request("GET", answer.header("location"))
        answer.require(HTTPStatus.OK)

    # All registries would turn an image into another kind for whoever doesn't say that it takes this one.
    asked = request(method, path, accept=MANIFEST_TYPE)
    return job


def _reads() -> Iterator[Scenario]:
    image = pulled()
    base = f"/v2/{REPOSITORY}"
    counts = {1: 300, 16: 800, 64: 800}
    for name, method, path in (
        ("GET /v2/", "GET", "/v2/"),
        ("manifest GET by tag", "GET", f"{base}/manifests/{TAG}"),
        ("manifest HEAD by tag", "HEAD", f"{base}/manifests/{TAG}"),
        ("manifest GET by digest", "GET", f"{base}/manifests/{image.manifest.digest}"),
        ("manifest HEAD by digest", "HEAD", f"{base}/manifests/{image.manifest.digest}"),
        ("blob HEAD", "HEAD", f"{base}/blobs/{image.layers[0].digest}"),
        ("blob GET, first answer", "GET", f"{base}/blobs/{image.layers[0].digest}"),
        ("tags, 100 of 1000", "GET", f"{base}/tags/list?n=100"),
        ("catalog, n=100", "GET", "/v2/_catalog?n=100"),
    ):
        yield Scenario(name, _ask(method, path), counts)
    followed = _ask("GET", f"{base}/blobs/{image.layers[0].digest}", is_followed=True)
    yield Scenario("blob GET, to its bytes", followed, {1: 200, 16: 400, 64: 400})


def _writes(large_bytes: int) -> Iterator[Scenario]:
    yield Scenario("push, 6 layers, as docker", _push(LAYERS, SIZE, is_in_chunks=True), {1: 12, 16: 48, 64: 64})
    yield Scenario("push, 6 layers, as containerd", _push(LAYERS, SIZE, is_in_chunks=False), {1: 12, 16: 48, 64: 64})
    yield Scenario("push, 100 layers", _push(100, 1000, is_in_chunks=True), {1: 2})
    yield Scenario("mount", _mount, {1: 60, 16: 160, 64: 160})
    yield Scenario("manifest PUT, its tag moves", _move, {1: 60, 16: 160, 64: 160})
    yield Scenario("manifest DELETE", _delete, {1: 60}, prepare=_put)
    yield Scenario(f"push, one layer of {large_bytes >> 20} MiB", partial(_push_large, large_bytes), {1: 1})


def _push(layers: int, layer_bytes: int, *, is_in_chunks: bool) -> Callable[[int], Job]:
    def make(number: int) -> Job:
        image = make_image(number, layers, layer_bytes)
        return images.push(f"bench/pushed-{number}", image, "latest", is_in_chunks=is_in_chunks)

    return make


def _mount(number: int) -> Job:
    query = f"mount={pulled().layers[0].digest}&from={REPOSITORY}"
    answer = yield request("POST", f"/v2/bench/mounted-{number}/blobs/uploads/?{query}")
    answer.require(201)


def _noted(number: int) -> Image:
    return image_of(pulled().config, pulled().layers, f"number {number}")


def _move(number: int) -> Job:
    return images.put_manifest(REPOSITORY, "moving", _noted(number))


def _put(number: int) -> Job:
    image = _noted(number)
    return images.put_manifest(REPOSITORY, image.manifest.digest, image)


def _delete(number: int) -> Job:
    answer = yield request("DELETE", f"/v2/{REPOSITORY}/manifests/{_noted(number).manifest.digest}")
    answer.require(202)


def _push_large(size: int, number: int) -> Job:
    content = Content(size, number)
    return images.push_large(f"bench/large-{number}", content, _digest_of(size, number))


@lru_cache(maxsize=1)
def _digest_of(size: int, number: int) -> str:
    """Clients know the digest before they push: taking it is not part of the time."""
    return Content(size, number).digest()


def scenarios(large_bytes: int) -> list[Scenario]:
    return [*_reads(), *_writes(large_bytes)]
