"""Layouts that chance has broken: each thing in them is imported or told of, nothing ends the import, nothing is a 5xx.

The long run takes 300 of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from functions.registry.imports import links, names
from functions.registry.imports.names import CurrentLink, LayerLink, RevisionLink, shown
from functions.registry.oci.digest import Digest
from tests.imports.broken_layouts import Broken, spoil
from tests.imports.importing import add, files, problems, run, states, upload
from tests.imports.truth import ROOT
from tests.metadata.build import query, value
from tests.support import Registry, index_of

_QUICK = 6
_MANY = 300


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_IMPORT_FOLDERS": "accept"}


@pytest.mark.parametrize("seed", range(_QUICK))
def test_a_broken_layout_is_imported_as_far_as_it_goes(
    registry: Registry, storage_address: str, tmp_path: Path, seed: int
) -> None:
    _import(registry, storage_address, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(_QUICK, _QUICK + _MANY))
def test_many_broken_layouts_are_imported_as_far_as_they_go(
    registry: Registry, storage_address: str, tmp_path: Path, seed: int
) -> None:
    _import(registry, storage_address, tmp_path, seed)


_WORK = """
from functions.migrate import work
from functions.registry.wiring import services
while work.run(services()):
    pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_a_worker_stays_small(registry: Registry, storage_address: str, environment: dict[str, str]) -> None:
    """It does so beside histories of 1,500 entries, manifests of 5 MiB, indexes of eight levels, links of a MiB."""
    made = Broken(0)
    made.objects.clear()
    for number in range(40):
        image = made.image(annotations={"x": chr(65 + number % 26) * ((3 if number % 2 else 5) << 20)})
        made.layers("team/large", image)
        made.manifest("team/large", image.manifest, f"v{number}")
    payload = made.push("team/deep").manifest
    for _ in range(8):
        made.manifest("team/deep", payload)
        payload = index_of(payload)
    made.manifest("team/deep", payload, "deep")
    for number in range(1500):
        old = Digest.of(f"{number}".encode())
        made.objects[names.history_link_name("team/long", "latest", old)] = str(old).encode()
    made.push("team/long", "latest")
    for number in range(30):
        made.objects[names.current_link_name("team/long", f"huge-{number}")] = made.noise(1 << 20)
    bucket = registry.services.settings.bucket
    upload(storage_address, bucket, {ROOT + name: content for name, content in made.objects.items()})
    add(registry.services)
    ended = subprocess.run(
        [sys.executable, "-c", _WORK],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert set(states(registry.services).values()) == {"imported"}
    assert int(ended.stdout.split()[-1]) < 250 * 1024


def _import(registry: Registry, storage_address: str, tmp_path: Path, seed: int) -> None:
    """Every third lies in a folder."""
    made = Broken(seed)
    if seed % 3 == 2:
        _write(tmp_path, made.objects)
        spoil(tmp_path, made.chance)
        objects = {name.removeprefix(ROOT): content for name, content in _readable(tmp_path).items()}
        add(registry.services, str(tmp_path))
    else:
        objects = made.objects
        bucket = registry.services.settings.bucket
        upload(storage_address, bucket, {ROOT + name: content for name, content in objects.items()})
        add(registry.services)
    run(registry.services)
    assert query(registry.services.database, "SELECT state, reason FROM import_sources") == [["open", None]]
    assert value(registry.services.database, "SELECT count(*) FROM import_repositories WHERE error IS NOT NULL") == 0
    told = problems(registry.services)
    faults = [*_unexplained_repositories(registry, objects, told), *_unexplained_content(registry, objects, told)]
    assert faults == []


def _write(folder: Path, objects: dict[str, bytes]) -> None:
    """Those whose names a folder can have."""
    for name, content in objects.items():
        path = folder / ROOT / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:
            continue


def _readable(folder: Path) -> dict[str, bytes]:
    return {
        name: content
        for name, content in files(folder).items()
        if name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").isprintable()
    }


Told = set[tuple[str, str, str, str]]


def _unexplained_repositories(registry: Registry, objects: dict[str, bytes], told: Told) -> Iterator[str]:
    """Each is here, or there is a reason why it is not."""
    found = states(registry.services)
    refused = {repository for repository, kind, _, _ in told if kind == "repository"}
    for name in objects:
        part = names.parse(name)
        if isinstance(part, CurrentLink | RevisionLink | LayerLink) and part.repository != names.GUARD:
            path = shown(part.repository)
            if found.get(path) != "imported" and path not in refused:
                yield f"{path!r} is {found.get(path)}"


def _unexplained_content(registry: Registry, objects: dict[str, bytes], told: Told) -> Iterator[str]:
    """Each tag and each manifest is pulled as it is, or there is a reason why it is not; no question is a 5xx."""
    explained = {(repository, key) for repository, _, key, _ in told}
    for name, content in objects.items():
        part = names.parse(name)
        match part:
            case CurrentLink(repository=repository, tag=tag):
                key, named = tag, links.read(content[: links.MOST_BYTES])
            case RevisionLink(repository=repository, digest=digest) | LayerLink(repository=repository, digest=digest):
                key, named = str(digest), digest
            case _:
                continue
        kind = "blobs" if isinstance(part, LayerLink) else "manifests"
        answer = registry.get(f"/v2/{quote(os.fsencode(repository))}/{kind}/{quote(os.fsencode(key))}")
        registry.get(f"/v2/{quote(os.fsencode(repository))}/tags/list")
        if answer.status_code >= 500:
            yield f"{answer.status_code} for {repository!r} {key!r}: {answer.text}"
        elif repository == names.GUARD or states(registry.services).get(shown(repository)) != "imported":
            continue
        elif kind == "manifests" and answer.status_code == 200:
            served = Digest.of(answer.data, named.algorithm) if named is not None else Digest.of(answer.data)
            if named is not None and served != named:
                yield f"{repository!r} {key!r} is served as {served}"
        elif answer.status_code not in (200, 307):
            reasons = {(shown(repository), shown(key)), (shown(repository), str(named))}
            if not reasons & explained:
                yield f"{answer.status_code} for {repository!r} {key!r}, which names {named}, and nobody says why"
