"""The second workflow of the classic suite: uploads of every form, mounts, and manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import requests

from tests.conformance.classic_client import OCTETS, expect, location_of
from tests.conformance.classic_content import Content
from tests.conformance.classic_run import (
    DELETED,
    GONE,
    INVALID_TAG,
    Run,
    Skipped,
    Step,
    ask,
    delete,
    delete_blob,
    each,
    teardown,
)


def push(run: Run) -> Iterator[Step]:
    contents = run.contents
    yield "PATCH a whole blob", lambda: _patch_whole(run, contents.blobs["a"])
    yield "PUT its digest", lambda: _close(run, contents.blobs["a"])
    config = contents.configs[1]
    yield "GET a blob that is not there", ask(run, "GET", f"blobs/{contents.absent.digest}", 404)
    yield "POST a whole blob with its digest", lambda: _post_whole(run, config)
    yield (
        "GET that blob, if it was taken",
        lambda: expect(
            run.client.ask("GET", f"blobs/{config.digest}"), 404 if run.answers["last"].status_code == 202 else 200
        ),
    )
    yield "POST opens an upload", lambda: _open(run)
    yield "PUT a whole blob", lambda: _created(run, _put_last(run, config))
    yield "GET it", ask(run, "GET", f"blobs/{config.digest}", 200)
    yield "PUT the layer", lambda: _created(run, run.client.push(contents.layer))
    yield "GET the layer", ask(run, "GET", f"blobs/{contents.layer.digest}", 200)
    yield from _chunks(run, contents.blobs["b"])
    yield from _mounts(run, contents.blobs["a"])
    yield "GET a manifest by an impossible tag", ask(run, "GET", f"manifests/{INVALID_TAG}", 404)
    image, bare = contents.images[1], contents.without_layers
    yield "put image 1 by four tags", each(_putting(run, f"test{number}", image) for number in range(4))
    yield "put an image without layers", lambda: _created(run, run.client.put("emptylayer", bare))
    yield "GET image 1 by digest", ask(run, "GET", f"manifests/{image.digest}", 200)
    deleted = [("delete image 1", delete(run, image, DELETED))]
    if not run.is_1_0:
        deleted.append(("delete the image without layers", delete(run, bare, DELETED)))
    config_gone = DELETED if run.is_1_0 else GONE
    yield from teardown(
        run,
        deleted,
        [
            ("delete config 1", ask(run, "DELETE", f"blobs/{config.digest}", *config_gone)),
            ("delete the layer", delete_blob(run, contents.layer)),
        ],
    )


def _putting(run: Run, tag: str, content: Content) -> Callable[[], None]:
    return lambda: _created(run, run.client.put(tag, content))


def _open(run: Run) -> None:
    run.answers["last"] = run.client.ask("POST", "blobs/uploads/", headers={"Content-Length": "0"})
    expect(run.answers["last"], 202)
    location_of(run.answers["last"])


def _patch_whole(run: Run, content: Content) -> None:
    _open(run)
    run.answers["last"] = run.client.ask("PATCH", location_of(run.answers["last"]), data=content.data, headers=OCTETS)
    expect(run.answers["last"], 202)


def _close(run: Run, content: Content) -> None:
    headers = {**OCTETS, "Content-Length": "0"}
    query = {"digest": content.digest}
    _created(run, run.client.ask("PUT", location_of(run.answers["last"]), params=query, headers=headers))


def _put_last(run: Run, content: Content) -> requests.Response:
    query = {"digest": content.digest}
    return run.client.ask("PUT", location_of(run.answers["last"]), params=query, data=content.data, headers=OCTETS)


def _post_whole(run: Run, content: Content) -> None:
    query = {"digest": content.digest}
    run.answers["last"] = run.client.ask("POST", "blobs/uploads/", params=query, data=content.data, headers=OCTETS)
    expect(run.answers["last"], 201, 202)
    location_of(run.answers["last"])


def _created(_: Run, answer: requests.Response) -> None:
    expect(answer, 201)
    location_of(answer)


def _chunks(run: Run, content: Content) -> Iterator[Step]:
    middle, end = len(content.data) // 2 + 1, len(content.data)
    first, second = (0, middle), (middle, end)
    yield "the second chunk before the first is 416", lambda: _second_first(run, content, second)
    yield "the first chunk", lambda: _first_chunk(run, content, first)
    if run.is_1_0:
        yield "PUT the last chunk", lambda: _created(run, _last_chunk(run, content, second))
        return
    yield "the first chunk again is 416", lambda: _chunk(run, content, first, 416, of="opened")
    yield "GET tells how far the upload is", lambda: _status(run, f"0-{middle - 1}")
    yield "the second chunk", lambda: _chunk(run, content, second, 202)
    yield "PUT the digest of the chunks", lambda: _close(run, content)


def _second_first(run: Run, content: Content, span: tuple[int, int]) -> None:
    _open(run)
    _chunk(run, content, span, 416)


def _chunk(run: Run, content: Content, span: tuple[int, int], status: int, of: str = "last") -> None:
    headers = {**OCTETS, "Content-Range": f"{span[0]}-{span[1] - 1}"}
    answer = run.client.ask("PATCH", location_of(run.answers[of]), data=content.data[slice(*span)], headers=headers)
    expect(answer, status)
    if status == requests.codes.accepted:
        run.answers["last"] = answer


def _first_chunk(run: Run, content: Content, span: tuple[int, int]) -> None:
    _open(run)
    run.answers["opened"] = run.answers["last"]
    _chunk(run, content, span, 202)
    assert run.is_1_0 or run.answers["last"].headers["Range"] == f"0-{span[1] - 1}"


def _last_chunk(run: Run, content: Content, span: tuple[int, int]) -> requests.Response:
    return run.client.ask(
        "PUT",
        location_of(run.answers["last"]),
        params={"digest": content.digest},
        data=content.data[slice(*span)],
        headers={**OCTETS, "Content-Range": f"{span[0]}-{span[1] - 1}"},
    )


def _status(run: Run, held: str) -> None:
    answer = run.client.ask("GET", location_of(run.answers["opened"]))
    expect(answer, 204)
    assert (location_of(answer) != "", answer.headers["Range"]) == (True, held)
    run.answers["last"] = answer


def _mounts(run: Run, content: Content) -> Iterator[Step]:
    if not run.is_1_0:
        yield "mount what is nowhere, without a source", lambda: _mount(run, run.contents.absent.digest, 202)
    yield "mount from the other repository", lambda: _mount(run, content.digest, 201, 202, source=run.client.repository)
    yield "GET what was mounted", lambda: _get_mounted(run, content)
    yield "upload what could not be mounted", lambda: _is_upload(run)
    for wanted, status in () if run.is_1_0 else (("1", 201), ("0", 202)):
        yield (
            f"mount without a source is {status}",
            lambda wanted=wanted, status=status: _mount_again(  # type: ignore[misc]
                run, content, wanted, status
            ),
        )


def _mount(run: Run, digest: str, *statuses: int, source: str = "") -> None:
    query = {"mount": digest, **({"from": source} if source else {})}
    answer = run.client.ask("POST", "blobs/uploads/", repository=run.other, params=query)
    expect(answer, *statuses)
    location_of(answer)
    if source:
        run.answers["mount"] = answer


def _get_mounted(run: Run, content: Content) -> None:
    _only_after(run, 201)
    location = location_of(run.answers["mount"])
    assert location == f"/v2/{run.other}/blobs/{content.digest}"
    expect(run.client.ask("GET", location), 200)


def _is_upload(run: Run) -> None:
    _only_after(run, 202)
    assert location_of(run.answers["mount"]).startswith(f"/v2/{run.other}/blobs/uploads/")


def _mount_again(run: Run, content: Content, wanted: str, status: int) -> None:
    _only_after(run, 201)
    if run.automatic_mounts != wanted:
        raise Skipped("the run asks for the other answer" if run.automatic_mounts else "the run doesn't ask for it")
    _mount(run, content.digest, status)


def _only_after(run: Run, status: int) -> None:
    if run.answers["mount"].status_code != status:
        raise Skipped(f"the mount was answered with {run.answers['mount'].status_code}")
