"""The parts that a process keeps are forgotten between tests, and what they hold open is closed."""

from __future__ import annotations

from functions.registry import wiring
from functions.registry.wiring import Services
from tests.sessions import SESSIONS


def forget_services() -> None:
    """The next request makes new ones, of the environment as it is then."""
    if wiring.services.cache_info().currsize:
        SESSIONS.close(wiring.services().database)
    wiring.services.cache_clear()


def made_services() -> Services:
    """New ones, of the environment as it is now, with sessions that earlier tests have left."""
    forget_services()
    services: Services = wiring.services()
    SESSIONS.lend(services.database)
    return services
