"""The words that the program has for an import are those that the schema takes."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import vocabulary
from tests.metadata.build import value

_CHECKED = """
    SELECT pg_get_constraintdef(oid) FROM pg_constraint
     WHERE contype = 'c' AND conrelid = CAST(CAST(:table AS text) AS regclass)
       AND pg_get_constraintdef(oid) LIKE '%((' || :column || ' = ANY %'
"""


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("import_sources", "kind", vocabulary.SourceKind),
        ("import_sources", "state", vocabulary.SourceState),
        ("import_sources", "mode", vocabulary.Mode),
        ("import_sources", "untagged", vocabulary.Untagged),
        ("import_modes", "mode", vocabulary.Mode),
        ("import_ranges", "tree", vocabulary.Tree),
        ("import_repositories", "state", vocabulary.RepositoryState),
        ("import_tags", "state", vocabulary.TagState),
        ("import_problems", "kind", vocabulary.ProblemKind),
        ("import_problems", "reason", vocabulary.Reason),
    ],
)
def test_each_word_is_known_to_the_schema(database: Database, table: str, column: str, words: Any) -> None:
    definition = value(database, _CHECKED, table=table, column=column)
    assert set(re.findall(r"'([a-z0-9_]+)'", definition)) == set(get_args(words))
