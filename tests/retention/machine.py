"""Random steps under random policies: whatever goes was shown, was to go by a small model, and comes back.

Images of several platforms with referrers and signatures are pushed, moved and pulled; policies change, plans are made
and applied, runs are undone, garbage is collected without any grace, time goes by. After each step every tag that is
there can be pulled whole. `python -m tests.retention.machine --steps 100000` runs it for long.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, cast

from functions.gc import retention
from functions.registry import told
from functions.registry.metadata.access import rules as tag_rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import blobs, manifests, pushes, tags
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.metadata.retention import plans, policies, progress, runs
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.retention import applying, judging, planning, undoing
from functions.registry.wiring import Services
from tests.machines import QUEUES, collecting, run_for_long
from tests.metadata.build import artifact_of, pass_time, push_blob, put, query, set_grace
from tests.retention.model import HOUR, ModelTag, kept, random_rules
from tests.support import Image, index_of

_LEEWAY: Final = judging.leeway(10)
# A manifest here holds every blob, and from here they are mounted.
_POOL: Final = RepositoryName("pool/blobs")
_NAMES: Final = (RepositoryName("team/a"), RepositoryName("team/b"))
_CONFIGS: Final = tuple(b'{"config": %d}' % number for number in range(40))
_LAYERS: Final = tuple(b"layer %d" % number for number in range(6))
_KINDS: Final = ("v1.0.{}", "pr-{}", "build-{}", "main-{}")
_NEW_FORS: Final = (HOUR, 24 * HOUR)
_MOST_TAGS: Final = 60

_TAGS_OF: Final = """
    SELECT repositories.name, tags.name, manifest_id, extract(epoch FROM now() - tags.updated_at)::float8,
           CASE WHEN isfinite(tags.pulled_at) THEN extract(epoch FROM now() - tags.pulled_at)::float8 END,
           tag_refusal(repositories.name, tags.name, false, 0) IS NOT NULL
           OR coalesce(tags.restored_at + interval '7 days' > now(), false)
      FROM tags JOIN repositories ON repositories.id = repository_id
"""
_REMOVED: Final = """
    SELECT repositories.name, verdict.tag, run_id FROM retention_verdicts AS verdict
      JOIN repositories ON repositories.id = verdict.repository_id WHERE outcome = 'removed'
"""
_MANIFESTS: Final = """
    SELECT repositories.name, digest, payload,
           ARRAY(SELECT tags.name FROM tags WHERE manifest_id = manifests.id)
      FROM manifests JOIN repositories ON repositories.id = repository_id
"""
_LINKS: Final = """
    SELECT repositories.name, digest FROM repository_blobs JOIN repositories ON repositories.id = repository_id
"""
_PULL: Final = """
    UPDATE tags SET pulls = pulls + 1, pulled_at = now() FROM repositories
     WHERE repositories.id = repository_id AND repositories.name = :repository AND tags.name = :tag
"""
_AGE: Final = (
    """
    UPDATE tags SET updated_at = updated_at - make_interval(hours => :hours),
                    pulled_at = pulled_at - make_interval(hours => :hours),
                    restored_at = restored_at - make_interval(hours => :hours)
    """,
    """
    UPDATE tag_history SET updated_at = updated_at - make_interval(hours => :hours),
                           pulled_at = pulled_at - make_interval(hours => :hours)
    """,
)
_DUE: Final = (
    "UPDATE retention_reviews SET due_at = now() - interval '1 second'",
    "UPDATE retention_runs SET made_at = made_at - interval '2 hours' WHERE state = 'open'",
)


class Machine:
    """`step` raises AssertionError once a tag went that should not have, or is not whole."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._chance = random.Random(seed)  # noqa: S311  # no secret
        self._services = cast(
            Services,
            SimpleNamespace(database=database, settings=SimpleNamespace(pulls_and_pushes_interval_seconds=10)),
        )
        self._number = 0
        self._rules: list[dict[str, Any]] = []
        self._new_for = HOUR
        self._protected: list[int] = []
        # Signatures by their tags, and referrers by their digests, of what was pushed.
        self._belonging: dict[tuple[str, Digest], list[str | Digest]] = {}
        self._removed = self._restored = 0
        self.log: list[str] = []
        self._steps: dict[Callable[[], None], int] = {
            self._push: 12,
            self._push_again: 2,
            self._pull: 3,
            self._delete: 1,
            self._protect: 1,
            self._change_policy: 1,
            self._wait: 5,
            self._collect_retention: 5,
            self._plan_and_apply: 2,
            self._undo: 1,
            self._collect_garbage: 3,
        }
        set_grace(database, undo=168, push=0, untag=0, cascade=0, upload=0, lease=0, unlink=0, delete=1)
        for content in (*_CONFIGS, *_LAYERS):
            push_blob(database, _POOL, content)
        put(database, _POOL, Image(_CONFIGS[0], (*_CONFIGS[1:], *_LAYERS)).manifest, "all")
        self._change_policy()

    def step(self, number: int) -> None:
        [act] = self._chance.choices(list(self._steps), list(self._steps.values()))
        self.log = [*self.log[-30:], f"{number}: {act.__name__.removeprefix('_')}"]
        act()
        self._check()

    def end(self) -> None:
        """Each step was looked at."""

    def told(self) -> dict[str, int]:
        return {"removed": self._removed, "restored": self._restored}

    def _tags(self) -> dict[str, dict[str, ModelTag]]:
        found: dict[str, dict[str, ModelTag]] = {}
        for repository, name, *facts in query(self._database, _TAGS_OF):
            found.setdefault(repository, {})[name] = ModelTag(name, *facts)
        return found

    def _check(self) -> None:
        """Every tag can be pulled whole, and what belongs to its manifest is there."""
        rows = query(self._database, _MANIFESTS)
        here = {
            (repository, Digest.from_bytes(digest)): (payload, names) for repository, digest, payload, names in rows
        }
        links = {(repository, Digest.from_bytes(digest)) for repository, digest in query(self._database, _LINKS)}
        tagged = {(repository, name) for (repository, _), (_, names) in here.items() for name in names}
        left = [key for key, (_, names) in here.items() if names]
        for key in left:
            for belonging in self._belonging.get(key, ()):
                is_there = (key[0], belonging) in (tagged if isinstance(belonging, str) else here)
                assert is_there, f"{belonging} is gone, which belongs to {key}"
        seen = set()
        while left:
            key = left.pop()
            if key in seen:
                continue
            seen.add(key)
            assert key in here, f"{key} is lost"
            manifest = parse_manifest(here[key][0], None)
            left += [(key[0], child) for child in manifest.child_digests]
            assert all((key[0], blob) in links for blob in manifest.required_blobs), f"a blob of {key} is lost"

    # ---- what clients do

    def _put(self, repository: RepositoryName, payload: bytes, *tagged: str) -> None:
        digest = Digest.of(payload)
        if manifests.get(self._database, repository, digest) is None:
            self._belonging.pop((repository, digest), None)
        push = Push(repository, digest, parse_manifest(payload, None), payload, [Tag(tag) for tag in tagged])
        try:
            pushes.put(self._database, push)
        except ChangeRefused:
            self.log[-1] += ", refused"

    def _image(self, repository: RepositoryName) -> Image:
        image = Image(self._chance.choice(_CONFIGS), tuple(self._chance.sample(_LAYERS, 2)))
        for content in image.blobs:
            assert blobs.mount(self._database, repository, Digest.of(content), _POOL)
        return image

    def _push(self) -> None:
        """An image, or an index of two; often with a signature and something that refers to it."""
        repository = self._chance.choice(_NAMES)
        if len(self._tags().get(repository, {})) > _MOST_TAGS:
            return
        self._number += 1
        name = self._chance.choice(_KINDS).format(self._number)
        payload = self._image(repository).manifest
        if self._chance.random() < 0.3:
            children = [payload, self._image(repository).manifest]
            for child in children:
                self._put(repository, child)
            payload = index_of(*children)
        self._put(repository, payload, name)
        belonging = self._belonging.setdefault((repository, Digest.of(payload)), [])
        if self._chance.random() < 0.4:
            signature = Image(_CONFIGS[0], (), {"annotations": {"signs": str(Digest.of(payload))}})
            assert blobs.mount(self._database, repository, Digest.of(_CONFIGS[0]), _POOL)
            named = f"{Digest.of(payload)}.sig".replace(":", "-")
            self._put(repository, signature.manifest, named)
            belonging.append(named)
        if self._chance.random() < 0.3:
            referrer = artifact_of(payload, mediaType="application/vnd.oci.image.manifest.v1+json")
            self._put(repository, referrer)
            belonging.append(Digest.of(referrer))

    def _some(self) -> tuple[str, str] | None:
        found = [
            (repository, name)
            for repository, tags_ in self._tags().items()
            for name in tags_
            if not name.startswith("sha256-") and repository != _POOL
        ]
        return self._chance.choice(found) if found else None

    def _push_again(self) -> None:
        if some := self._some():
            self._put(RepositoryName(some[0]), self._image(RepositoryName(some[0])).manifest, some[1])

    def _pull(self) -> None:
        if some := self._some():
            query(self._database, _PULL, repository=some[0], tag=some[1])

    def _delete(self) -> None:
        if some := self._some():
            try:
                tags.delete(self._database, RepositoryName(some[0]), Tag(some[1]))
            except ChangeRefused:
                self.log[-1] += ", refused"

    def _protect(self) -> None:
        if self._protected and self._chance.random() < 0.7:
            tag_rules.remove(self._database, self._protected.pop())
        elif some := self._some():
            self._number += 1
            rule = NewRule(f"rule {self._number}", 0, "protected", some[0], some[1], "maintainer")
            self._protected.append(tag_rules.add(self._database, rule))

    # ---- what an administrator does

    def _change_policy(self) -> None:
        self._rules, self._new_for = random_rules(self._chance), self._chance.choice(_NEW_FORS)
        policy = NewPolicy("tidy", 1, "team/**", "enforce", self._rules, self._new_for, 100, 5000)
        policies.put(self._database, policy, "somebody", 10, None, is_seen=True)

    def _plan_and_apply(self) -> None:
        """Something may happen between the two: then that is left alone."""
        known = policies.get(self._database, "tidy")
        assert known is not None
        plan = NewPlan(known.id, "tidy", "team", known.revision, judging.written(known), None)
        run = plans.add(self._database, plan, "somebody")
        assert planning.make(self._database, _LEEWAY, time.monotonic() + 60, run)
        for _ in range(self._chance.randrange(3)):
            self._chance.choice([self._push_again, self._pull, self._delete])()
        with self._judged():
            if progress.begin(self._database, run, "somebody"):
                assert applying.apply_until(self._database, _LEEWAY, run, time.monotonic() + 60)
        if self._chance.random() < 0.3:
            self._undo(run)

    def _undo(self, run: int | None = None) -> None:
        """What it removed is there again, unless somebody has set it since or it was collected."""
        found = [each for each in runs.list_page(self._database, 20, 2**62, None, None) if each.state == "done"]
        if run is None and found:
            run = self._chance.choice(found).id
        if run is None or not runs.set_state(self._database, run, "undoing", ("done",)):
            return
        removed = {(repository, tag) for repository, tag, of in query(self._database, _REMOVED) if of == run}
        assert undoing.undo_until(self._database, run, time.monotonic() + 60)
        there = {(repository, name) for repository, tags_ in self._tags().items() for name in tags_}
        lost = query(
            self._database, "SELECT tag, note FROM retention_verdicts WHERE outcome = 'lost' AND run_id = :r", r=run
        )
        gone = {tag for tag, _ in lost}
        assert {(repository, tag) for repository, tag in removed if tag not in gone} <= there
        assert all("collected" in note or "protected" in note for _, note in lost), lost
        self._restored += len(removed) - len(lost)

    # ---- what happens by itself

    def _wait(self) -> None:
        hours = self._chance.choice([1, 3, 24, 72, 240])
        pass_time(self._database, hours)
        for sql in _AGE:
            query(self._database, sql, hours=hours)

    def _collect_retention(self) -> None:
        for sql in _DUE:
            query(self._database, sql)
        with self._judged():
            for _ in range(self._chance.choice([1, 2, 5, 50])):
                if not retention.collect(self._services, 500):
                    break

    def _collect_garbage(self) -> None:
        with told.telling(told.COLLECTION):
            for queue in QUEUES:
                collect = collecting(self._database, queue)
                while self._chance.random() < 0.9 and collect():
                    pass

    def _judged(self) -> Any:
        return _Judged(self)


class _Judged:
    """Around what removes: each tag that went was to go by the model, and a verdict says so."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __enter__(self) -> None:
        machine = self._machine
        self._before = machine._tags()
        self._verdicts = {tuple(row) for row in query(machine._database, _REMOVED)}

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            return
        machine = self._machine
        after = machine._tags()
        said = {
            (repository, tag)
            for repository, tag, _ in {tuple(row) for row in query(machine._database, _REMOVED)} - self._verdicts
        }
        went: set[tuple[str, str]] = set()
        for repository, known in self._before.items():
            reasons = kept(machine._rules, machine._new_for, list(known.values()), _LEEWAY)
            for name in known.keys() - after.get(repository, {}).keys():
                assert reasons[name] is None, f"{repository}:{name} went, which {reasons[name]} keeps"
                went.add((repository, name))
        assert went == said
        machine._removed += len(went)


if __name__ == "__main__":
    run_for_long(Machine)
