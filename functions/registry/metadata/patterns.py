"""Patterns of repositories and tags: globs, which the database matches as regular expressions made of them here.

Its engine doesn't backtrack, so no pattern can make it slow.
"""

from __future__ import annotations

import re
from typing import Final

_REPOSITORIES: Final = re.compile(r"[a-z0-9._/*-]{1,255}")
_TAGS: Final = re.compile(r"[A-Za-z0-9._*-]{1,128}")
_STARS: Final = re.compile(r"\*+")


class PatternInvalid(ValueError):
    """The message says what a pattern is made of."""


def repository_regex(glob: str) -> str:
    """`*` is any run of characters but `/`, `**` any run of characters. Raises PatternInvalid."""
    if not _REPOSITORIES.fullmatch(glob):
        raise PatternInvalid("a pattern of repositories has 1 to 255 lower-case letters, digits, . _ - / and *")
    return _anchored(glob, one_star="[^/]*")


def tag_regex(glob: str) -> str:
    """`*` is any run of characters. Raises PatternInvalid."""
    if not _TAGS.fullmatch(glob):
        raise PatternInvalid("a pattern of tags has 1 to 128 letters, digits, . _ - and *")
    return _anchored(glob, one_star=".*")


def _anchored(glob: str, one_star: str) -> str:
    literal = glob.replace(".", r"\.")
    return "^" + _STARS.sub(lambda stars: one_star if len(stars[0]) == 1 else ".*", literal) + "$"
