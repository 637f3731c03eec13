"""The parts that a process keeps are forgotten between tests, and what they hold open is closed."""

from __future__ import annotations

from functions.registry import wiring


def forget_services() -> None:
    """The next request makes new ones, of the environment as it is then."""
    if wiring.services.cache_info().currsize:
        wiring.services().database.close()
    wiring.services.cache_clear()
