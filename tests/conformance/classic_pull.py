"""The first and the last workflow of the classic suite: pulling, and what is deleted."""

from __future__ import annotations

from collections.abc import Iterator

import requests

from tests.conformance.classic_client import expect
from tests.conformance.classic_content import IMAGE
from tests.conformance.classic_run import (
    DELETED,
    INVALID_TAG,
    TAG,
    Run,
    Step,
    ask,
    count_tags,
    delete,
    delete_blob,
    push_blob,
    put,
    teardown,
)

_CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID",
    "TAG_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED",
}  # fmt: skip


def pull(run: Run) -> Iterator[Step]:
    contents = run.contents
    pushed = list(range(1 if run.is_1_0 else 2))
    for number in pushed:
        yield f"push config {number}", push_blob(run, contents.configs[number])
    yield "push the layer", push_blob(run, contents.layer)
    yield "put image 0 by tag", put(run, TAG, contents.images[0])
    for number in pushed[1:]:
        yield f"put image {number} by digest", put(run, contents.images[number].digest, contents.images[number])
    config, absent = contents.configs[0].digest, contents.absent.digest
    for method in ("HEAD", "GET"):
        yield f"{method} a blob that is not there", ask(run, method, f"blobs/{absent}", 404)
        yield f"{method} a blob", ask(run, method, f"blobs/{config}", 200, digest=config if method == "HEAD" else "")
    for method in ("HEAD", "GET"):
        yield f"{method} a manifest by an impossible tag", ask(run, method, f"manifests/{INVALID_TAG}", 404)
        for number in pushed:
            digest = contents.images[number].digest
            yield f"{method} image {number} by digest", ask(run, method, f"manifests/{digest}", 200, digest=digest)
        yield f"{method} image 0 by tag", ask(run, method, f"manifests/{TAG}", 200, digest=contents.images[0].digest)
    yield "a refusal has a body of the specification's form", lambda: _refused(run)
    yield from teardown(
        run,
        [(f"delete image {number}", delete(run, contents.images[number], DELETED)) for number in pushed],
        [
            *((f"delete config {number}", delete_blob(run, contents.configs[number])) for number in pushed),
            ("delete the layer", delete_blob(run, contents.layer)),
        ],
    )


def _refused(run: Run) -> None:
    method = "PUT" if run.is_1_0 else "GET"
    answer = run.client.ask(
        method, "manifests/sha256:totallywrong", data=b"no manifest", headers={"Content-Type": IMAGE}
    )
    expect(answer, 400, 404)
    if answer.status_code == requests.codes.bad_request:
        assert answer.json()["errors"][0]["code"] in _CODES


def manage(run: Run) -> Iterator[Step]:
    contents = run.contents
    image, config = contents.images[3], contents.configs[3]
    yield "push config 3", push_blob(run, config)
    yield "push the layer", push_blob(run, contents.layer)
    yield "put image 3 by tag", put(run, TAG, image)
    yield "count the tags", lambda: count_tags(run)
    yield "delete the tag", ask(run, "DELETE", f"manifests/{TAG}", 202, 400, 405)
    yield "delete image 3", delete(run, image, (202, 404))
    yield "GET it", ask(run, "GET", f"manifests/{image.digest}", 200, 404)
    yield "there is one tag less", lambda: _has_fewer_tags(run)
    statuses = (202,) if run.is_1_0 else (202, 404, 405)
    yield "delete config 3", ask(run, "DELETE", f"blobs/{config.digest}", *statuses)
    yield "delete the layer", ask(run, "DELETE", f"blobs/{contents.layer.digest}", *statuses)
    yield "GET config 3", ask(run, "GET", f"blobs/{config.digest}", 404)


def _has_fewer_tags(run: Run) -> None:
    if run.version != "v1.1.1":
        assert len(run.client.tags()) < run.tags_before
        return
    answer = run.client.ask("GET", "tags/list")
    expect(answer, 200, 404)
    left = answer.json()["tags"] if answer.status_code == requests.codes.ok else []
    assert len(left) == run.tags_before - 1
