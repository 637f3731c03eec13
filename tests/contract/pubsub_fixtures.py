"""Fixtures of the Pub/Sub contract suite; a test module takes them by naming this one in `pytest_plugins`.

The suite runs on the Pub/Sub that SLIPWAY_TEST_PUBSUB names, else on ours: Google's own emulator is the
second opinion. What only ours does is skipped there.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient, SubscriberClient

from local.pubsub import Delivery, FakePubSub
from tests.contract.pubsub_support import Project, Receiver, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    Clients = tuple[PublisherClient, SubscriberClient]


@pytest.fixture(scope="module")
def pubsub_target() -> Iterator[Target]:
    if address := os.environ.get("SLIPWAY_TEST_PUBSUB"):
        yield Target(address, None)
        return
    with FakePubSub() as fake, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PUBSUB_EMULATOR_HOST", fake.address)
        yield Target(fake.address, fake)


@pytest.fixture(scope="module")
def pubsub_clients(pubsub_target: Target) -> Iterator[Clients]:
    """The generated clients, which find the target in the environment as they do in production code."""
    assert pubsub_target.address == os.environ["PUBSUB_EMULATOR_HOST"]
    credentials = AnonymousCredentials()
    with (
        PublisherClient(credentials=credentials) as publisher,
        SubscriberClient(credentials=credentials) as subscriber,
    ):
        yield publisher, subscriber


@pytest.fixture
def pubsub(pubsub_clients: Clients) -> Iterator[Project]:
    project = Project(f"project-{uuid.uuid4().hex[:8]}", *pubsub_clients)
    yield project
    project.clear()


@pytest.fixture
def fake_pubsub(pubsub_target: Target) -> Iterator[FakePubSub]:
    """Ours, with its knobs turned back afterwards."""
    if pubsub_target.fake is None:
        pytest.skip("only our own fake does this")
    yield pubsub_target.fake
    pubsub_target.fake.set_delivery(Delivery())


@pytest.fixture
def push_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
