"""Whatever is sent, the answer is one that the API's description tells of: never a fault, never late.

The long run takes SLIPWAY_FUZZ_REQUESTS (100,000 if not set) and SLIPWAY_FUZZ_SEED, which a failure prints.
"""

from __future__ import annotations

import os
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings

from tests.property import strategies
from tests.property.requests import Judge, Request
from tests.property.stranger import Stranger
from tests.property.strategies import IMAGE, OPEN_UPLOAD, REPOSITORY, TAG
from tests.support import Registry


@pytest.fixture
def judge(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Judge:
    judge = Judge.over(registry, monkeypatch)
    registry.push_image(REPOSITORY, TAG, IMAGE)
    return judge


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=strategies.requests())
def test_any_request_is_answered_as_the_description_says(judge: Judge, request: Request) -> None:
    if OPEN_UPLOAD in request.path:
        upload = judge.registry.start_upload(REPOSITORY).rpartition("/")[2]
        request = Request(**{**vars(request), "path": request.path.replace(OPEN_UPLOAD, upload)})
    judge.ask(request)


@pytest.mark.parametrize("seed", range(3))
def test_a_stranger_who_remembers_what_was_answered_finds_no_fault(judge: Judge, seed: int) -> None:
    harass(judge, seed, 400)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_requests_find_no_fault(judge: Judge) -> None:
    requests = int(os.environ.get("SLIPWAY_FUZZ_REQUESTS", "100000"))
    seed = int(os.environ.get("SLIPWAY_FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
    started = time.monotonic()
    statuses = harass(judge, seed, requests)
    seconds = time.monotonic() - started
    print(f"seed {seed}: {requests} requests in {seconds:.0f} s, {requests / seconds:.0f}/s, {statuses}")  # noqa: T201


def harass(judge: Judge, seed: int, count: int) -> dict[int, int]:
    """Returns how many answers had each status. Both a success and a refusal of every kind should be among them."""
    stranger = Stranger(random.Random(seed))  # noqa: S311  # repeatable, not secret
    statuses: dict[int, int] = {}
    for number in range(count):
        request = stranger.request()
        try:
            answer = judge.ask(request)
        except AssertionError as error:
            raise AssertionError(f"SLIPWAY_FUZZ_SEED={seed}, request {number}: {error}") from error
        stranger.learn(request, answer)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    assert {200, 201, 202, 400, 404, 405} <= set(statuses)
    return dict(sorted(statuses.items()))
