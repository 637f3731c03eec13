"""Patterns of repositories and tags: globs, which the database matches by LIKE (pre/0011_neighbours.sql).

The regular expressions that are made of them here are for what LIKE can't say, which is no longer taken, and for the
release before this one.
"""

from __future__ import annotations

import re
from typing import Final

_REPOSITORIES: Final = re.compile(r"[a-z0-9._/*-]{1,255}")
_TAGS: Final = re.compile(r"[A-Za-z0-9._*-]{1,128}")
_STARS: Final = re.compile(r"\*+")
# What is left of it, or all of it, is as a pattern of namespaces: behind that anything may follow.
_WHOLE_NAMESPACES: Final = re.compile(r"([^/]*)/\*{2,}|([^/]*\*\*)(?:/\*)?")


class PatternInvalid(ValueError):
    """The message says what a pattern is made of."""


def repository_regex(glob: str) -> str:
    """`*` is any run of characters but `/`, `**` any run of characters. Raises PatternInvalid."""
    if not _REPOSITORIES.fullmatch(glob):
        raise PatternInvalid("a pattern of repositories has 1 to 255 lower-case letters, digits, . _ - / and *")
    stars = [len(run) for run in _STARS.findall(glob)]
    if 1 in stars and sum(length > 1 for length in stars) > 1:
        raise PatternInvalid("a pattern of repositories has ** once at most where it has * as well")
    return _anchored(glob, one_star="[^/]*")


def tag_regex(glob: str) -> str:
    """`*` is any run of characters. Raises PatternInvalid."""
    if not _TAGS.fullmatch(glob):
        raise PatternInvalid("a pattern of tags has 1 to 128 letters, digits, . _ - and *")
    return _anchored(glob, one_star=".*")


def stars(glob: str) -> int:
    """`**` is one."""
    return len(_STARS.findall(glob))


def namespace_of(repositories: str) -> str | None:
    """Returns the one namespace that a repository, or all that a pattern can match, belongs to; None if there may be
    others.
    """
    namespace, slash, _ = repositories.partition("/")
    return namespace if slash and "*" not in namespace else None


def whole_namespaces(glob: str) -> str | None:
    """Returns the namespaces all of whose repositories the pattern matches, as a glob of one star; None if there are
    none.

    A namespace's repositories are those whose names begin with it and a slash.
    """
    match = _WHOLE_NAMESPACES.fullmatch(glob)
    return (match[1] or match[2]) if match else None


def is_glob_match(glob: str, text: str) -> bool:
    """Compares the whole text; `*` is any run of characters. Takes no longer for a hostile glob than for a good one."""
    first, *rest = glob.split("*")
    if not rest:
        return glob == text
    *inner, last = rest
    if not text.startswith(first):
        return False
    position = len(first)
    for part in inner:
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return len(text) - position >= len(last) and text.endswith(last)


def _anchored(glob: str, one_star: str) -> str:
    literal = glob.replace(".", r"\.")
    return "^" + _STARS.sub(lambda stars: one_star if len(stars[0]) == 1 else ".*", literal) + "$"
