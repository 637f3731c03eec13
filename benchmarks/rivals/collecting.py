"""What it takes to be rid of deleted images: Slipway beside those who push, the others while nobody may.

CNCF Distribution's documentation, "About garbage collection": the registry has to be read-only, or not run at all.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.measure import percentile, table, timed
from benchmarks.pulling import wake
from benchmarks.rivals import images, registries
from benchmarks.rivals.asking import Job, do, request
from benchmarks.rivals.images import Image, blob, image_of, make_image
from benchmarks.rivals.registries import Registry
from functions.registry.metadata.driver import Connection

# Images that stay, for each that is deleted.
_KEPT: Final = 4
_LAYER_BYTES: Final = 10_000
_REPOSITORIES: Final = 10
_LONGEST_SECONDS: Final = 600

_NO_UNDO: Final = "UPDATE gc_settings SET grace = '0' WHERE event = 'undo'"
# From the last deletion on: before, the collection would be quicker than the push of a layer and its manifest.
_AT_ONCE: Final = """
    UPDATE gc_settings SET grace = '0';
    UPDATE link_reviews SET review_after = now()
"""
_LEFT: Final = """
    SELECT (SELECT count(*) FROM link_reviews WHERE review_after < now())
         + (SELECT count(*) FROM blob_reviews WHERE review_after < now())
         + (SELECT count(*) FROM deletions WHERE not_before < now())
"""


def collection(folder: Path, count: int) -> str:
    """Returns a table of how long `count` deleted images take, beside four times as many that stay."""
    rows = []
    with registries.running(folder) as running:
        for registry in running:
            _set_graces(registry, _NO_UNDO)
            _fill(registry.address, count)
            _set_graces(registry, _AT_ONCE)
            rows.append(_beside_pushes(registry) if registry.stack is not None else _alone(registry))
            print(" ".join(rows[-1]), flush=True)
    header = ["registry", "seconds", "seconds in which pushes are refused", "pushes meanwhile", "their p99, ms"]
    return (
        f"## Collecting {count:,} deleted images of {count * (_KEPT + 1):,}\n\n{table(header, rows)}\n\n"
        "There is no grace here. Pushes are of a manifest whose blobs are there, one after the other."
    )


def _set_graces(registry: Registry, sql: str) -> None:
    """Changes them in Slipway's database; the others have none."""
    if registry.stack is None:
        return
    connection = Connection(registry.stack.environment["SLIPWAY_DATABASE"])
    try:
        connection.simple(sql)
    finally:
        connection.close()


def _repository(number: int) -> str:
    return f"bench/collected-{number % _REPOSITORIES}"


def _fill(address: str, count: int) -> None:
    base = make_image(0, 1, _LAYER_BYTES)
    for number in range(_REPOSITORIES):
        do(address, [images.push(_repository(number), base, "kept", is_in_chunks=False)], 1)
    for kept in range(count * _KEPT):
        noted = image_of(base.config, base.layers, f"kept {kept}")
        do(address, [images.put_manifest(_repository(kept), f"v{kept}", noted)], 1)
    for number in range(count):
        image = _deleted(base, number)
        do(address, [_push_and_delete(_repository(number), image, f"gone{number}")], 1)


def _deleted(base: Image, number: int) -> Image:
    return image_of(base.config, (blob(b"%d" % number + bytes(_LAYER_BYTES)),))


def _push_and_delete(repository: str, image: Image, tag: str) -> Job:
    yield from images.upload(repository, image.layers[0], is_in_chunks=False)
    yield from images.put_manifest(repository, tag, image)
    answer = yield request("DELETE", f"/v2/{repository}/manifests/{image.manifest.digest}")
    answer.require(202)


def _beside_pushes(registry: Registry) -> list[str]:
    """Slipway: garbage collection is woken until nothing is left, and somebody pushes meanwhile."""
    if registry.stack is None:
        raise LookupError("only what runs here can be woken")
    is_over = threading.Event()
    pushes: list[float] = []
    pusher = threading.Thread(target=lambda: pushes.extend(do(registry.address, _pushes(is_over), 1)))
    connection = Connection(registry.stack.environment["SLIPWAY_DATABASE"])
    port = registry.stack.ports.gc

    def collect() -> None:
        while connection.run([(_LEFT, {})])[0].rows[0][0]:
            wake(port)

    pusher.start()
    try:
        seconds = timed(collect)
    finally:
        is_over.set()
        pusher.join()
        connection.close()
    # A push that is refused ends the run: `require` raises.
    return [registry.name, f"{seconds:.1f}", "0", str(len(pushes)), f"{percentile(pushes, 99) * 1000:.1f}"]


def _pushes(is_over: threading.Event) -> Iterator[Job]:
    base, number = make_image(0, 1, _LAYER_BYTES), 0
    while not is_over.is_set():
        number += 1
        yield images.put_manifest(_repository(0), "meanwhile", image_of(base.config, base.layers, f"push {number}"))


def _alone(registry: Registry) -> list[str]:
    if registry.program is None or registry.configuration is None:
        raise LookupError("only what runs here can be collected")
    command: list[str | Path] = [registry.program, "garbage-collect", registry.configuration]
    seconds = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_LONGEST_SECONDS))
    return [registry.name, f"{seconds:.1f}", f"{seconds:.1f}", "0", "-"]
