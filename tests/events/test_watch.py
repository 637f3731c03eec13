"""What terraform/watch.tf makes metrics of is what the delivery writes."""

from __future__ import annotations

import json
import re

import pytest

from functions.deliver import run as running
from functions.deliver.sending import GIVEN_UP_AFTER_SECONDS
from tests.conftest import ROOT
from tests.events.conftest import deliver, pass_time, subscribe
from tests.events.receiver import Answer, Receiver
from tests.support import Registry


def test_every_metric_of_the_delivery_is_of_a_line_that_it_writes(
    registry: Registry, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "MOST_DEAD_IN_A_ROW", 1)
    subscribe(registry.services, receiver.address, kinds=["tag.created"])
    receiver.mood = lambda _: Answer(500)
    registry.push_image("team/app", "1")
    deliver(registry.services)
    pass_time(registry.services, GIVEN_UP_AFTER_SECONDS + 10)
    deliver(registry.services)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    written = {line["message"]: line for line in lines}
    watch = (ROOT / "terraform" / "watch.tf").read_text()
    (watched,) = (json.loads(found) for found in re.findall(r'program +?= "deliver"\n +message +?= (.+)', watch))
    assert len(watched) == 2
    assert set(watched) <= written.keys()
    assert written["deliveries were given up"]["subscription"] == "all"
    assert written["events delivered"]["dead"] == 1
