"""What a plan says that it frees is what a collection frees afterwards, byte for byte."""

from __future__ import annotations

import time

from functions.registry import told
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import plans, policies, progress, runs
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.runs import Run
from functions.registry.oci.name import RepositoryName
from functions.registry.retention import applying, judging, planning
from tests.machines import QUEUES, collecting
from tests.metadata.build import APP, OTHER, push_image, push_index, put, query, set_grace, signature_of
from tests.retention.conftest import age, put_policy
from tests.support import Image

_USED = "SELECT manifest_bytes + blob_bytes FROM registry_totals"
_USED_BY = """
    SELECT manifest_bytes + blob_bytes FROM namespace_totals
      JOIN namespaces ON namespaces.id = namespace_id WHERE namespaces.name = 'team'
"""
CONFIG = b"{}"


def _plan(database: Database) -> Run:
    known = policies.get(database, "tidy")
    assert known is not None
    plan = NewPlan(known.id, "tidy", "team", known.revision, judging.written(known), None)
    run = plans.add(database, plan, "somebody")
    assert planning.make(database, 70, time.monotonic() + 60, run)
    found = runs.get(database, run)
    assert found is not None
    return found


def _freed(database: Database, run: int) -> tuple[int, int]:
    """Returns it by applying it and collecting all: in the registry and in the namespace."""
    collect_all(database)
    before = query(database, _USED)[0][0], query(database, _USED_BY)[0][0]
    assert progress.begin(database, run, "somebody")
    assert applying.apply_until(database, 70, run, time.monotonic() + 60)
    collect_all(database)
    return before[0] - query(database, _USED)[0][0], before[1] - query(database, _USED_BY)[0][0]


def collect_all(database: Database) -> None:
    with told.telling(told.COLLECTION):
        for _ in range(4):
            for queue in QUEUES:
                collect = collecting(database, queue)
                while collect():
                    pass


def _layers(*numbers: int) -> Image:
    return Image(CONFIG, tuple(b"layer %d" % number * (number + 1) for number in numbers))


def test_what_nothing_else_needs_is_told_exactly(database: Database) -> None:
    """Shared layers, an index, a signature, another tag of the same image, another repository, another namespace."""
    set_grace(database, undo=0, push=0, untag=0, cascade=0, upload=0, lease=0, unlink=0)
    images = [_layers(number, number + 1) for number in range(8)]
    for number, image in enumerate(images[:6]):
        push_image(database, APP, f"t{number}", image=image)
        age(database, 2)
    put(database, APP, images[0].manifest, "t9")
    push_index(database, APP, "t7", of=[images[1], images[2]])
    push_image(database, APP, image=signature_of(images[3].manifest))
    push_image(database, APP, image=images[6])
    push_image(database, OTHER, "x", image=images[4])
    push_image(database, RepositoryName("elsewhere/app"), "new", image=images[5])
    age(database, 2)
    put_policy(database, repositories=str(APP), rules=[{"tags": "*", "keep": {"newest": 1}}])
    plan = _plan(database)
    assert plan.waiting > 3
    freed = _freed(database, plan.id)
    assert (plan.bytes, plan.bytes_in_namespace) == freed
    assert freed[0] > 0


def test_where_untagged_manifests_are_kept_nothing_is_freed(database: Database) -> None:
    for tag in ("a", "b"):
        push_image(database, APP, tag)
        age(database, 2)
    query(database, "UPDATE repositories SET keep_untagged = true")
    put_policy(database, repositories=str(APP), rules=[{"tags": "*", "keep": {"newest": 1}}])
    plan = _plan(database)
    assert (plan.waiting, plan.bytes, plan.bytes_in_namespace) == (1, 0, 0)
