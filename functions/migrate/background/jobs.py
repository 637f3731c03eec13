"""The background migrations that this release can work at, by the names under which the schema registers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.background import tag_subjects
from functions.registry.metadata.background.keys import Part
from functions.registry.metadata.db import Session, Statement


@dataclass(frozen=True, slots=True)
class Job:
    """`part` finds the next rows in the order of the table's key; `fill` does those behind its first key, as far as the
    second, in the session's transaction.
    """

    part: Statement[Part]
    fill: Callable[[Session, str, str], None]


JOBS: Final = {
    "tag_subjects": Job(tag_subjects.PART, tag_subjects.fill),
}
