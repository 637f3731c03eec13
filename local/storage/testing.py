"""The fake inside the process of a test."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from local.storage.faults import Faults
from local.storage.server import Storage
from local.storage.signatures import Keys


class _QuietHandler(WSGIRequestHandler):
    # HTTP/1.0 would leave a client that sends its body in chunks, or expects "100 Continue", without an answer.
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: a test reads answers, not logs."""


@contextmanager
def serve(root: Path, keys: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve what is under `root` for as long as the block runs, and give the address.

    Each request has a thread and a connection of its own. `keys` says who may sign URLs, see `Keys`.
    """
    storage = Storage(root, Keys(keys or {}))
    server = make_server("127.0.0.1", 0, Faults(storage), threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        storage.close()
