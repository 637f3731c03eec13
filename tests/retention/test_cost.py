"""What retention costs follows what is due, whatever else there is."""

from __future__ import annotations

from collections.abc import Callable

from functions.registry import telemetry
from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import Tag
from functions.registry.retention import gathering
from tests.metadata.build import APP, OpenTransaction, push_image, query
from tests.retention.conftest import age, all_runs, fall_due, put_policy
from tests.statements import of_tests

Collect = Callable[[], None]
# Of this transaction.
_SCANS = of_tests(
    "tests_scans_of_policies",
    int,
    """
    SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables
     WHERE schemaname = 'public' AND relname = 'retention_policies'
    """,
)


def test_a_push_looks_at_no_policy_however_many_there_are(database: Database, database_url: str) -> None:
    """Which one decides about its repository was found out before: expressions without end would cost it."""
    for number in range(40):
        put_policy(database, name=f"p{number}", repositories=f"team/r{number}*")
    put_policy(database)
    image = push_image(database, APP, "1")
    push = Push(APP, image.digest, parse_manifest(image.manifest, None), image.manifest, [Tag("2")])
    with OpenTransaction(database_url) as transaction:
        pushes.put(transaction, push)
        assert transaction.one_or_none(_SCANS()) == 0
        transaction.commit()
    assert query(database, "SELECT count(*) FROM retention_reviews") == [[2]]


def _push_many(database: Database, count: int) -> None:
    image = push_image(database, APP)
    for first in range(0, count, 100):
        names = [Tag(f"t{number}") for number in range(first, first + 100)]
        pushes.put(database, Push(APP, image.digest, parse_manifest(image.manifest, None), image.manifest, names))
    age(database, 10)


def test_tags_of_one_repository_share_the_walk_to_its_newest(database: Database, collect: Collect) -> None:
    """One walk for each of them would take hours where a repository has many."""
    _push_many(database, 600)
    put_policy(database, rules=[{"tags": "*", "keep": {"newest": 1}}, {"tags": "x*", "keep": {"newest": 20}}])
    collect()
    fall_due(database)
    with telemetry.recording() as record:
        assert gathering.gather(database, 70).judged == 600
    assert record.statements.count("retention_newest") == 1


def test_a_run_takes_tags_of_many_repositories_at_once(database: Database, collect: Collect) -> None:
    for number in range(30):
        for tag in ("old", "new"):
            push_image(database, type(APP)(f"team/r{number}"), tag)
            query(database, "UPDATE tags SET updated_at = updated_at - interval '2 hours'")
    put_policy(database, rules=[{"tags": "*", "keep": {"newest": 1}}])
    collect()
    with telemetry.recording() as record:
        for _ in range(2):
            fall_due(database)
            collect()
    [run] = all_runs(database)
    assert (run.state, run.removed) == ("done", 30)
    assert record.statements.count("retention_tags_remove") == 1
