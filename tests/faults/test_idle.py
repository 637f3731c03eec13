"""What was idle for long is opened anew: a network that has forgotten it would keep whoever asks waiting."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient

from functions.registry import idle
from functions.registry.blobs.gcs import Bucket, new_object_name
from functions.registry.events.trigger import Trigger
from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Database
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services
from local.pubsub import FakePubSub
from tests.contract.storage_support import StorageProcess
from tests.forgetful import Network, forgetful

TRUSTED = 0.4
# Far below any timeout of ours, and far above what an answer takes.
SOON = 9.0
SOMETHING = RepositoryName("some/thing")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "TRUSTED_SECONDS", TRUSTED)


def test_the_database(database_url: str) -> None:
    parts = urlsplit(database_url)
    with forgetful(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432") as network:
        url = f"postgresql://postgres@127.0.0.1:{network.port}{parts.path}"
        with closing(Database(url, size=5, wait_seconds=SOON)) as database, ThreadPoolExecutor(20) as threads:

            def burst() -> float:
                began = time.monotonic()
                asking = [threads.submit(repositories.exists, database, SOMETHING) for _ in range(20)]
                assert [each.result() for each in asking] == [False] * 20
                return time.monotonic() - began

            burst()
            assert 1 <= network.accepted <= 5
            network.forget()
            time.sleep(TRUSTED * 1.5)
            assert burst() < SOON
            # What is in use is kept.
            accepted = network.accepted
            burst()
            assert network.accepted == accepted or accepted < 10


@pytest.fixture
def network(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Gives the way to a store that keeps connections, as the real one does; with this test's bucket."""
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    with StorageProcess(tmp_path / "root", keys) as store:
        bucket = {"name": services.settings.bucket}
        requests.post(f"{store.endpoint}/storage/v1/b?project=test", json=bucket, timeout=10).raise_for_status()
        parts = urlsplit(store.endpoint)
        with forgetful((str(parts.hostname), int(parts.port or 80))) as network:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{network.port}")
            yield network


def upload(bucket: Bucket, content: bytes) -> str:
    name = new_object_name(uuid.uuid4())
    writer = bucket.start_object(name)
    writer.write(content)
    writer.close()
    return name


def test_the_store(services: Services, network: Network) -> None:
    """Requests of Google's client, and those that carry bytes, which have connections of their own."""
    bucket = Bucket(services.settings)
    content = bytes(range(256))
    name = upload(bucket, content)
    for work in (
        lambda: bucket.read_once(name, 256) == content,
        lambda: b"".join(bucket.read(name)) == content,
        lambda: upload(bucket, content),
        lambda: bucket.delete_all([name]) == {},
    ):
        network.forget()
        time.sleep(TRUSTED * 1.5)
        began = time.monotonic()
        assert work()
        assert time.monotonic() - began < SOON


def test_connections_to_the_store_that_were_used_are_used_again(services: Services, network: Network) -> None:
    """One connection for what is sent, which is the thread's own, and one for what goes by way of the client."""
    bucket = Bucket(services.settings)
    name = upload(bucket, b"content")
    assert bucket.read_once(name, 7) == b"content"
    accepted = network.accepted
    for _ in range(10):
        assert upload(bucket, b"content")
        assert bucket.read_once(name, 7) == b"content"
    assert network.accepted == accepted


def test_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakePubSub() as fake:
        host, _, port = fake.address.rpartition(":")
        with forgetful((host, int(port))) as network:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{network.port}")
            topic = "projects/idle/topics/gc-trigger"
            with PublisherClient(credentials=AnonymousCredentials()) as client:
                client.create_topic(name=topic)
            trigger = Trigger(topic, 0)
            assert trigger.publish()
            assert trigger.publish()
            network.forget()
            time.sleep(TRUSTED * 1.5)
            began = time.monotonic()
            assert trigger.publish()
            assert time.monotonic() - began < SOON
