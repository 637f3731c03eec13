"""One row for each page of the console: its path, who shows it, and who does what its forms ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Response

from functions.api.console.forms import Form
from functions.api.console.rendering import Page
from functions.api.console.visitor import Visit
from functions.api.route import Query

Answer = Page | Response
Show = Callable[[Visit, re.Match[str], Query], Answer]
Do = Callable[[Visit, re.Match[str], Form], Answer]


@dataclass(frozen=True, slots=True)
class Row:
    """It is a page. `do` is None where that has no forms. Without `has_session` nobody needs to be signed in."""

    path: str
    show: Show
    do: Do | None = None
    has_session: bool = True
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(self.path))
