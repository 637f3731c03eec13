"""What the fake does by the clock: it gives back the space of what was dropped, and ends sessions that are too old."""

import logging
import threading
from typing import Final

from local.storage.sessions import Sessions
from local.storage.store import Store

INTERVAL_SECONDS: Final = 10

_log = logging.getLogger(__name__)


class Upkeep:
    """A thread that looks every few seconds, until it is stopped."""

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                self._store.unlink_dropped()
                self._sessions.expire()
            except Exception:  # noqa: BLE001 - a full disk most of all; the next look may succeed
                _log.exception("the upkeep of the store failed")
