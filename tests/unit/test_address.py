"""Which address counts: what the trusted proxies saw, and nothing that a client says of itself."""

from __future__ import annotations

import pytest
from flask import Request
from werkzeug.test import create_environ

from functions.api.web.address import client_address


def address(forwarded: str | None, proxies: int, remote: str = "10.0.0.1") -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(Request(create_environ(headers=headers, environ_base={"REMOTE_ADDR": remote})), proxies)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        (None, 0, "10.0.0.1"),
        ("6.6.6.6", 0, "10.0.0.1"),
        ("6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.2", 2, "1.2.3.4"),
        ("1.2.3.4, 10.0.0.2", 2, "1.2.3.4"),
        ("6.6.6.6", 2, "10.0.0.1"),
        (None, 2, "10.0.0.1"),
        ("", 1, "10.0.0.1"),
        ("nonsense", 1, "unknown"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::/64"),
    ],
)
def test_whoever_comes_past_the_proxies_is_where_the_connection_is_from(
    forwarded: str | None, proxies: int, expected: str
) -> None:
    assert address(forwarded, proxies) == expected
