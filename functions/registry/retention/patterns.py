"""Patterns of tags in retention policies: globs, or RE2's regular expressions behind `re:`.

RE2 takes time in proportion to the text whatever the expression is, and its memory is bounded; PostgreSQL never sees
one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

LONGEST_PATTERN: Final = 200
_EXPRESSION: Final = "re:"
_GLOB: Final = re.compile(r"[A-Za-z0-9._*-]+")
# Of one compiled expression, in bytes: a program of a few thousand instructions.
_MOST_MEMORY: Final = 1 << 20


class PatternRefused(ValueError):
    """The message says what a pattern is made of."""


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Returns what tells whether a whole tag fits the pattern. Raises PatternRefused."""
    if not 0 < len(pattern) <= LONGEST_PATTERN:
        raise PatternRefused(f"a pattern of tags has 1 to {LONGEST_PATTERN} characters")
    if pattern.startswith(_EXPRESSION):
        return _compiled(pattern, pattern.removeprefix(_EXPRESSION))
    if not _GLOB.fullmatch(pattern):
        raise PatternRefused("a pattern of tags has letters, digits, . _ - and *, or it is re: and an RE2 expression")
    if pattern.strip("*") == "":
        return lambda _: True
    return _compiled(pattern, re.sub(r"\*+", ".*", pattern.replace(".", r"\.")))


def _compiled(pattern: str, expression: str) -> Callable[[str], bool]:
    import re2  # noqa: PLC0415  # imported only where there is a policy

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MOST_MEMORY
    try:
        compiled = re2.compile(expression, options)
    except re2.error as error:
        raise PatternRefused(f"{pattern!r} is no RE2 expression, or too large a one") from error
    return lambda tag: compiled.fullmatch(tag) is not None
