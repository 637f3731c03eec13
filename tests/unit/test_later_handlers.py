"""Handlers whose modules are loaded by their first request are there all the same, and not loaded before."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from functions.api.dispatch import endpoints
from functions.api.endpoint import LaterHandler
from tests.conftest import ROOT


def test_every_row_has_a_handler_that_is_there() -> None:
    later = [row.handler for row in endpoints().rows if isinstance(row.handler, LaterHandler)]
    assert len(later) > 50
    for handler in later:
        assert callable(getattr(import_module(handler.module), handler.name)), handler


def test_a_start_loads_what_pulls_and_pushes_take_and_nothing_of_the_rest() -> None:
    script = "import sys, functions.api.dispatch; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert {"functions.api.v2.manifests", "functions.api.v2.uploads"} <= loaded
    later = {row.handler.module for row in endpoints().rows if isinstance(row.handler, LaterHandler)}
    of_imports = {"functions.registry.imports.fetching", "functions.registry.metadata.imports.touching.touches"}
    assert loaded.isdisjoint(later | of_imports | {"functions.registry.metadata.lists.keyset"})
    assert not [name for name in loaded if name.startswith(("functions.api.v1", "functions.api.gitlab"))]
