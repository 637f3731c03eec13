"""The HTTP connections that Google's clients keep, but none that was idle for long (functions/registry/idle.py)."""

from __future__ import annotations

import time
from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from functions.registry import idle


class _Distrusting(HTTPConnection):
    """The pool closes what says that it is not connected, and connects it again."""

    _used_at = 0.0

    def connect(self) -> None:
        super().connect()
        self._used_at = time.monotonic()

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used_at = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        return idle.is_trusted(self._used_at) and super().is_connected


class _DistrustingTls(_Distrusting, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Distrusting


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _DistrustingTls


class _Adapter(HTTPAdapter):
    def send(self, *arguments: Any, **options: Any) -> Response:
        response = super().send(*arguments, **options)
        if not response.ok:
            # Read at once: the client leaves it be if it asked for a stream, and the connection would be lost.
            _ = response.content
        return response

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def distrusting(session: Session, at_once: int = 10) -> Session:
    """Returns the session, which has made no request yet, with room for so many connections."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_maxsize=at_once))
    return session
