"""The scheduler ticks, on its own and when asked, whatever becomes of one tick."""

from __future__ import annotations

import logging
import threading
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from local.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Mapping

NEVER = 3600.0
SOON = 0.01


class Topic:
    """Keeps what is published; fails as often as told first."""

    def __init__(self, failures: int = 0) -> None:
        self.messages: Queue[tuple[bytes, dict[str, str]]] = Queue()
        self.failures = failures

    def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the topic is away")
        self.messages.put((data, dict(attributes)))
        return "1"


def test_every_tick_publishes_the_message() -> None:
    topic = Topic()
    with Scheduler(SOON, topic.publish, b"tick", {"kind": "tick"}):
        messages = [topic.messages.get(timeout=5) for _ in range(3)]
    assert messages == [(b"tick", {"kind": "tick"})] * 3


def test_nothing_is_published_before_the_first_interval_is_over() -> None:
    topic = Topic()
    with Scheduler(NEVER, topic.publish, b"tick"):
        assert topic.messages.empty()


def test_running_now_publishes_at_once() -> None:
    topic = Topic()
    with Scheduler(NEVER, topic.publish, b"tick") as scheduler:
        scheduler.run_now()
        assert topic.messages.get_nowait() == (b"tick", {})


def test_running_now_needs_no_ticking() -> None:
    topic = Topic()
    Scheduler(NEVER, topic.publish, b"tick").run_now()
    assert topic.messages.get_nowait() == (b"tick", {})


def test_a_failed_publish_is_logged_and_the_ticking_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    topic = Topic(failures=2)
    with caplog.at_level(logging.ERROR), Scheduler(SOON, topic.publish, b"tick"):
        assert topic.messages.get(timeout=5)
    assert [record.message for record in caplog.records] == ["a scheduled publish failed"] * 2


def test_stopping_ends_the_thread_within_the_interval() -> None:
    before = set(threading.enumerate())
    with Scheduler(NEVER, Topic().publish, b"tick"):
        assert {thread.name for thread in threading.enumerate() if thread not in before} == {"scheduler"}
    assert "scheduler" not in {thread.name for thread in threading.enumerate() if thread not in before}


def test_a_scheduler_that_never_started_can_be_stopped() -> None:
    Scheduler(NEVER, Topic().publish, b"tick").stop()


def test_a_message_without_data_is_refused() -> None:
    with pytest.raises(ValueError, match="needs data"):
        Scheduler(NEVER, Topic().publish, b"")
