"""From here to the registry's host: names, connections, certificates, HTTP/2, the clock."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import requests

from slipway_cli.checks import Check

_SECONDS = 10
_SOON_DAYS = 14
# Tokens tell when they end: docker and the registry have to agree on what time it is.
_LARGEST_SKEW_SECONDS = 60


def check_host(url: str, what: str = "") -> Iterator[Check]:
    """Looks at name, connection and certificate; stops at the first that is in the way."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = _proxy(parts)
    if proxy:
        yield Check(f"proxy{what}", "note", f"{proxy} stands in between", "if it is in the way: NO_PROXY=" + host)
        return
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        yield Check(f"DNS{what}", "bad", f"{host} has no address: {error.strerror}", "is the name right? Ask your DNS")
        return
    yield Check(f"DNS{what}", "ok", f"{host} is {', '.join(addresses)}")
    started = time.monotonic()
    try:
        connection = socket.create_connection((host, port), timeout=_SECONDS)
    except OSError as error:
        advice = "a firewall, or nothing listens there"
        yield Check(f"connection{what}", "bad", f"port {port}: {error.strerror or error}", advice)
        return
    yield Check(f"connection{what}", "ok", f"port {port}, in {(time.monotonic() - started) * 1000:.0f} ms")
    with connection:
        if parts.scheme == "https":
            yield from _check_tls(connection, host, what)
        else:
            yield _without_tls(host, what)


def _proxy(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"} or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _check_tls(connection: socket.socket, host: str, what: str) -> Iterator[Check]:
    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE") or None)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            version, protocol = secured.version(), secured.selected_alpn_protocol()
            certificate = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        advice = "an authority of your own: put it into /etc/docker/certs.d/HOST/ca.crt, and REQUESTS_CA_BUNDLE=FILE"
        yield Check(f"TLS{what}", "bad", f"the certificate is refused: {error.verify_message}", advice)
        return
    except OSError as error:
        advice = "something in between answers instead, or the port is not one for TLS"
        yield Check(f"TLS{what}", "bad", f"no TLS: {error.strerror or error}", advice)
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    state, advice = ("note", "renew it") if days < _SOON_DAYS else ("ok", "")
    yield Check(
        f"TLS{what}", "note" if state == "note" else "ok", f"{version}, certificate good for {days} days", advice
    )
    if not what:
        yield _http2(protocol)


def _http2(protocol: str | None) -> Check:
    if protocol == "h2":
        return Check("HTTP/2", "ok", "spoken: bodies of any size pass")
    advice = "Cloud Run takes 32 MiB a request without it: push through the front (docs/deploy.md)"
    return Check("HTTP/2", "note", "not spoken", advice)


def _without_tls(host: str, what: str) -> Check:
    if host in {"localhost", "127.0.0.1", "::1"}:
        return Check(f"TLS{what}", "ok", "none, which clients accept of this machine")
    advice = f'docker wants TLS, or "insecure-registries": ["{host}"] in /etc/docker/daemon.json'
    return Check(f"TLS{what}", "bad", "none: what is sent can be read and changed", advice)


def check_clock(answer: requests.Response) -> Check | None:
    """Returns None where the answer doesn't say what time it is there."""
    told = answer.headers.get("Date")
    if told is None:
        return None
    seconds = round((datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds())
    if abs(seconds) <= _LARGEST_SKEW_SECONDS:
        return Check("clock", "ok", f"{abs(seconds)} s apart")
    late = "ahead" if seconds > 0 else "behind"
    return Check(
        "clock", "bad", f"this machine is {abs(seconds)} s {late}", "tokens won't be good: set the clock by NTP"
    )
