"""What programs inherit from whoever starts them, put right before the first test, for all that the tests start."""

from __future__ import annotations

import os
import signal
from typing import Final

import pytest

from local.guard import knows_localhost

# Settings of our programs and of what they are made of: the tests give their own.
_SETTINGS: Final = (
    *("SLIPWAY_", "GOOGLE_", "CLOUDSDK_", "GCE_", "STORAGE_", "PUBSUB_", "GRPC_", "OTEL_", "GUNICORN_", "FUNCTION_"),
    *("FLASK_", "WERKZEUG_", "PG", "PYTHON", "GIT_", "TF_", "MAKE"),
)
_NAMES: Final = {
    *("HOST", "PORT", "THREADS", "WORKERS", "WEB_CONCURRENCY", "DEBUG", "DRY_RUN", "NETRC", "MFLAGS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}
# What the caller tells the tests.
_TOLD: Final = (
    "SLIPWAY_TEST_",
    "SLIPWAY_FUZZ_",
    "SLIPWAY_MACHINE_",
    "SLIPWAY_MOVING_",
    "SLIPWAY_TERRAFORM",
    "SLIPWAY_NGINX",
    "TF_CLI_",
)


def is_foreign(name: str) -> bool:
    """Says whether an environment variable could change what a test finds."""
    upper = name.upper()
    return (upper in _NAMES or upper.startswith(_SETTINGS)) and not upper.startswith(_TOLD)


def make_plain() -> None:
    """Called at the start of a test process, before there are other threads."""
    for name in [name for name in os.environ if is_foreign(name)]:
        del os.environ[name]
    # A shell starts what it runs in the background with SIGINT ignored, and every program hands that on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def require_localhost() -> None:
    """Skips the test where the name `localhost` leads nowhere, as in a root without /etc/hosts."""
    if not knows_localhost():
        pytest.skip("nothing here knows the name localhost: write '127.0.0.1 localhost' into /etc/hosts")
