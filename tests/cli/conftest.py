"""The command line beside a registry in token mode."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from functions.migrate.checks.work import Checks
from functions.registry import wiring
from functions.registry.events.trigger import Trigger
from tests.cli.stand import Server, Stand, Stocked, serve
from tests.forgotten import forget_services, made_services
from tests.gc.conftest import hasty
from tests.scenes import Scenes
from tests.security.conftest import access_secrets
from tests.security.people import Guarded

__all__ = ["access_secrets", "hasty"]

_OURS = (
    "SLIPWAY_REGISTRY", "SLIPWAY_ROBOT", "SLIPWAY_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "K_SERVICE",
    "CLOUD_RUN_JOB", "GCE_METADATA_HOST", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "_SLIPWAY_COMPLETE",
)  # fmt: skip


@pytest.fixture(scope="session")
def server(api_function: Client) -> Iterator[Server]:
    """The api as it is served, behind a socket."""
    with serve(api_function.application) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet."""
    for name in _OURS:
        monkeypatch.delenv(name, raising=False)
    for name, folder in {"HOME": "", "XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def guarded_environment(environment: dict[str, str], access_secrets: dict[str, str], server: Server) -> dict[str, str]:
    """What a deployment in token mode gives a function."""
    return {
        **environment,
        **access_secrets,
        "SLIPWAY_ACCESS": "token",
        "SLIPWAY_TOKEN_REALM": f"{server.address}/token",
        "SLIPWAY_TOPIC": "a-topic",
        "SLIPWAY_CONSOLE_ISSUER": "https://login.example.com",
        "SLIPWAY_CONSOLE_CLIENT_ID": "slipway",
        "SLIPWAY_BACKUPS": "gs://elsewhere",
        "SLIPWAY_REGISTRY": server.address,
        "SLIPWAY_REQUESTS_PER_MINUTE": "100000",
    }


def _publish(trigger: Trigger, *_: int) -> bool:
    """What wakes `work` finds it at its checks, at once; nothing else comes to anybody."""
    services = wiring.services()
    if trigger is services.work_trigger:
        with Checks(services) as checking:
            while checking.work(time.monotonic() + 60):
                pass
    return True


@pytest.fixture
def bare(
    server: Server,
    home: Path,
    guarded_environment: dict[str, str],
    api_function: Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Stand]:
    """A registry in token mode that knows nobody."""
    server.asked.clear()
    for name, value in guarded_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Trigger, "publish", _publish)
    yield Stand(Guarded(api_function, made_services()), server, home, capsys, monkeypatch)
    forget_services()


@pytest.fixture
def stand(bare: Stand, scenes: Scenes) -> Stand:
    """One with people, and with what they pushed."""

    def build() -> Stocked:
        bare.stock()
        bare.push()
        return bare.stocked()

    bare.put_back(scenes.set("stand", build))
    folder = bare.home / ".config" / "slipway"
    folder.mkdir(parents=True)
    contexts = {"current": None, "contexts": {"production": bare.server.address}}
    (folder / "config.json").write_text(json.dumps(contexts))
    return bare
