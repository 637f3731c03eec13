"""Patterns of repositories, as grants, rules and imports have them: `*` within a part of a name, `**` across parts."""

from __future__ import annotations

import re

from slipway_cli.output import say


def fits(pattern: str | None, name: str | None) -> bool:
    """Says whether the registry would find the repository by the pattern. All fit None."""
    if pattern is None or name is None:
        return name is not None
    parts = re.split(r"(\*+)", pattern)
    expression = "".join(
        "[^/]*" if part == "*" else ".*" if part.startswith("**") else re.escape(part) for part in parts
    )
    return re.fullmatch(expression, name) is not None


def warn_of_one(pattern: str, line: str) -> None:
    """Says what a bare name means: often a whole namespace is meant by it. `line` has `{}` for what should be typed."""
    if "/" not in pattern and "*" not in pattern:
        say(f"{pattern} is the repository of that name alone, and none below it; the whole namespace:")
        whole = f"'{pattern}/**'"
        say(f"  {line.format(whole)}")
