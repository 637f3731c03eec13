"""What one tenant does beside another: each is asked without and with them.

An outsider's catalog, search and token for 30 names, beside the largest set of grants, rules and trusted publishers
that a namespace may have, of the worst kind; and a pull of another namespace beside a hundred bodies that trickle, and
beside twenty pushes of 4 MiB of annotations and eight of 4 MiB of small parts at once, which are listed meanwhile. That
crowd and the databases have the same processors as the one who pulls: so it is measured at another registry, too, and
what that costs is what the processors cost.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import requests

from benchmarks.measure import MEBIBYTE, PeakRss, Report, percentile, rss_bytes, table, worker_of
from functions.registry.auth.secrets import Peppers, make_secret
from functions.registry.config import Settings
from functions.registry.metadata.access import credentials, grants, principals, rules, trusted_publishers
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX
from local.stack import Options, Stack

_EVIL: Final = "evil"
_STARS: Final = 4
_ISSUER: Final = "https://gitlab.com"
_SETTLING_SECONDS: Final = 5


class Tenant:
    """A robot, its secret, and what it asks."""

    def __init__(self, address: str, database: Database, settings: Settings, name: str, pattern: str) -> None:
        self.url = f"http://{address}"
        self.robot = principals.create_robot(database, name)
        grants.add(database, self.robot.id, pattern, "writer")
        secret = make_secret()
        credentials.add_secret(database, self.robot.id, "bench", secret.id, Peppers(settings.pepper).hash(secret.text))
        self.basic = "Basic " + base64.b64encode(f"{name}:{secret.text}".encode()).decode()

    def token(self, *scopes: str) -> dict[str, str]:
        query = urlencode([("service", "slipway"), *(("scope", scope) for scope in scopes)])
        answer = requests.get(f"{self.url}/token?{query}", headers={"Authorization": self.basic}, timeout=60)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    def push(self, repository: str) -> str:
        """An index that lists nothing; its path."""
        head = {**self.token(f"repository:{repository}:pull,push"), "Content-Type": OCI_INDEX}
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
        path = f"{self.url}/v2/{repository}/manifests/v1"
        requests.put(path, data=body, headers=head, timeout=60).raise_for_status()
        return path


def milliseconds(ask: Callable[[], Any], times: int) -> list[float]:
    measured = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        measured.append((time.perf_counter() - started) * 1000)
    return measured


def worst_pattern(number: int, starred: int, repositories: list[str]) -> str:
    """It nearly matches each repository of its namespace, whose names are all alike. `starred` characters at most."""
    length = len(repositories[0]) - len(_EVIL) - 1
    if not starred:
        return f"{_EVIL}/{'a' * (length - 10)}b{number:04d}**"
    return f"{_EVIL}/" + ("*" + "a" * ((starred - 10) // (_STARS - 1))) * (_STARS - 1) + f"b{number:04d}*"


def fill(database: Database, outsider: Tenant, repositories: list[str], settings: Settings) -> None:
    """Makes as much as a namespace's administrator may."""
    each, starred = settings.grants_per_grantee, settings.starred_characters_per_grantee
    for grantee in (None, outsider.robot.id):
        for number in range(each):
            grants.add(database, grantee, worst_pattern(number, 0 if number else starred, repositories), "reader")
    for number in range(settings.rules_per_namespace):
        pattern = worst_pattern(number, len(repositories[0]) - 20, repositories)
        rules.add(database, NewRule(str(number), 1, "immutable", pattern, "*a*b*c*d"))
    robot = principals.create_robot(database, f"{_EVIL}+ci", _EVIL)
    more = {f"claim{number:02d}": "y" * 255 for number in range(19)}
    for _ in range(settings.trusted_publishers_per_namespace):
        trusted_publishers.add(database, robot.id, _ISSUER, {"project_id": "1", **more})


def lists(address: str, database: Database, settings: Settings, count: int, times: int) -> list[list[str]]:
    evil = Tenant(address, database, settings, "evil-writer", f"{_EVIL}/**")
    outsider = Tenant(address, database, settings, "outsider", "elsewhere/**")
    repositories = [f"{_EVIL}/{'a' * 180}{number:05d}" for number in range(count)]
    short = [f"{_EVIL}/{'a' * 20}{number:05d}" for number in range(30)]
    for repository in repositories:
        evil.push(repository)
    catalog = outsider.token("registry:catalog:*")

    def get(path: str) -> Callable[[], Any]:
        return lambda: requests.get(outsider.url + path, headers=catalog, timeout=60).raise_for_status()

    asked = {
        "catalog": get("/v2/_catalog?n=1000"),
        "search": get("/api/v1/repositories?n=100"),
        "token for 30 names": lambda: outsider.token(*(f"repository:{name}:pull" for name in short)),
    }
    without = {name: milliseconds(ask, times) for name, ask in asked.items()}
    fill(database, outsider, repositories, settings)
    beside = {name: milliseconds(ask, times) for name, ask in asked.items()}
    return [row(name, without[name], beside[name]) for name in asked]


def row(name: str, without: list[float], beside: list[float]) -> list[str]:
    figures = [percentile(values, percent) for percent in (50, 99) for values in (without, beside)]
    ratios = (figures[1] / figures[0], figures[3] / figures[2])
    return [name, *(f"{figure:.1f}" for figure in figures), *(f"{ratio:.2f}" for ratio in ratios), "0"]


class Crowd:
    """Runs in a process of its own (benchmarks/crowd.py), from the start of the block to its end."""

    def __init__(self, kind: str, *rest: str) -> None:
        self._command = [sys.executable, "-m", "benchmarks.crowd", kind, *rest]
        self.statuses: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None or not self._process.stdout.readline():
            raise RuntimeError("the crowd did not begin")
        return self

    def __exit__(self, *_: object) -> None:
        said = self._process.communicate()[0]
        self.statuses = json.loads(said)


class Victim:
    """Pulls a manifest of its own again and again, and counts pulls that fail."""

    def __init__(self, address: str, database: Database, settings: Settings) -> None:
        tenant = Tenant(address, database, settings, "victim", "victim/**")
        self._path = tenant.push("victim/app")
        self._head = tenant.token("repository:victim/app:pull")
        self.failed = 0

    def pull(self) -> None:
        try:
            answer = requests.get(self._path, headers=self._head, timeout=10)
            self.failed += Digest.of(answer.content) != Digest.parse(answer.headers["Docker-Content-Digest"])
        except (requests.RequestException, KeyError):
            self.failed += 1

    def beside(self, name: str, crowd: Crowd, times: int) -> list[str]:
        self.failed = 0
        without = milliseconds(self.pull, times)
        with crowd:
            time.sleep(_SETTLING_SECONDS)
            beside = milliseconds(self.pull, times)
        return [*row(name, without, beside)[:-1], str(self.failed)]


def pulls(address: str, database: Database, settings: Settings, times: int) -> tuple[list[list[str]], str]:
    """A manifest's pull beside each crowd; and what the process held meanwhile, and how the crowd was answered."""
    victim = Victim(address, database, settings)
    noisy = Tenant(address, database, settings, "noisy", "noisy/**")
    worker = worker_of("functions/api/main.py")
    slow = victim.beside("pull beside 100 slow bodies", Crowd("slow", noisy.url), times)
    before = rss_bytes(worker)
    crowd = large_manifests(noisy)
    with PeakRss(worker) as held:
        large = victim.beside("pull beside large manifests", crowd, times)
    answered = ", ".join(f"{count} times {status}" for status, count in sorted(crowd.statuses.items()))
    memory = (
        f"The process held {before // MEBIBYTE} MiB before the large manifests, {held.peak // MEBIBYTE} MiB at most "
        f"beside them, and {rss_bytes(worker) // MEBIBYTE} MiB after them. They were answered: {answered}."
    )
    with registry() as (elsewhere, its_database, its_settings):
        noisy = Tenant(elsewhere, its_database, its_settings, "noisy", "noisy/**")
        apart = victim.beside("pull beside large manifests at another registry", large_manifests(noisy), times)
    return [slow, large, apart], memory


def large_manifests(tenant: Tenant) -> Crowd:
    authorization = tenant.token("repository:noisy/app:pull,push")["Authorization"]
    return Crowd("large", tenant.url, authorization, "noisy/app")


@contextmanager
def registry() -> Iterator[tuple[str, Database, Settings]]:
    """Returns one's address, and what it stands on."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = stack.enter_context(Stack(Options(0, folder, ephemeral=True, access="token")))
        settings = Settings.from_environment(running.environment)
        database = Database(settings.database, 4)
        stack.callback(database.close)
        yield running.address, database, settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=200, help="of the namespace that is full (default 200)")
    parser.add_argument("--times", type=int, default=100, help="how often each is asked (default 100)")
    parser.add_argument("--pulls", type=int, default=400, help="how many beside each crowd (default 400)")
    options = parser.parse_args()
    report = Report("What one tenant costs another", "benchmarks.neighbours")
    with registry() as (address, database, settings):
        beside, memory = pulls(address, database, settings, options.pulls)
        rows = [*beside, *lists(address, database, settings, options.repositories, options.times)]
    header = ["asked", "p50, ms", "beside them", "p99, ms", "beside them", "ratio of p50", "of p99", "failed"]
    report.add(table(header, rows), memory)
    report.write("neighbours")


if __name__ == "__main__":
    main()
