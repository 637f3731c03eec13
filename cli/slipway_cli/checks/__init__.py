"""What `doctor` looks at: one function a question, and each answer with what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Check:
    """`bad` is in the way; a `note` explains what may be."""

    about: str
    state: State
    found: str
    advice: str = ""

    def shown(self) -> dict[str, Any]:
        return asdict(self)
