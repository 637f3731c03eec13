"""Globs match, in the database, exactly what a plain reading of them says; and no pattern can make it slow."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.registry.metadata.access.patterns import (
    PatternInvalid,
    _anchored,
    is_glob_match,
    namespace_of,
    repository_regex,
    stars,
    tag_regex,
    whole_namespaces,
)
from functions.registry.metadata.db import Database
from tests.metadata.build import value

MATCHES = 'SELECT CAST(:text AS text) COLLATE "C" ~ CAST(:regex AS text)'
FITS = """
    SELECT CAST(:text AS text) COLLATE "C" LIKE glob_like(:glob)
           AND glob_fits(:text, :glob, glob_form(:glob), CAST(:regex AS text))
"""


def is_taken(glob: str) -> bool:
    try:
        repository_regex(glob)
    except PatternInvalid:
        return False
    return True


REPOSITORY_GLOBS = st.text("ab._-/*", min_size=1, max_size=8).filter(is_taken)
TAG_GLOBS = st.text("aA.-_*", min_size=1, max_size=8)
every_example = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def matches(glob: str, text: str, *, slashes: bool) -> bool:
    """Character by character. `slashes`: whether one star goes past a slash."""

    @cache
    def rest(at: int, of: int) -> bool:
        if at == len(glob):
            return of == len(text)
        if glob[at] != "*":
            return of < len(text) and glob[at] == text[of] and rest(at + 1, of + 1)
        is_double = glob[at : at + 2] == "**"
        takes = of < len(text) and (slashes or is_double or text[of] != "/")
        return rest(at + 1 + is_double, of) or (takes and rest(at, of + 1))

    return rest(0, 0)


def in_database(database: Database, regex: str, text: str) -> bool:
    return bool(value(database, MATCHES, text=text, regex=regex))


def test_the_simple_reading_reads_right() -> None:
    assert matches("team/*", "team/app", slashes=False)
    assert not matches("team/*", "team/app/x", slashes=False)
    assert matches("team/**", "team/app/x", slashes=False)
    assert not matches("a.b", "axb", slashes=False)
    assert matches("v*", "v1", slashes=True)


@every_example
@given(glob=REPOSITORY_GLOBS, text=st.text("abx.-/", max_size=8))
def test_a_pattern_of_repositories(database: Database, glob: str, text: str) -> None:
    expected = matches(glob, text, slashes=False)
    assert in_database(database, repository_regex(glob), text) is expected
    assert bool(value(database, FITS, text=text, glob=glob, regex=None)) is expected


@every_example
@given(parts=st.lists(st.sampled_from(["a", "*", "**", "b*", "_", "/", "/", "***", "x*y"]), min_size=1, max_size=8),
       names=st.lists(st.text("abxy_-/", max_size=9), min_size=1, max_size=4))  # fmt: skip
def test_a_pattern_made_of_parts(database: Database, parts: list[str], names: list[str]) -> None:
    """Some may be of those that are no longer taken: they are expressions."""
    glob = "".join(parts)
    regex = None if is_taken(glob) else _anchored(glob, one_star="[^/]*")
    for text in [*names, glob.replace("*", ""), glob.replace("*", "x"), glob.replace("*", "/")]:
        found = bool(value(database, FITS, text=text, glob=glob, regex=regex))
        assert found is matches(glob, text, slashes=False), (glob, text)


@every_example
@given(glob=TAG_GLOBS, text=st.text("aAx.-_", max_size=8))
def test_a_pattern_of_tags(database: Database, glob: str, text: str) -> None:
    expected = matches(glob, text, slashes=True)
    assert in_database(database, tag_regex(glob), text) is expected
    like = 'SELECT CAST(:text AS text) COLLATE "C" LIKE glob_like(:glob)'
    assert bool(value(database, like, text=text, glob=glob)) is expected


@pytest.mark.parametrize("text", ["team/app\n", "\nteam/app", "xteam/app", "team/appx", "TEAM/APP"])
def test_a_pattern_is_anchored_at_both_ends(database: Database, text: str) -> None:
    assert in_database(database, repository_regex("team/app"), "team/app")
    assert not in_database(database, repository_regex("team/app"), text)


@pytest.mark.parametrize(
    "glob", ["", "a?", "a[b]", "(a)", "a|b", "a+", "A", "a b", "a\n", "ä", "***:a", "a" * 256, "\0"]
)
def test_what_is_no_pattern_of_repositories_is_refused(glob: str) -> None:
    with pytest.raises(PatternInvalid, match="1 to 255"):
        repository_regex(glob)


@pytest.mark.parametrize("glob", ["", "a?", "a/b", "[a]", "a$", "^a", "a\\", "a\n", "a" * 129])
def test_what_is_no_pattern_of_tags_is_refused(glob: str) -> None:
    with pytest.raises(PatternInvalid, match="1 to 128"):
        tag_regex(glob)


NAMES = st.lists(st.text("ab.-", min_size=1, max_size=3), max_size=3).map("/".join)
# No glob has such a letter: only a star matches it.
STRANGERS = ("!", "!/!")


@every_example
@given(glob=REPOSITORY_GLOBS, namespace=st.text("ab.-", min_size=1, max_size=4), rest=NAMES)
def test_a_namespace_is_covered_by_what_matches_all_its_repositories(glob: str, namespace: str, rest: str) -> None:
    covered = whole_namespaces(glob)
    is_covered = covered is not None and is_glob_match(covered, namespace)
    assert is_covered is all(matches(glob, f"{namespace}/{each}", slashes=False) for each in STRANGERS)
    if is_covered and rest:
        assert matches(glob, f"{namespace}/{rest}", slashes=False)


@every_example
@given(glob=REPOSITORY_GLOBS, text=st.text("abx.-/", min_size=1, max_size=8))
def test_what_a_pattern_of_a_namespace_matches_lies_in_it(glob: str, text: str) -> None:
    namespace = namespace_of(glob)
    if namespace is not None and matches(glob, text, slashes=False):
        assert text.startswith(f"{namespace}/")
        assert namespace_of(text) == namespace


@pytest.mark.parametrize(
    ("glob", "namespace"),
    [("team/app", "team"), ("team/**", "team"), ("team/", "team"), ("/x", ""), ("team", None), ("te*/x", None),
     ("**", None), ("team**", None), ("*/team/x", None)],
)  # fmt: skip
def test_a_pattern_has_one_namespace_or_none(glob: str, namespace: str | None) -> None:
    assert namespace_of(glob) == namespace


def test_a_hostile_pattern_is_as_fast_as_any(database: Database) -> None:
    started = time.monotonic()
    for glob in ("*a" * 127, "**a" * 85, "*" * 255):
        in_database(database, repository_regex(glob), "a" * 254 + "!")
    assert time.monotonic() - started < 5  # hostile, it would take longer than anybody waits


@pytest.mark.parametrize(("glob", "count"), [("a", 0), ("team/**", 1), ("a*b**c***", 3), ("*/*/*", 3)])
def test_stars_are_counted(glob: str, count: int) -> None:
    assert stars(glob) == count


@pytest.mark.parametrize("glob", ["**/a*/**", "a/**/b/**/*", "*/**x**"])
def test_stars_of_both_kinds_that_like_can_not_tell_apart_are_refused(glob: str) -> None:
    with pytest.raises(PatternInvalid, match="once at most"):
        repository_regex(glob)


def test_the_worst_pattern_costs_little_however_many_there_are(database: Database) -> None:
    """Each of a thousand names with each of fifty patterns that nearly match."""
    sql = """
        SELECT count(*) FROM generate_series(1, 1000) AS number, generate_series(1, 50) AS other
         WHERE 'ns/' || repeat('a', 240) || number
               LIKE glob_like('ns/' || repeat('*' || repeat('a', 55), 4) || 'b' || other)
    """
    started = time.monotonic()
    assert value(database, sql) == 0
    assert time.monotonic() - started < 10
