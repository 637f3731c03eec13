"""The third workflow of the classic suite: lists of tags, and from 1.1 on referrers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.conformance.classic_client import SUCCESS, expect
from tests.conformance.classic_content import ANNOTATION, ARTIFACTS, INDEX, Content
from tests.conformance.classic_run import (
    DELETED,
    GONE,
    TAG,
    Run,
    Step,
    ask,
    count_tags,
    delete,
    delete_blob,
    each,
    push_blob,
    put,
    teardown,
)


def discover(run: Run) -> Iterator[Step]:
    contents = run.contents
    image = contents.images[2]
    yield "push config 2", push_blob(run, contents.configs[2])
    yield "push the layer", push_blob(run, contents.layer)
    for number in range(4):
        yield f"put image 2 as test{number}", put(run, f"test{number}", image)
    if not run.is_1_0:
        yield from _referrers_setup(run)
    yield "all tags are listed", lambda: count_tags(run)
    yield "as many as are asked for", lambda: _list_half(run)
    yield "and the next ones", lambda: _list_next(run)
    if not run.is_1_0:
        yield from _referrers(run)
    manifests = [image] if run.is_1_0 else [contents.index, image, contents.images[4], *_artifacts(run)]
    statuses = DELETED if run.is_1_0 else GONE
    config, layer = contents.configs[2], contents.layer
    yield from teardown(
        run,
        [("delete what was put", each(delete(run, one, statuses) for one in manifests))],
        [("delete config 2", delete_blob(run, config)), ("delete the layer", delete_blob(run, layer))],
    )
    if not run.is_1_0:
        left = [contents.configs[4], *contents.blobs.values(), contents.empty]
        deleted = each(ask(run, "DELETE", f"blobs/{one.digest}", *GONE) for one in left)
        yield "delete what was referred to", deleted


def _artifacts(run: Run) -> list[Content]:
    contents = run.contents
    return [*contents.by_config.values(), *contents.by_type.values(), contents.of_missing]


def _referrers_setup(run: Run) -> Iterator[Step]:
    """Half of them before their subject is there."""
    contents = run.contents
    for content in (contents.empty, contents.blobs["a"]):
        yield "push what artifacts are made of", push_blob(run, content)
    for content in (contents.by_config["a"], contents.by_type["a"], contents.index):
        yield "put a referrer before its subject", _refer(run, content, contents.images[4])
    yield "push config 4", push_blob(run, contents.configs[4])
    yield "put the subject", put(run, TAG, contents.images[4])
    yield "push what artifacts are made of", push_blob(run, contents.blobs["b"])
    for content in (contents.by_config["b"], contents.by_type["b"]):
        yield "put a referrer after its subject", _refer(run, content, contents.images[4])
    yield "put a referrer of what never comes", _refer(run, contents.of_missing, contents.images[3])


def _refer(run: Run, content: Content, subject: Content) -> Callable[[], None]:
    def act() -> None:
        answer = run.client.put(content.digest, content)
        expect(answer, *SUCCESS)
        assert answer.headers.get("OCI-Subject") == subject.digest

    return act


def _list_half(run: Run) -> None:
    half = run.tags_before // 2
    assert len(run.client.tags(n=str(half))) == half


def _list_next(run: Run) -> None:
    half = run.tags_before // 2
    first = run.client.tags(n=str(half))
    following = run.client.tags(n=str(half), last=first[-1])
    assert len(following) <= half
    # The suite itself looks at the first page twice here.
    assert not set(first) & set(following)


def _referrers(run: Run) -> Iterator[Step]:
    contents = run.contents
    subject, missing = contents.images[4].digest, contents.images[3].digest
    of_a = {contents.by_config["a"].digest, contents.by_type["a"].digest}
    yield "what is not there has no referrers", lambda: _refers(run, contents.absent.digest, set())
    yield "all referrers, with their annotations", lambda: _refers(run, subject, set(contents.referrers))
    yield "those of one type", lambda: _refers(run, subject, of_a, artifactType=ARTIFACTS["a"])
    yield "those of what never came", lambda: _refers(run, missing, {contents.of_missing.digest})


def _refers(run: Run, digest: str, expected: set[str], **query: str) -> None:
    answer = run.client.ask("GET", f"referrers/{digest}", params=query)
    expect(answer, 200)
    assert answer.headers["Content-Type"] == INDEX
    assert not query or answer.headers["OCI-Filters-Applied"] == "artifactType"
    listed = {one["digest"]: one.get("annotations", {}).get(ANNOTATION) for one in answer.json()["manifests"]}
    assert set(listed) == expected, f"{len(listed)} referrers, not {len(expected)}"
    notes = run.contents.referrers
    assert all(listed[digest] == notes[digest] for digest in expected & set(notes))
