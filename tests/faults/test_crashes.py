"""The api and the collector, killed between any two steps: nothing that a tag reaches is lost, and nothing leaks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import requests

from functions.gc.run import run
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from tests.faults.crash_operations import OPERATIONS, QUANTUM, repository, source
from tests.faults.crash_points import Launcher, Outcome
from tests.support import Registry

QUEUES: Final = ("uploads", "upload_objects", "deletions", "manifest_reviews", "link_reviews", "blob_reviews")
ROUNDS: Final = 8
_PASS_TIME: Final = """
    UPDATE uploads SET expires_at = now();
    UPDATE deletions SET not_before = now();
    UPDATE manifest_reviews SET review_after = now() - interval '1 second';
    UPDATE link_reviews SET review_after = now() - interval '1 second';
    UPDATE blob_reviews SET review_after = now() - interval '1 second';
"""
_CHANGING_NOTHING: Final = re.compile("answer|read|session DELETE|uploads_get|manifests_missing_.*")
# Steps that some operation must come by: a boundary that is no longer found is no boundary any more.
_EXPECTED: Final = {
    "push": {"uploads_get_with_parts+uploads_name_next", "_open_session", "session PUT bytes 0-262143/*", "answer"},
    "push_in_chunks": {
        "compose",
        "uploads_advance",
        "_upload",
        "quotas_claim+uploads_commit_blob+uploads_commit_link+uploads_commit",
    },
    "move_a_repository": {"moves_taken", "moves_rename", "COMMIT"},
    "delete_a_repository": {"set_rank+rules_unless_kept+removal_lock", "COMMIT"},
    "push_what_is_known": {"create_empty"},
    "collect": {"BEGIN", "COMMIT", "reviews_claim_links", "reviews_delete_links", "deletions_claim", "delete_all"},
}


class World:
    """The registry as it stands between two crashes, looked at from outside."""

    def __init__(self, registry: Registry, storage_address: str) -> None:
        self.registry = registry
        self._objects = f"{storage_address}/storage/v1/b/{registry.services.settings.bucket}/o"
        self._connection = Connection(registry.services.settings.database)
        self._http = requests.Session()
        self.execute("UPDATE gc_settings SET grace = '0'")

    def close(self) -> None:
        self._http.close()
        self._connection.close()

    def execute(self, sql: str) -> None:
        self._connection.simple(sql)

    def column(self, sql: str) -> list[Any]:
        return [row[0] for row in self._connection.run([(sql, {})])[0].rows]

    def tags(self, repository: str) -> list[str]:
        return self.registry.get(f"/v2/{repository}/tags/list").get_json().get("tags") or []

    def delete_tags(self, *repositories: str) -> None:
        """What they kept goes with the next GC run."""
        for name in repositories:
            for tag in self.tags(name):
                self.registry.request("DELETE", f"/v2/{name}/manifests/{tag}")

    def pull_everything(self, repositories: tuple[str, ...]) -> set[Digest]:
        """Invariant 1: what tags reach can be pulled, byte for byte. Gives the blobs."""
        pulled: set[Digest] = set()
        for name in repositories:
            for tag in self.tags(name):
                pulled |= self._pull(name, tag)
        return pulled

    def _pull(self, repository: str, reference: object) -> set[Digest]:
        answer = self.registry.get(f"/v2/{repository}/manifests/{reference}")
        assert answer.status_code == 200, (repository, reference, answer.text)
        document = answer.get_json(force=True)
        pulled: set[Digest] = set()
        for child in document.get("manifests", ()):
            pulled |= self._pull(repository, child["digest"])
        for referrer in self._referrers(repository, Digest.of(answer.data)):
            pulled |= self._pull(repository, referrer)
        for blob in [document["config"], *document["layers"]] if "layers" in document else ():
            digest = Digest.parse(blob["digest"])
            answer = self.registry.get(f"/v2/{repository}/blobs/{digest}")
            assert answer.status_code == 307, (repository, digest, answer.text)
            assert Digest.of(self._http.get(answer.headers["Location"], timeout=10).content) == digest
            pulled.add(digest)
        return pulled

    def _referrers(self, repository: str, digest: Digest) -> list[str]:
        answer = self.registry.get(f"/v2/{repository}/referrers/{digest}")
        return [entry["digest"] for entry in answer.get_json()["manifests"]]

    def objects(self) -> set[str]:
        return {entry["name"] for entry in self._http.get(self._objects, timeout=10).json().get("items", [])}

    def require_every_object_known(self) -> None:
        """Invariant 2, at any instant."""
        known = "SELECT object_name FROM {}"
        tables = ("upload_objects", "blobs", "deletions")
        assert self.objects() <= {name for table in tables for name in self.column(known.format(table))}

    def let_time_pass_and_collect(self) -> None:
        for _ in range(ROUNDS):
            self.execute(_PASS_TIME)
            if not any(run(self.registry.services).values()):
                return
        raise AssertionError("garbage collection does not come to an end")

    def require_nothing_leaked(self, reached: set[Digest]) -> None:
        """Invariant 2, after the grace: rows and objects of what tags reach, and no other."""
        for queue in QUEUES:
            assert self.column(f"SELECT count(*) FROM {queue}") == [0], queue  # noqa: S608  # from a list
        assert {Digest.from_bytes(digest) for digest in self.column("SELECT digest FROM blobs")} == reached
        assert self.objects() == set(self.column("SELECT object_name FROM blobs"))


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with Launcher(tmp_path_factory.mktemp("crashes") / "log") as launcher:
        yield launcher


@pytest.fixture
def world(registry: Registry, storage_address: str) -> Iterator[World]:
    world = World(registry, storage_address)
    registry.push_image("safe/image", "v1")
    yield world
    world.close()


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """A layer of some pieces need not be large."""
    return {**environment, "SLIPWAY_UPLOAD_CHUNK_BYTES": str(QUANTUM)}


@dataclass(frozen=True)
class Crashes:
    """One operation, killed again and again; each time on contents of its own."""

    launcher: Launcher
    environment: dict[str, str]
    world: World
    name: str

    def steps(self) -> list[str]:
        """All that the operation comes by if nothing kills it."""
        outcome = self._carry_out(seed=0, deadly=0, fate="finish")
        assert not outcome.has_died
        assert set(outcome.steps) >= _EXPECTED.get(self.name, set())
        return outcome.steps

    def crash(self, deadly: int, fate: str) -> None:
        """Crashes at the boundary with that number; then comes what `fate` says, and an end that leaves nothing."""
        assert self._carry_out(deadly, deadly, fate).has_died

    def _carry_out(self, seed: int, deadly: int, fate: str) -> Outcome:
        world, operation = self.world, OPERATIONS[self.name]
        repositories = ("safe/image", repository(seed), source(seed))
        operation.arrange(world.registry, seed)
        outcome = self._run(seed, deadly)
        world.pull_everything(repositories)
        world.require_every_object_known()
        if fate == "collect, then finish":
            world.let_time_pass_and_collect()
        if outcome.has_died and fate != "abandon":
            assert not self._run(seed, 0).has_died
        world.let_time_pass_and_collect()
        assert fate == "abandon" or operation.tag in (None, *world.tags(repository(seed)))
        world.require_nothing_leaked(world.pull_everything(repositories))
        world.delete_tags(*repositories[1:])
        return outcome

    def _run(self, seed: int, deadly: int) -> Outcome:
        return self.launcher.run(self.environment, self.name, seed, deadly)


@pytest.fixture(params=OPERATIONS)
def crashes(launcher: Launcher, environment: dict[str, str], world: World, request: pytest.FixtureRequest) -> Crashes:
    return Crashes(launcher, environment, world, request.param)


def test_a_crash_after_a_change_loses_and_leaks_nothing(crashes: Crashes) -> None:
    """Every third change, to be quick: all of them, and every boundary else, are tried below."""
    for deadly, fate in zip(list(after_changes(crashes.steps()))[::3], itertools.cycle(("finish", "abandon"))):
        crashes.crash(deadly, fate)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fate", ["finish", "abandon", "collect, then finish"])
def test_a_crash_at_any_step_loses_and_leaks_nothing(crashes: Crashes, fate: str) -> None:
    for deadly in range(1, len(crashes.steps()) + 1):
        crashes.crash(deadly, fate)


def after_changes(steps: list[str]) -> Iterator[int]:
    """The numbers of the boundaries that follow a change which others can see."""
    is_open = False
    for number, step in enumerate(steps[:-1], start=2):
        is_open = step == "BEGIN" or (is_open and step != "COMMIT")
        if not is_open and not _CHANGING_NOTHING.fullmatch(step):
            yield number


def test_only_boundaries_after_a_change_are_tried_in_haste() -> None:
    steps = ["uploads_get", "uploads_start", "answer", "BEGIN", "x", "COMMIT", "y"]
    assert list(after_changes(steps)) == [3, 7]
