"""The rehearsal of `make rehearsal` in a few seconds: without a client's engine, a large layer and a release."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.rehearsal.archives import Release, lay_out
from tests.rehearsal.client import Pulls
from tests.rehearsal.faults import Faults, shorten
from tests.rehearsal.front import Front
from tests.rehearsal.nginx import MISSING, find_nginx
from tests.rehearsal.service import Limits, Service
from tests.rehearsal.stage import Stage, set_stage
from tests.terraform.conftest import NewTerraform
from tests.terraform.deployment import PROGRAMS, Deployment

_TINY: Final = "-var-file=examples/tiny.tfvars"
_MEBIBYTE: Final = 1 << 20
_PIECES: Final = [os.urandom(_MEBIBYTE) for _ in range(40)]
_DIGEST: Final = f"sha256:{hashlib.sha256(b''.join(_PIECES)).hexdigest()}"


@pytest.fixture(scope="module")
def release(deployments: Mapping[str, Deployment], tmp_path_factory: pytest.TempPathFactory) -> Release:
    folders = {program: lay_out(program, tmp_path_factory.mktemp(program)) for program in PROGRAMS}
    for folder in folders.values():
        shorten(folder / "functions")
    return Release(deployments["tiny"], folders)


@pytest.fixture(scope="module")
def stage(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Sets it with the packages of this run: they are those that the archives lock."""
    nginx = find_nginx()
    if nginx is None:
        pytest.skip(MISSING)
    with set_stage(release, Path(sys.prefix), nginx, tmp_path_factory.mktemp("stage")) as stage:
        yield stage
    assert [service.unclean for service in stage.services.values()] == [0] * len(stage.services)


def test_a_layer_larger_than_a_function_takes_passes_over_http2(stage: Stage) -> None:
    client = stage.client("rehearsal/large")
    location = client.start_upload()
    assert client.stream(location, _PIECES).status_code == 202
    client.request("PUT", f"{location}?digest={_DIGEST}", hoped=201)
    assert stage.fronts["registry"].layers[-1] == len(_PIECES) * _MEBIBYTE


def test_a_function_says_where_to_push_before_the_platform_cuts_it(stage: Stage, release: Release) -> None:
    client = stage.client("rehearsal/large", "api")
    answer = client.stream(client.start_upload(), _PIECES[:31])
    assert answer.status_code == 413
    assert release.deployment.outputs["registry_host"] in answer.json()["errors"][0]["message"]
    assert stage.fronts["api"].own_answers == {}
    client.request("PATCH", client.start_upload(), data=b"".join(_PIECES), hoped=413)
    assert stage.fronts["api"].own_answers == {413: 1}


def test_a_push_goes_on_at_another_instance_when_one_is_killed(stage: Stage) -> None:
    client = stage.client("rehearsal/killed")
    front, content = stage.fronts["registry"], b"".join(_PIECES)
    location, half = client.start_upload(), len(_PIECES) // 2
    client.stream(location, _PIECES[:half])
    front.kill_after = 5 * _MEBIBYTE
    assert client.stream(location, _PIECES[half:]).status_code == 503
    assert front.kills == 1
    offset = int(client.request("GET", location, hoped=204).headers["Range"].partition("-")[2]) + 1
    assert offset == half * _MEBIBYTE, "what was acknowledged is kept, and nothing else"
    client.request("PUT", f"{location}?digest={_DIGEST}", data=content[offset:], hoped=201)


def test_instances_freeze_when_idle_and_pulls_find_them_awake(stage: Stage) -> None:
    stage.client("rehearsal/small").push_image("v1")
    with Pulls(
        stage.address, stage.cloud.administrator, "rehearsal/small", "v1", threads=2, pause_seconds=0.2
    ) as pulls:
        deadline = time.monotonic() + 120
        while pulls.count <= 5 and time.monotonic() < deadline:
            time.sleep(0.1)
    assert pulls.failures == []
    assert pulls.count > 5
    assert stage.registry.frozen > 5


@pytest.fixture
def faults(stage: Stage) -> Faults:
    def promise(is_kept: bool, line: str) -> None:
        assert is_kept, line
        assert "failed pulls: 0 of " in line

    found = Faults(stage, "rehearsal/faults", promise, lambda _: None)
    found.prepare()
    return found


def test_connections_that_the_network_has_forgotten_cost_no_pull(faults: Faults, release: Release) -> None:
    faults.idle_connections(release)


def test_an_instance_gets_no_request_before_it_reaches_the_database(faults: Faults, release: Release) -> None:
    faults.first_minute(release)


def test_a_burst_that_finds_no_instance_is_answered(faults: Faults) -> None:
    faults.burst_from_zero()


def test_a_request_that_outlasts_its_time_is_ended_by_the_platform(stage: Stage, release: Release) -> None:
    limits = Limits(stage.registry.limits.concurrency, most_instances=1, seconds=1)
    client = stage.client("rehearsal/slow")
    location = client.start_upload()

    def slowly() -> Iterator[bytes]:
        for piece in _PIECES[:8]:
            time.sleep(0.3)
            yield piece

    with Service("short", limits, speaks_http2=True) as service, Front(service, 0) as front:
        service.deploy(stage.programs.registry(release))
        assert client.elsewhere(front.address).stream(location, slowly()).status_code == 504
        assert front.own_answers == {504: 1}
    client.request("DELETE", location, hoped=204)


@pytest.mark.terraform
def test_what_is_laid_out_here_is_what_terraform_zips(new_terraform: NewTerraform, tmp_path: Path) -> None:
    terraform = new_terraform(is_whole=True)
    terraform.run("plan", "-input=false", _TINY)
    for program in PROGRAMS:
        folder = lay_out(program, tmp_path / program, terraform.folder.parent / "functions")
        with zipfile.ZipFile(terraform.folder / "build" / f"{program}.zip") as archive:
            zipped = {name: archive.read(name) for name in archive.namelist()}
        laid_out = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert laid_out == zipped
