"""Where events may be sent: strangers choose the address, and none leads into our network (docs/security.md)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from functions.deliver import webhooks
from functions.deliver.webhooks import Webhook
from functions.registry.events.targets import Address, TargetInvalid, is_topic
from tests.events.conftest import deliver, subscribe
from tests.events.receiver import Answer, Receiver
from tests.metadata.build import query
from tests.support import Registry
from tests.unit.test_jwks import PRIVATE


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, ...]) -> list[Any]:
    """Names are at these addresses, at others each time they are asked; what is connected to, and refused."""
    connected: list[Any] = []
    left = list(answers)

    def look_up(*_: Any, **__: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in found]

    def refuse(address: Any, **_: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return connected


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_an_address_that_is_not_public_is_not_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = resolving(monkeypatch, (address,))
    reply = Webhook("https://hooks.example.com/", frozenset()).post(b"{}", {})
    assert (reply.status, reply.text) == (None, "hooks.example.com is at an address that is not public")
    assert not connected


def test_one_such_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, ("8.8.8.8", "169.254.169.254"))
    assert Webhook("https://hooks.example.com/", frozenset()).post(b"{}", {}).status is None
    assert not connected


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere when it is asked again (DNS rebinding): it is not asked again."""
    connected = resolving(monkeypatch, ("8.8.8.8",), ("127.0.0.1",))
    webhook = Webhook("https://hooks.example.com/", frozenset())
    assert webhook.post(b"{}", {}).status is None
    assert connected == [("8.8.8.8", 443)]
    assert webhook.post(b"{}", {}).text == "hooks.example.com is at an address that is not public"
    assert connected == [("8.8.8.8", 443)]


@pytest.mark.parametrize("address", ["10.0.0.1", "172.31.0.9", "192.168.1.1", "fd12::1"])
def test_a_host_that_is_named_may_be_in_a_private_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, (address,))
    Webhook("https://hooks.internal/", frozenset({"hooks.internal"})).post(b"{}", {})
    assert connected == [(address, 443)]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "0.0.0.0"])  # noqa: S104  # to refuse
def test_a_host_that_is_named_is_never_this_machine_nor_its_platform(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = resolving(monkeypatch, (address,))
    assert "not public" in Webhook("https://hooks.internal/", frozenset({"hooks.internal"})).post(b"{}", {}).text
    assert not connected


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "http://127.0.0.1:8080/",
        "ftp://hooks.example.com/",
        "https://",
        "https://user@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/ x",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com/#part",
        "//hooks.example.com/",
        "hooks.example.com",
        "https://h\u00f6oks.example.com/",
        "https://hooks.example.com/" + "x" * 1100,
        "projects/short/topics/",
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(url: str, registry: Registry) -> None:
    with pytest.raises(TargetInvalid):
        Address.parse(url, frozenset())
    body = {"name": "odd", "repositories": "team/**", "target": url}
    assert registry.request("POST", "/api/v1/subscriptions", json=body).status_code == (
        201 if url == "http://127.0.0.1:8080/" else 400
    )


def test_ports_from_1024_on_and_443_are_a_receivers() -> None:
    assert Address.parse("https://hooks.example.com:8443/x?y=1", frozenset()) == Address(
        "hooks.example.com", 8443, "/x?y=1", is_secure=True
    )
    assert Address.parse("https://hooks.example.com", frozenset()).port == 443
    assert is_topic("projects/a-project/topics/a-topic")
    assert not is_topic("projects/a-project/topics/../x")


def test_a_redirect_is_not_followed(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    receiver.mood = lambda _: Answer(302, {"Location": "http://169.254.169.254/computeMetadata/v1/"})
    assert deliver(services) == 0
    assert len(receiver.received) == 1
    assert query(services.database, "SELECT state, status FROM deliveries") == [["waiting", 302]]


def test_an_answer_is_read_no_further_than_people_see_it(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    receiver.mood = lambda _: Answer(200, text="long \x1b[31m" + "x" * 100_000)
    assert deliver(services) == 1
    [[answer]] = query(services.database, "SELECT answer FROM deliveries")
    assert len(answer) <= 200
    assert answer.isprintable()


def test_a_receiver_that_says_nothing_is_cut_off(receiver: Receiver) -> None:
    receiver.mood = lambda _: Answer(wait_seconds=3)
    webhook = Webhook(receiver.address, frozenset({"127.0.0.1"}), seconds=0.3)
    reply = webhook.post(b"{}", {})
    assert reply.status is None
    assert reply.ms < 2000
    assert webhooks.SECONDS == 10
