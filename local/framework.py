"""`functions-framework`, its command line unchanged, on a socket that listens already, for clients that try TLS.

docker, podman, skopeo and crane greet a registry with TLS first and fall back to plain HTTP once that is refused. The
framework's server waits for the end of a line instead, which a greeting need not have: docker then loses ten seconds a
push. Here such a greeting is refused at its first byte. Deployed functions never see one: TLS ends in front of them.
"""

from __future__ import annotations

from typing import Any, Final

from functions_framework._cli import _cli
from gunicorn.http.errors import InvalidRequestLine
from gunicorn.http.message import Request

from local.giving_way import give_way
from local.listening import take_over

_TLS_HANDSHAKE: Final = 0x16


def refuse_tls_greetings() -> None:
    read_into = Request.read_into

    def read(self: Any, unreader: Any, buffer: bytearray, stop: bool = False) -> None:
        read_into(self, unreader, buffer, stop=stop)
        if buffer[0] == _TLS_HANDSHAKE:
            raise InvalidRequestLine("a TLS greeting")

    Request.read_into = read


if __name__ == "__main__":
    take_over()
    refuse_tls_greetings()
    give_way()
    _cli()
