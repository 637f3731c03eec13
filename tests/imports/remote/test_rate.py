"""How often another registry is asked, and what it may ask of us in turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from functions.migrate.imports.remote.errors import AnswerInvalid, RemoteResting, TimeOver
from functions.migrate.imports.remote.rate import Rate, retry_after
from functions.migrate.imports.remote.sign_in import Challenge, read_challenge


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def rate(clock: Clock, per_second: float = 0) -> Rate:
    return Rate("there", per_second, clock=lambda: clock.now, sleep=clock.sleep)


def test_no_more_than_was_said() -> None:
    clock = Clock()
    paced = rate(clock, per_second=4)
    for _ in range(9):
        paced.wait(until=1000)
    assert clock.now == pytest.approx(102)


def test_rest_that_is_asked_for_is_given() -> None:
    clock = Clock()
    resting = rate(clock)
    resting.heed(429, {"Retry-After": "7"})
    resting.wait(until=1000)
    assert clock.now == 107
    resting.heed(200, {"RateLimit-Remaining": "0;w=3600", "RateLimit-Reset": "30"})
    with pytest.raises(RemoteResting):
        resting.wait(until=120)
    resting.wait(until=1000)
    assert clock.now == 137
    resting.heed(200, {"RateLimit-Remaining": "3", "RateLimit-Reset": "30"})
    resting.wait(until=1000)
    assert clock.now == 137
    with pytest.raises(TimeOver):
        resting.wait(until=137)


def test_for_how_long_is_read_with_care() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < (retry_after(soon) or 0) <= 90
    assert retry_after("12") == 12
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    for odd in (None, "", "soon", "-5", "9" * 40, "1e9"):
        assert retry_after(odd) is None


def test_challenges() -> None:
    text = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'
    assert read_challenge(text) == Challenge(
        "https://auth.example/token", "registry.example", "repository:a/b:pull,push"
    )
    assert read_challenge("bearer realm=https://a.example/t") == Challenge("https://a.example/t", "", "")
    assert read_challenge('Basic realm="x"') == Challenge("", "", "")
    for odd in (None, "", "Negotiate abc", "Bearer", 'Bearer service="x"'):
        with pytest.raises(AnswerInvalid):
            read_challenge(odd)
