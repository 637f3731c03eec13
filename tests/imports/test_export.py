"""What changed here is written back into the older layout: complete at each moment, once, and over nobody's changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from functions.migrate.work import run
from functions.registry.blobs.errors import StoreBusy
from functions.registry.blobs.objects import StoredObjects
from functions.registry.blobs.written import WrittenObjects
from functions.registry.imports import names
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.imports.ending import sealing
from functions.registry.metadata.imports.exporting import exports
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.clients.command import Client, isolated_environment
from tests.clients.programs import PROGRAMS
from tests.imports import debian
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT
from tests.metadata.build import query
from tests.statements import of_tests
from tests.support import Image, Registry, descriptor, index_of

_PROBLEMS = of_tests(
    "tests_export_problems",
    list,
    "SELECT coalesce(json_agg(json_build_array(kind, key, reason) ORDER BY key), '[]') FROM import_problems",
)
_STATES = of_tests("tests_export_states", list, "SELECT json_agg(state ORDER BY path) FROM import_repositories")


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


def imported(registry: Registry) -> int:
    """All that is in the bucket; this registry leads from now on."""
    bucket = registry.services.settings.bucket
    source = sources.add(registry.services.database, NewSource("layout", f"gs://{bucket}", ROOT))
    sources.open_up(registry.services.database, source.id)
    run(registry.services)
    sources.set_mode(registry.services.database, source.id, "lead")
    return source.id


def export(registry: Registry, source: int, pattern: str | None = None, *, hands_back: bool = False) -> None:
    exports.ask(registry.services.database, source, pattern, is_handing_back=hands_back)
    run(registry.services)


def problems(registry: Registry) -> list[Any]:
    return registry.services.database.one_or_none(_PROBLEMS()) or []


def contents(old: OldRegistry, folder: Path) -> dict[str, bytes]:
    return debian.download(old.address, old.bucket, folder)


def changed_everywhere(registry: Registry, old: OldRegistry) -> tuple[int, dict[str, bytes]]:
    """Imports two repositories and changes them in all ways; gives the source, and what each tag of `team/app` is."""
    images = [Image() for _ in range(4)]
    for number, image in enumerate(images):
        old.push("team/app", image, f"v{number}")
    old.push("team/other", images[0], "kept")
    source = imported(registry)
    expected = {f"v{number}": image.manifest for number, image in enumerate(images)}

    for number in range(3):
        expected[f"new{number}"] = registry.push_image("team/app", f"new{number}").manifest
    registry.put_manifest("team/app", "v0", images[1].manifest)
    expected["v0"] = images[1].manifest
    expected["v1"] = registry.push_image("team/app", "v1").manifest
    assert registry.request("DELETE", "/v2/team/app/manifests/v2").status_code == 202
    del expected["v2"]
    assert registry.request("DELETE", f"/v2/team/app/manifests/{images[3].digest}").status_code == 202
    del expected["v3"]
    children = [registry.push_image("team/app").manifest for _ in range(2)]
    inner = index_of(*children)
    registry.put_manifest("team/app", "inner", inner)
    expected["inner"] = inner
    signature = Image(more={"subject": descriptor(children[0], OCI_MANIFEST), "artifactType": "application/x.sig"})
    expected["signature"] = registry.push_image("team/app", "signature", signature).manifest
    registry.push_image("team/brand-new", "v1")
    return source, expected


def test_an_older_registry_serves_what_was_written_back(registry: Registry, old: OldRegistry, tmp_path: Path) -> None:
    debian.require()
    source, expected = changed_everywhere(registry, old)

    export(registry, source)

    assert problems(registry) == []
    contents(old, tmp_path / "layout")
    with debian.serve(tmp_path / "layout") as address:
        for tag, payload in expected.items():
            answer = debian.manifest(address, "team/app", tag)
            assert (answer.status_code, answer.content) == (200, payload), tag
            document = answer.json()
            for part in [document["config"], *document["layers"]] if "config" in document else ():
                assert Digest.of(debian.blob(address, "team/app", part["digest"]).content) == Digest.parse(
                    part["digest"]
                )
            for child in document.get("manifests", ()):
                assert debian.manifest(address, "team/app", child["digest"]).status_code == 200
        for gone in ("v2", "v3", Digest.of(b"x")):
            assert debian.manifest(address, "team/app", gone).status_code == 404
        assert debian.manifest(address, "team/brand-new", "v1").status_code == 200
        assert debian.manifest(address, "team/other", "kept").status_code == 200


@pytest.mark.slow
@pytest.mark.clients
def test_real_clients_pull_what_was_written_back(
    registry: Registry, old: OldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do so after a hundred pushes, twenty tags moved, twenty deleted, an index, an artifact with a subject."""
    debian.require()
    for number in range(10):
        old.push(f"team/app-{number % 3}", Image(), f"old-{number}")
    source = imported(registry)
    expected: dict[tuple[str, str], bytes] = {
        (repository, tag): b"" for repository, tags in old.tags.items() for tag in tags
    }
    for number in range(100):
        repository = f"team/app-{number % 3}"
        expected[repository, f"v{number}"] = registry.push_image(repository, f"v{number}").manifest
    for number in range(20):
        repository = f"team/app-{number % 3}"
        payload = expected[repository, f"v{number + 30}"]
        assert registry.put_manifest(repository, f"v{number}", payload).status_code == 201
        expected[repository, f"v{number}"] = payload
    for number in range(60, 80):
        repository = f"team/app-{number % 3}"
        assert registry.request("DELETE", f"/v2/{repository}/manifests/v{number}").status_code == 202
        del expected[repository, f"v{number}"]
    children = [expected["team/app-0", f"v{number}"] for number in (81, 84)]
    expected["team/app-0", "index"] = index_of(*children)
    assert registry.put_manifest("team/app-0", "index", index_of(*children)).status_code == 201
    artifact = Image(more={"subject": descriptor(children[0], OCI_MANIFEST), "artifactType": "application/x.sig"})
    expected["team/app-0", "signature"] = registry.push_image("team/app-0", "signature", artifact).manifest
    there = old.push("team/app-1", Image(), "v100")
    registry.push_image("team/app-1", "v100")

    answer = registry.request("POST", f"/api/v1/imports/{source}/hand-back", json={})
    assert answer.status_code == 200, answer.text
    run(registry.services)

    assert problems(registry) == [["tag", "v100", "conflict"]]
    contents(old, tmp_path / "layout")
    clients = [
        Client(program, isolated_environment(tmp_path / name))
        for name in ("skopeo", "crane")
        if (program := PROGRAMS[name].find()) is not None
    ]
    assert clients
    with debian.serve(tmp_path / "layout") as address:
        for (repository, tag), payload in expected.items():
            by_tag = debian.manifest(address, repository, tag)
            assert by_tag.status_code == 200, (repository, tag)
            assert not payload or by_tag.content == payload
            by_digest = debian.manifest(address, repository, Digest.of(by_tag.content))
            assert by_digest.content == by_tag.content
        assert debian.manifest(address, "team/app-1", "v100").headers["Docker-Content-Digest"] == str(there)
        for number in range(60, 80):
            assert debian.manifest(address, f"team/app-{number % 3}", f"v{number}").status_code == 404
        for client in clients:
            for (repository, tag), payload in [*expected.items()][-12:]:
                _copy(client, address, repository, tag, tmp_path)
                assert _raw(client, address, repository, tag) == payload
    written: list[str] = []
    monkeypatch.setattr(WrittenObjects, "_ask", lambda _, method, path, *__: written.append(f"{method} {path}"))
    export(registry, source, "team/app-0")
    assert written == []


def _raw(client: Client, address: str, repository: str, tag: str) -> bytes:
    """The manifest, as the client shows it."""
    reference = f"{address}/{repository}:{tag}"
    if client.program.name == "skopeo":
        return client.run("inspect", "--tls-verify=false", "--raw", f"docker://{reference}").encode()
    return client.run("--insecure", "manifest", reference).encode()


def _copy(client: Client, address: str, repository: str, tag: str, folder: Path) -> None:
    """All of it, with each blob compared with its digest."""
    reference, target = f"{address}/{repository}:{tag}", folder / f"{client.program.name}-{repository[-1]}-{tag}"
    if client.program.name == "skopeo":
        client.run(
            "--insecure-policy",
            "copy",
            "--all",
            "--quiet",
            "--src-tls-verify=false",
            f"docker://{reference}",
            f"dir:{target}",
        )
    else:
        client.run("--insecure", "pull", "--format", "oci", reference, str(target))


def test_a_second_export_writes_nothing(registry: Registry, old: OldRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = changed_everywhere(registry, old)
    export(registry, source)
    written: list[str] = []
    monkeypatch.setattr(WrittenObjects, "_ask", lambda _, method, path, *__: written.append(f"{method} {path}"))
    export(registry, source)
    assert written == []
    assert problems(registry) == []


def test_what_is_written_back_is_no_news_to_an_import(registry: Registry, old: OldRegistry) -> None:
    source, expected = changed_everywhere(registry, old)
    export(registry, source)
    pieces.add_whole(registry.services.database, source, ["repositories"])
    run(registry.services)
    tags = registry.get("/v2/team/app/tags/list").get_json()["tags"]
    assert tags == sorted(expected)
    assert problems(registry) == []


@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_killed_at_any_write_it_comes_to_the_same_end(
    registry: Registry, old: OldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    """All writes take half a minute."""
    source, expected = changed_everywhere(registry, old)
    real = WrittenObjects._ask
    count, limit = 0, 0

    def dying(self: WrittenObjects, *given: Any) -> Any:
        nonlocal count
        count += 1
        if count > limit:
            raise StoreBusy("killed")
        return real(self, *given)

    monkeypatch.setattr(WrittenObjects, "_ask", dying)
    for limit in range(0, 60, stride):  # noqa: B007  # `dying` reads it
        count = 0
        export(registry, source)
        seen = contents(old, tmp_path / "layout")
        assert_complete(seen)
    monkeypatch.setattr(WrittenObjects, "_ask", real)
    export(registry, source)
    seen = contents(old, tmp_path / "layout")
    assert_complete(seen)
    for tag, payload in expected.items():
        assert seen[ROOT + names.current_link_name("team/app", tag)] == str(Digest.of(payload)).encode()
    assert ROOT + names.current_link_name("team/app", "v2") not in seen
    assert problems(registry) == []


class Killed(BaseException):
    """The process is gone: nothing catches this on its way out."""


@pytest.mark.slow
def test_killed_after_each_write_in_turn_it_comes_to_the_same_end(
    registry: Registry, old: OldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run makes one write and dies; what is there then is complete."""
    source, expected = changed_everywhere(registry, old)
    real = WrittenObjects._ask

    def dying(self: WrittenObjects, *given: Any) -> Any:
        answer = real(self, *given)
        if answer is not None:
            raise Killed
        return answer

    monkeypatch.setattr(WrittenObjects, "_ask", dying)
    kills = 0
    while True:
        try:
            export(registry, source)
        except Killed:
            kills += 1
            assert_complete(contents(old, tmp_path / f"layout-{kills}"))
            query(registry.services.database, "UPDATE import_repositories SET lease_until = now()")
            query(registry.services.database, "UPDATE import_places SET lease_until = now()")
        else:
            break
    # Several go on at once: of those some more are done than the one after which it dies.
    assert kills >= 10
    seen = contents(old, tmp_path / "layout")
    assert_complete(seen)
    for tag, payload in expected.items():
        assert seen[ROOT + names.current_link_name("team/app", tag)] == str(Digest.of(payload)).encode()
    assert ROOT + names.current_link_name("team/app", "v2") not in seen
    assert problems(registry) == []


def assert_complete(seen: dict[str, bytes]) -> None:
    """Whatever a tag or a revision leads to is there, with what it refers to."""
    for name, content in seen.items():
        part = names.parse(name.removeprefix(ROOT))
        match part:
            case names.CurrentLink(repository=repository):
                assert ROOT + names.revision_link_name(repository, Digest.parse(content.decode())) in seen
            case names.RevisionLink(repository=repository, digest=digest) if repository != names.GUARD:
                document = json.loads(seen[ROOT + names.blob_name(digest)])
                blobs = [document["config"], *document["layers"]] if "config" in document else []
                for each in blobs:
                    blob = Digest.parse(each["digest"])
                    assert Digest.of(seen[ROOT + names.blob_name(blob)]) == blob
                    assert seen[ROOT + names.layer_link_name(repository, blob)] == str(blob).encode()
                for each in document.get("manifests", ()):
                    assert ROOT + names.revision_link_name(repository, Digest.parse(each["digest"])) in seen


def test_nothing_is_written_over_that_changed_there(registry: Registry, old: OldRegistry) -> None:
    for tag in ("both", "deleted-here", "deleted-there", "same", "appeared"):
        if tag != "appeared":
            old.push("team/app", Image(), tag)
    source = imported(registry)
    theirs = {tag: Image() for tag in ("both", "deleted-here", "appeared")}
    for tag in ("both", "deleted-there", "appeared"):
        registry.push_image("team/app", tag)
    assert registry.request("DELETE", "/v2/team/app/manifests/deleted-here").status_code == 202
    same = registry.push_image("team/app", "same")
    for tag, image in theirs.items():
        old.push("team/app", image, tag)
    old.untag("team/app", "deleted-there")
    old.push("team/app", same, "same")

    export(registry, source)

    assert problems(registry) == [
        ["tag", tag, "conflict"] for tag in ("appeared", "both", "deleted-here", "deleted-there")
    ]
    for tag, image in theirs.items():
        assert links(old, tag) == str(image.digest)
    assert links(old, "deleted-there") is None
    assert links(old, "same") == str(same.digest)


def links(old: OldRegistry, tag: str) -> str | None:
    answer = requests.get(old._object(names.current_link_name("team/app", tag)), params={"alt": "media"}, timeout=10)
    return answer.text if answer.status_code == 200 else None


def test_handing_back(registry: Registry, old: OldRegistry) -> None:
    old.push("team/app", Image(), "v1")
    old.push("team/other", Image(), "v1")
    source = imported(registry)
    pushed = registry.push_image("team/app", "v2")
    answer = registry.request("POST", f"/api/v1/imports/{source}/hand-back", json={"repositories": "team/app"})
    assert answer.status_code == 200, answer.text
    assert registry.request("DELETE", "/v2/team/app/manifests/v1").status_code == 405
    run(registry.services)
    assert links(old, "v2") == str(pushed.digest)
    assert registry.services.database.one_or_none(_STATES()) == ["handed_back", "imported"]
    assert registry.request("DELETE", "/v2/team/other/manifests/v1").status_code == 202


def guard(registry: Registry) -> set[str]:
    """What is left in the bucket of what keeps the older registry's collection from deleting anything."""
    place = StoredObjects(registry.services.settings.bucket, 10)
    found = {stored.name for stored in place.page("").objects}
    return {name for name in found if names.GUARD in name or name == "docker/registry/slipway.json"}


def hand_back(registry: Registry, source: int, pattern: str) -> None:
    answer = registry.request("POST", f"/api/v1/imports/{source}/hand-back", json={"repositories": pattern})
    assert answer.status_code == 200, answer.text
    run(registry.services)
    run(registry.services)


def test_what_was_handed_back_stays_with_the_older_registry(registry: Registry, old: OldRegistry) -> None:
    """Whoever leads since: what were pushed here would be on neither side."""
    old.push("team/app", Image(), "v1")
    old.push("team/other", Image(), "v1")
    source = imported(registry)
    hand_back(registry, source, "team/app")
    sources.set_mode(registry.services.database, source, "lead")
    registry.services.imports.sources._ask_at = 0.0
    assert registry.request("POST", "/v2/team/app/blobs/uploads/").status_code == 405
    assert registry.request("DELETE", "/v2/team/app/manifests/v1").status_code == 405
    assert registry.request("DELETE", "/v2/team/other/manifests/v1").status_code == 202
    moved = old.push("team/app", Image(), "v1")
    assert registry.get("/v2/team/app/manifests/v1").headers["Docker-Content-Digest"] == str(moved)


def test_once_all_is_handed_back_nothing_keeps_the_older_registry_from_collecting(
    registry: Registry, old: OldRegistry
) -> None:
    old.push("team/app", Image(), "v1")
    old.push("team/other", Image(), "v1")
    source = imported(registry)
    run(registry.services)
    put_up = guard(registry)
    assert len(put_up) == 5
    hand_back(registry, source, "team/app")
    assert guard(registry) == put_up
    hand_back(registry, source, "team/other")
    assert guard(registry) == set()
    # It leads again: what is imported anew is held again.
    old.push("team/new", Image(), "v1")
    answer = registry.request("POST", f"/api/v1/imports/{source}/start", json={})
    assert answer.status_code == 200, answer.text
    run(registry.services)
    run(registry.services)
    assert guard(registry) == put_up


def test_what_another_source_has_sealed_there_stays_guarded(registry: Registry, old: OldRegistry) -> None:
    old.push("team/app", Image(), "v1")
    first = imported(registry)
    run(registry.services)
    sealing.wish(registry.services.database, first)
    run(registry.services)
    assert sources.get(registry.services.database, first).state == "sealed"  # type: ignore[union-attr]
    old.push("team/other", Image(), "v1")
    second = imported(registry)
    run(registry.services)
    put_up = guard(registry)
    hand_back(registry, second, "**")
    assert "imported" not in registry.services.database.one_or_none(_STATES())  # type: ignore[operator]
    assert guard(registry) == put_up != set()


def test_what_the_older_registry_can_not_serve_is_told_and_not_handed_back(
    registry: Registry, old: OldRegistry
) -> None:
    old.push("team/app", Image(), "v1")
    source = imported(registry)
    odd = b'{"schemaVersion": 2, "mediaType": "application/vnd.example.odd+json"}'
    pushed = registry.put_manifest("team/app", "odd", odd)
    assert pushed.status_code == 201, pushed.text
    export(registry, source, "team/*", hands_back=True)
    assert problems(registry) == [["manifest", str(Digest.of(odd)), "manifest_refused"]]
    assert registry.services.database.one_or_none(_STATES()) == ["imported"]


def test_killed_within_a_tags_removal_it_leaves_none_of_it(
    registry: Registry, old: OldRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older registry lists every folder of a tag, though it names nothing any more."""
    history = names.history_link_name("team/app", "v1", old.push("team/app", Image(), "v1"))
    source = imported(registry)
    assert registry.request("DELETE", "/v2/team/app/manifests/v1").status_code == 202
    real = WrittenObjects._ask

    def dying(self: WrittenObjects, method: str, *given: Any) -> Any:
        if links(old, "v1") is None:
            raise StoreBusy("killed")
        return real(self, method, *given)

    monkeypatch.setattr(WrittenObjects, "_ask", dying)
    export(registry, source)
    assert (links(old, "v1"), old.has(history)) == (None, True)
    monkeypatch.setattr(WrittenObjects, "_ask", real)
    export(registry, source)
    assert not old.has(history)
    assert problems(registry) == []


def test_an_index_is_written_once_all_that_it_lists_is_there(
    registry: Registry, old: OldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.push("team/app", Image(), "v1")
    source = imported(registry)
    children = [registry.push_image("team/app").manifest for _ in range(2)]
    registry.put_manifest("team/app", "index", index_of(*children))
    late = {ROOT + names.revision_link_name("team/app", Digest.of(child)) for child in children}
    real = WrittenObjects._ask

    def failing(self: WrittenObjects, method: str, path: str, query: dict[str, str], *given: Any) -> Any:
        if query.get("name") in late:
            raise StoreBusy("not now")
        return real(self, method, path, query, *given)

    monkeypatch.setattr(WrittenObjects, "_ask", failing)
    export(registry, source)
    seen = contents(old, tmp_path / "layout")
    assert_complete(seen)
    assert not late & seen.keys()
