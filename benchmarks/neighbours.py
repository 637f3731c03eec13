"""What one tenant does beside another: each is asked without and with them.

An outsider's catalog, search and token for 30 names, beside the largest set of grants, rules and trusted publishers
that a namespace may have, of the worst kind; and a pull of another namespace beside a hundred bodies that trickle.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import requests

from benchmarks.measure import Report, percentile, table
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
    """As much as a namespace's administrator may make."""
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
    return [name, *(f"{figure:.1f}" for figure in figures), f"{figures[1] / figures[0]:.2f}", "0"]


def pulls(address: str, database: Database, settings: Settings, times: int) -> list[list[str]]:
    """A manifest's pull, again and again, while a hundred connections send a byte now and then."""
    victim = Tenant(address, database, settings, "victim", "victim/**")
    path = victim.push("victim/app")
    head = victim.token("repository:victim/app:pull")
    failed = 0

    def pull() -> None:
        nonlocal failed
        try:
            answer = requests.get(path, headers=head, timeout=10)
            failed += Digest.of(answer.content) != Digest.parse(answer.headers["Docker-Content-Digest"])
        except (requests.RequestException, KeyError):
            failed += 1

    without = milliseconds(pull, times)
    host, port = address.split(":")
    is_over = threading.Event()

    def trickle() -> None:
        start = f"POST /v2/x/y/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\na".encode()
        while not is_over.is_set():
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(start)
                while not is_over.wait(1):
                    connection.sendall(b"a")

    crowd = [threading.Thread(target=trickle, daemon=True) for _ in range(100)]
    for each in crowd:
        each.start()
    time.sleep(5)
    beside = milliseconds(pull, times)
    is_over.set()
    for each in crowd:
        each.join(10)
    return [[*row("pull beside slow bodies", without, beside)[:-1], str(failed)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=200, help="of the namespace that is full (default 200)")
    parser.add_argument("--times", type=int, default=100, help="how often each is asked (default 100)")
    options = parser.parse_args()
    report = Report("What one tenant costs another", "benchmarks.neighbours")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = stack.enter_context(Stack(Options(0, folder, ephemeral=True, access="token")))
        settings = Settings.from_environment(running.environment)
        database = Database(settings.database, 4)
        stack.callback(database.close)
        rows = [
            *pulls(running.address, database, settings, options.times),
            *lists(running.address, database, settings, options.repositories, options.times),
        ]
    header = ["asked", "p50, ms", "beside them", "p99, ms", "beside them", "ratio of p50", "failed"]
    report.add(table(header, rows))
    report.write("neighbours")


if __name__ == "__main__":
    main()
