"""What a preflight found: a line for each thing it looked at, for people and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

_SUBJECT_WIDTH: Final = 9
_STATE_WIDTH: Final = 6
_WIDTH: Final = 120


class State(StrEnum):
    """`MADE` was missing and is there now; `UNKNOWN` could not be found out; `LEFT` was not asked for."""

    OK = "ok"
    LEFT = "-"
    MADE = "made"
    WRONG = "WRONG"
    UNKNOWN = "?"


# What the program ends with: nothing is in the way of an apply; something is; nothing is that could be seen.
READY, NOT_READY, UNDECIDED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """`ask` says what to do or to ask for, of whom, in lines; a command among them starts with `$ `."""

    subject: str
    state: State
    text: str
    ask: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        indent = " " * (_SUBJECT_WIDTH + _STATE_WIDTH + 2)
        head = f"{self.subject:<{_SUBJECT_WIDTH}} {self.state:<{_STATE_WIDTH}} "
        shown = _wrapped(_plain(self.text), head, indent)
        for line in map(_plain, self.ask):
            # A command is one line, to be copied.
            shown += [indent + line] if line.startswith("$ ") else _wrapped(line, f"{indent}-> ", f"{indent}   ")
        return shown


def _wrapped(text: str, first: str, others: str) -> list[str]:
    """Names stay whole."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )


def _plain(text: str) -> str:
    """What others wrote goes to a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def verdict(findings: Sequence[Finding]) -> int:
    states = {finding.state for finding in findings}
    return NOT_READY if State.WRONG in states else UNDECIDED if State.UNKNOWN in states else READY


def summary(findings: Sequence[Finding]) -> str:
    wrong = sum(finding.state is State.WRONG for finding in findings)
    unknown = sum(finding.state is State.UNKNOWN for finding in findings)
    if not wrong and not unknown:
        return "ready: terraform apply"
    parts = [f"{wrong} to be put right"] * bool(wrong) + [f"{unknown} could not be found out"] * bool(unknown)
    return f"not ready: {', '.join(parts)}" if wrong else f"as far as could be seen, ready: {', '.join(parts)}"


def as_json(findings: Iterable[Finding]) -> str:
    shown = list(findings)
    return json.dumps({"exit_code": verdict(shown), "findings": [asdict(finding) for finding in shown]}, indent=2)
