"""The words of background migrations: their states, and what may be wanted of them."""

from __future__ import annotations

from typing import Final, Literal, get_args

State = Literal["active", "paused", "finished", "failed"]
Act = Literal["pause", "resume", "retry", "finish"]
ACTS: Final[tuple[Act, ...]] = get_args(Act)
