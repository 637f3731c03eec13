"""Keys of other issuers, and the requests for them: nothing but an issuer's own public https answers (attack 20)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final

import jwt
import pytest

from functions.registry import outgoing
from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.jwks import KeySets, key_set_at
from functions.registry.outgoing import OutgoingFailed, ask, is_public
from tests.issuer import DISCOVERY, KEY_SET, Issuer, certificate_of, ec_key, key_id, rsa_key, serve
from tests.surroundings import require_localhost

PRIVATE: Final = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sets(clock: Clock) -> KeySets:
    return KeySets(clock)


def own_key(issuer: Issuer) -> str:
    return key_id(issuer.key)


# ---- what is kept


def test_keys_are_found_by_discovery_and_kept(issuer: Issuer, sets: KeySets, clock: Clock) -> None:
    assert sets.key(issuer.address, own_key(issuer)).thumbprint == own_key(issuer)
    clock.now += 299
    sets.key(issuer.address, own_key(issuer))
    assert issuer.fetches == {DISCOVERY: 1, KEY_SET: 1}
    clock.now += 2
    sets.key(issuer.address, own_key(issuer))
    assert issuer.fetches == {DISCOVERY: 2, KEY_SET: 2}


def test_an_unknown_key_makes_us_ask_again_but_seldom(issuer: Issuer, sets: KeySets, clock: Clock) -> None:
    sets.key(issuer.address, own_key(issuer))
    clock.now += 31
    for number in range(50):
        with pytest.raises(TokenRefused, match="doesn't have"):
            sets.key(issuer.address, f"unknown {number}")
    assert issuer.fetches[KEY_SET] == 2
    clock.now += 29
    with pytest.raises(TokenRefused):
        sets.key(issuer.address, "unknown")
    assert issuer.fetches[KEY_SET] == 2
    clock.now += 2
    with pytest.raises(TokenRefused):
        sets.key(issuer.address, "unknown")
    assert issuer.fetches[KEY_SET] == 3


def test_a_new_key_is_found_and_an_old_one_forgotten(issuer: Issuer, sets: KeySets, clock: Clock) -> None:
    old = own_key(issuer)
    sets.key(issuer.address, old)
    issuer.rotate(ec_key())
    clock.now += 31
    assert sets.key(issuer.address, own_key(issuer)).algorithm == "ES256"
    with pytest.raises(TokenRefused):
        sets.key(issuer.address, old)


@pytest.mark.parametrize("mood", ["down", "failing", "redirecting", "oversized", "odd"])
def test_the_last_good_set_serves_while_the_issuer_is_down(
    issuer: Issuer, sets: KeySets, clock: Clock, mood: Any
) -> None:
    sets.key(issuer.address, own_key(issuer))
    issuer.mood = mood
    clock.now += 100_000
    before = sum(issuer.fetches.values())
    for _ in range(20):
        assert sets.key(issuer.address, own_key(issuer))
    assert sum(issuer.fetches.values()) == before + 1
    issuer.mood = "good"
    issuer.rotate(ec_key())
    clock.now += 31
    assert sets.key(issuer.address, own_key(issuer)).algorithm == "ES256"


def test_an_issuer_that_never_answered_is_asked_again_soon(issuer: Issuer, sets: KeySets, clock: Clock) -> None:
    issuer.mood = "down"
    for _ in range(5):
        with pytest.raises(IssuerUnavailable, match="try again later"):
            sets.key(issuer.address, own_key(issuer))
    assert issuer.fetches == {DISCOVERY: 1}
    issuer.mood = "good"
    clock.now += 6
    assert sets.key(issuer.address, own_key(issuer))


def test_many_at_once_ask_once(issuer: Issuer, sets: KeySets) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: sets.key(issuer.address, own_key(issuer)), range(64)))
    assert len(found) == 64
    assert issuer.fetches == {DISCOVERY: 1, KEY_SET: 1}


def test_while_one_asks_those_with_a_known_key_dont_wait(issuer: Issuer, sets: KeySets, clock: Clock) -> None:
    sets.key(issuer.address, own_key(issuer))
    issuer.mood = "slow"
    clock.now += 301
    asking = threading.Thread(target=sets.key, args=(issuer.address, own_key(issuer)))
    asking.start()
    deadline = time.monotonic() + 60
    while issuer.fetches[DISCOVERY] < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    started = time.monotonic()
    sets.key(issuer.address, own_key(issuer))
    assert time.monotonic() - started < 0.5
    issuer.mood = "good"
    issuer.ended.set()
    asking.join()


def test_keys_of_one_issuer_are_not_another_ones(issuer: Issuer, sets: KeySets) -> None:
    with serve(ec_key()) as other:
        assert sets.key(issuer.address, own_key(issuer))
        with pytest.raises(TokenRefused):
            sets.key(other.address, own_key(issuer))


def test_of_a_key_set_only_public_keys_that_sign_are_taken(issuer: Issuer, sets: KeySets) -> None:
    good, short = issuer.jwk(), rsa_key(bits=1024)
    private = jwt.algorithms.ECAlgorithm.to_jwk(ec_key(), as_dict=True)
    issuer.published = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {**private, "kid": "private"},
        {**good, "use": "enc", "kid": "encryption"},
        {"kty": "RSA", "kid": "broken"},
        {"kty": "new", "kid": "new"},
        jwt.algorithms.RSAAlgorithm.to_jwk(short.public_key(), as_dict=True) | {"kid": "short"},
        {**good, "kid": 1},
        "text",  # type: ignore[list-item]
        good,
    ]
    assert sets.key(issuer.address, own_key(issuer))
    for name in ("symmetric", "private", "encryption", "broken", "new", "short"):
        with pytest.raises(TokenRefused, match="doesn't have"):
            sets.key(issuer.address, name)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 1},
        {"jwks_uri": "http://example.com/keys"},
        {"jwks_uri": "http://169.254.169.254/computeMetadata/v1/"},
        {"jwks_uri": "http://metadata.google.internal/"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://127.0.0.1/keys"},
        {"jwks_uri": ""},
    ],
)
def test_a_discovery_document_that_leads_elsewhere_is_refused(
    issuer: Issuer, sets: KeySets, discovery: dict[str, Any]
) -> None:
    issuer.discovery = discovery
    with pytest.raises(IssuerUnavailable):
        sets.key(issuer.address, own_key(issuer))
    assert issuer.fetches == {DISCOVERY: 1}


@pytest.mark.parametrize("published", [[], [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]])
def test_a_key_set_without_keys_replaces_nothing(
    issuer: Issuer, sets: KeySets, clock: Clock, published: list[dict[str, Any]]
) -> None:
    sets.key(issuer.address, own_key(issuer))
    issuer.published = published
    clock.now += 301
    assert sets.key(issuer.address, own_key(issuer))


def test_an_issuer_elsewhere_cannot_have_its_keys_on_this_machine(
    issuer: Issuer, sets: KeySets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its document is answered as if it came from outside."""
    real = outgoing.ask
    far = "https://issuer.example"

    def answer(url: str, **options: Any) -> outgoing.Answer:
        if url.startswith(far):
            return outgoing.Answer(200, {"issuer": far, "jwks_uri": f"{issuer.address}{KEY_SET}"})
        return real(url, **options)

    monkeypatch.setattr(outgoing, "ask", answer)
    with pytest.raises(IssuerUnavailable):
        sets.key(far, own_key(issuer))
    assert not issuer.fetches


# ---- attack 20: where requests may go


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[Any]:
    """Every name is at these addresses; what is connected to, and refused."""
    connected: list[Any] = []

    def refuse(address: Any, **_: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return connected


@pytest.mark.parametrize("address", ["10.0.0.1", "172.31.0.9", "192.168.1.1", "100.64.0.1", "fd12::1", "8.8.8.8"])
def test_a_host_that_is_named_may_be_in_a_private_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, address)
    with pytest.raises(OutgoingFailed, match="doesn't answer"):
        ask("https://GitLab.internal/", private_hosts={"gitlab.internal"})
    assert connected == [(address, 443)]


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("169.254.169.254",), ("10.0.0.1", "127.0.0.1"), ("0.0.0.1",), ("::1",), ("fe80::1",), ("::",),
     ("::ffff:10.0.0.1",), ("64:ff9b::a9fe:a9fe",), ("224.0.0.1",), ("255.255.255.255",),
     ("8.8.8.8", "10.0.0.1", "0.0.0.1")],
)  # fmt: skip
def test_a_host_that_is_named_is_never_this_machine_nor_its_platform(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = resolving(monkeypatch, *addresses)
    with pytest.raises(OutgoingFailed, match="not public"):
        ask("https://gitlab.internal/", private_hosts={"gitlab.internal"})
    assert not connected


@pytest.mark.parametrize(
    "url",
    ["https://other.internal/", "https://x.gitlab.internal/", "https://gitlab.internal./", "http://gitlab.internal/",
     "https://10.0.0.1/"],
)  # fmt: skip
def test_no_other_host_is_let_in_by_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, "10.0.0.1")
    with pytest.raises(OutgoingFailed):
        ask(url, private_hosts={"gitlab.internal"})
    assert not connected


def test_the_keys_of_a_private_issuer_are_where_a_host_is_named(
    secure: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test takes loopback for a private network, and nothing for public."""
    monkeypatch.setattr(outgoing, "is_public", lambda _: False)
    monkeypatch.setattr(outgoing, "is_of_a_network", lambda _: True)
    assert KeySets(private_hosts={"localhost"}).key(secure.address, own_key(secure))
    assert key_set_at(f"{secure.address}{KEY_SET}", {"localhost"}).key(own_key(secure))
    fetches = dict(secure.fetches)
    with pytest.raises(IssuerUnavailable):
        KeySets(private_hosts={"gitlab.internal"}).key(secure.address, own_key(secure))
    secure.discovery = {"jwks_uri": "https://127.0.0.1:1/keys"}
    with pytest.raises(IssuerUnavailable):
        KeySets(private_hosts={"localhost"}).key(secure.address, own_key(secure))
    assert secure.fetches == {**fetches, DISCOVERY: fetches[DISCOVERY] + 1}


def test_redirects_are_not_followed(issuer: Issuer) -> None:
    issuer.mood, issuer.redirect_to = "redirecting", f"{issuer.address}{KEY_SET}"
    assert ask(f"{issuer.address}{DISCOVERY}", may_be_loopback=True).status == 302
    assert issuer.fetches == {DISCOVERY: 1}


def test_an_oversized_answer_is_refused(issuer: Issuer) -> None:
    issuer.mood = "oversized"
    with pytest.raises(OutgoingFailed, match="more than 65536"):
        ask(f"{issuer.address}{DISCOVERY}", may_be_loopback=True)


def test_a_slow_answer_is_cut_off_in_time(issuer: Issuer) -> None:
    """A byte each tenth of a second: no single wait is long."""
    issuer.mood = "slow"
    started = time.monotonic()
    with pytest.raises(OutgoingFailed, match="doesn't answer"):
        ask(f"{issuer.address}{DISCOVERY}", seconds=0.7, may_be_loopback=True)
    assert 0.6 < time.monotonic() - started < 6  # the whole of it would take half a minute


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Serves as a public host does that has a certificate."""
    require_localhost()
    with serve(is_secure=True) as running:
        monkeypatch.setattr(outgoing, "is_public", lambda _: True)
        monkeypatch.setattr(outgoing, "tls", lambda: ssl.create_default_context(cadata=certificate_of(rsa_key())))
        yield running


def test_keys_come_over_tls(secure: Issuer, sets: KeySets) -> None:
    assert secure.address.startswith("https://")
    assert sets.key(secure.address, own_key(secure))


def test_a_certificate_for_another_host_is_refused(secure: Issuer) -> None:
    with pytest.raises(OutgoingFailed, match="SSLCertVerificationError"):
        ask(secure.address.replace("localhost", "127.0.0.1"))
    assert not secure.fetches


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "tls", ssl.create_default_context)
    with pytest.raises(OutgoingFailed, match="SSLCertVerificationError"):
        ask(secure.address)
    assert not secure.fetches


def test_a_slow_answer_over_tls_is_cut_off_in_time(secure: Issuer) -> None:
    secure.mood = "slow"
    started = time.monotonic()
    with pytest.raises(OutgoingFailed):
        ask(f"{secure.address}{DISCOVERY}", seconds=0.7)
    assert 0.6 < time.monotonic() - started < 6  # the whole of it would take half a minute


def test_an_answer_without_an_end_is_not_taken_for_a_whole_one() -> None:
    """A server that sends a good document, and then holds the line."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve_once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"keys": []}')
                connection.recv(1)

        thread = threading.Thread(target=serve_once)
        thread.start()
        with pytest.raises(OutgoingFailed):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}/", seconds=0.5, may_be_loopback=True)
        thread.join()


def test_a_host_that_takes_no_connection_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OutgoingFailed, match="doesn't answer"):
        ask(f"http://127.0.0.1:{port}/", may_be_loopback=True)


def test_what_does_not_speak_tls_is_unavailable(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "is_public", lambda _: True)
    with pytest.raises(OutgoingFailed, match="SSL"):
        ask(issuer.address.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "http://127.0.0.2/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "gopher://localhost/",
        "localhost",
        "",
        "//localhost/",
        "https://",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://ex\u00e4mple.com/",
        "https://[::1/",
        "https://example.com:port/",
        "https://example.com:99999/",
    ],
)
def test_an_address_that_is_not_https_or_odd_is_refused_before_it_is_resolved(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("it was resolved"))
    with pytest.raises(OutgoingFailed):
        ask(url, may_be_loopback=True)


def test_this_machine_is_only_asked_where_that_is_allowed(issuer: Issuer) -> None:
    with pytest.raises(OutgoingFailed, match="not https"):
        ask(f"{issuer.address}{DISCOVERY}")
    assert not issuer.fetches


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "10.0.0.1",
        "0",
        "127.1",
    ],
)
def test_a_private_host_is_refused_however_it_is_written(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it was connected to"))
    with pytest.raises(OutgoingFailed):
        ask(f"https://{host}/", may_be_loopback=True)


def test_a_name_that_resolves_to_a_private_address_as_well_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("8.8.8.8", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it was connected to"))
    with pytest.raises(OutgoingFailed, match="not public"):
        ask("https://rebinding.example/")


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes between the look-up and the connection leads nowhere else."""
    answers = iter(["8.8.8.8", "169.254.169.254"])
    connected: list[Any] = []

    def refuse(address: Any, **_: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 443))]
    )
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(OutgoingFailed):
        ask("https://rebinding.example/")
    assert connected == [("8.8.8.8", 443)]


def test_localhost_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(OutgoingFailed, match="not public"):
        ask("http://localhost/", may_be_loopback=True)


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_of_our_own_networks_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "140.82.112.3", "2606:50c0:8000::153", "64:ff9b::808:808"])
def test_other_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("path", ["/a\x00b", "/" + "a" * 100_000])
def test_an_odd_path_does_no_harm(issuer: Issuer, path: str) -> None:
    try:
        answer = ask(f"{issuer.address}{path}", may_be_loopback=True)
    except OutgoingFailed:
        return
    assert answer.status >= 400
