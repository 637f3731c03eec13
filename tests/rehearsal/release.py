"""A next release, made of this one: a migration that adds something, and a registry that says it is the next."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import requests

from tests.rehearsal.archives import Tree
from tests.rehearsal.stage import INSTANCES, Stage

MIGRATION: Final = "pre_rehearsal"
# What an additive migration does to a table that every pull reads: a moment of its exclusive lock, then an index.
_SQL: Final = """
ALTER TABLE tags ADD COLUMN rehearsed timestamptz;
CREATE INDEX tags_rehearsed ON tags (repository_id, rehearsed);
"""
_REVISION: Final = """
from functions.migrate.sql import execute

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    execute("pre", "rehearsal")
"""
_ANSWER: Final = "json_response({}"
_NEXT_ANSWER: Final = 'json_response({"release": "next"}'


def make_next(tree: Tree) -> None:
    """Adds a migration. The newest is not undone instead, for this release need not serve the schema before it."""
    versions = tree.functions / "migrate" / "versions" / "pre"
    (versions / "rehearsal.sql").write_text(_SQL)
    (versions / "rehearsal.py").write_text(_REVISION.format(revision=MIGRATION, before=_newest(versions)))
    base = tree.functions / "api" / "v2" / "base.py"
    assert base.read_text().count(_ANSWER) == 1
    base.write_text(base.read_text().replace(_ANSWER, _NEXT_ANSWER))


def release_next(stage: Stage, tree: Tree) -> list[str]:
    """The steps of docs/deploy.md, "A new release". What the migrations did."""
    migrate = tree.apply('google_cloudfunctions2_function.this["migrate"]')
    stage.deploy(migrate, "migrate")
    applied = stage.migrate("pre")
    whole = tree.apply()
    for program in ("api", "gc"):
        stage.deploy(whole, program)
    stage.deploy(whole, "registry", INSTANCES)
    return applied + stage.migrate("post")


def is_next(stage: Stage) -> bool:
    """Says whether all that answers is the next release."""
    client = stage.client("rehearsal/release")
    answers: list[requests.Response] = [client.request("GET", "/v2/", hoped=200) for _ in range(5 * INSTANCES)]
    return all(answer.json() == {"release": "next"} for answer in answers)


def _newest(versions: Path) -> str:
    texts = [path.read_text() for path in versions.glob("*.py")]
    revisions, before = (
        {found for text in texts for found in re.findall(rf'^{name} = "(\w+)"$', text, re.MULTILINE)}
        for name in ("revision", "down_revision")
    )
    (newest,) = revisions - before
    return str(newest)
