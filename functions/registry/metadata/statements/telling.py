"""How a transaction is told who changes something, and why, and with which rank: settings that triggers read."""

from __future__ import annotations

from typing import Final

from functions.registry import told
from functions.registry.metadata.statements.statement import Call, Statement, compose

# What a transaction is told before it changes anything. It is a part of what transactions begin with, where they begin
# with a statement that is there anyway, so that they need no other.
TELL: Final = """set_config('slipway.actor', :actor, true), set_config('slipway.cause', :cause, true),
       set_config('slipway.request', :request, true)"""

TELLING: Final = Statement("tell", str, compose("SELECT $tell", tell=TELL), is_hot=True)

_SET_RANK: Final = Statement(
    "set_rank", str, compose("SELECT set_config('slipway.rank', :rank, true), $tell", tell=TELL), is_hot=True
)


def ranked(rank: int) -> Call[str]:
    """Returns what to put in front of a batch that rules may refuse: the rank of the caller's role, 0 for none."""
    return _SET_RANK(rank=str(rank))


def values_told() -> dict[str, str]:
    """Returns the parameters of `TELL`; empty where nobody said on whose behalf the thread works."""
    known = told.current()
    if known is None:
        return {"actor": "", "cause": "", "request": ""}
    return {
        "actor": known.actor,
        "cause": known.cause,
        "request": known.request.as_json() if known.request is not None else "",
    }
