"""What is deployed: the same bytes for the same files, nothing that isn't needed, and it starts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from local.access import make_access_secrets
from tests.terraform.conftest import NewTerraform
from tests.terraform.deployment import PROGRAMS

pytestmark = pytest.mark.terraform

# Two functions of one folder.
_ROOMS: Final = {"work": "migrate"}
_TINY: Final = "-var-file=examples/tiny.tfvars"
# The roots of what functions-framework would find; a second copy of the tree must not be.
_START: Final = """
import os, sys
sys.path = [entry for entry in sys.path if entry not in ("", os.getcwd())]
import functions_framework
from werkzeug.test import Client
application = functions_framework.create_app(sys.argv[1], "main.py")
import functions
assert os.path.dirname(functions.__file__) == os.path.join(os.getcwd(), "functions"), functions.__file__
print(Client(application).get("/v2/").status_code if sys.argv[1] == "api" else "started")
"""


def _archives(folder: Path) -> dict[str, bytes]:
    return {program: (folder / "build" / f"{program}.zip").read_bytes() for program in PROGRAMS}


@pytest.mark.timeout(1800)
def test_the_same_tree_gives_the_same_archives(new_terraform: NewTerraform) -> None:
    terraform = new_terraform(is_whole=True)
    terraform.run("plan", "-input=false", _TINY)
    first = _archives(terraform.folder)
    functions = terraform.folder.parent / "functions"
    for path in functions.rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o755)
    (functions / "api" / "__pycache__").mkdir()
    (functions / "api" / "__pycache__" / "main.cpython-313.pyc").write_bytes(b"made by whoever ran it")
    (functions / "gc" / "notes.txt").write_text("not code")
    terraform.run("plan", "-input=false", _TINY)
    assert _archives(terraform.folder) == first

    changed = functions / "gc" / "run.py"
    changed.write_text(changed.read_text() + "\n")
    terraform.run("plan", "-input=false", _TINY)
    second = _archives(terraform.folder)
    assert [program for program in PROGRAMS if second[program] != first[program]] == ["gc"], "only that is built anew"


@pytest.fixture(scope="module")
def unpacked(new_terraform: NewTerraform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    terraform = new_terraform(is_whole=True)
    terraform.run("plan", "-input=false", _TINY)
    folders = {program: tmp_path_factory.mktemp(program) for program in PROGRAMS}
    for program, folder in folders.items():
        with zipfile.ZipFile(terraform.folder / "build" / f"{program}.zip") as archive:
            archive.extractall(folder)
    return folders


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_archive_holds_what_its_function_needs(program: str, unpacked: dict[str, Path]) -> None:
    folder = unpacked[program]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    rooms = {file.split("/")[1] for file in files if file.count("/") > 1}
    assert {"main.py", "requirements.txt", "functions/__init__.py"} <= files
    assert rooms == {_ROOMS.get(program, program), "registry"}
    pages = {".html", ".css", ".js", ".svg"} if program == "api" else set()
    assert {Path(file).suffix for file in files} <= {".py", ".sql", ".json", ".txt", *pages}
    assert pages <= {Path(file).suffix for file in files}, "templates, and what browsers load"
    assert not any("test" in file or "local" in file for file in files)
    assert "--hash=sha256:" in (folder / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("program", "target", "answer"),
    [
        ("api", "api", "401"),
        ("gc", "collect", "started"),
        ("migrate", "migrate", "started"),
        ("work", "work", "started"),
        ("deliver", "deliver", "started"),
    ],
)
def test_an_archive_starts_by_itself(program: str, target: str, answer: str, unpacked: dict[str, Path]) -> None:
    """The platform starts it so: main.py at the root, and no PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | make_access_secrets()
    environment |= {
        "SLIPWAY_DATABASE": "cloudsql://nobody@/registry?instance=example:europe-west1:slipway",
        "SLIPWAY_BUCKET": "none",
        "SLIPWAY_ACCESS": "token",
        "SLIPWAY_TOKEN_REALM": "https://registry.example.com/token",
        "K_SERVICE": "slipway",
    }
    done = subprocess.run(
        [sys.executable, "-c", _START, target],
        cwd=unpacked[program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == answer


def test_an_object_is_named_after_its_content(new_terraform: NewTerraform) -> None:
    terraform = new_terraform()
    plan = terraform.plan(_TINY)
    names = {
        change["index"]: change["change"]["after"]["name"]
        for change in plan["resource_changes"]
        if change["type"] == "google_storage_bucket_object"
    }
    for program, content in _archives(terraform.folder).items():
        assert names[program] == f"{program}-{hashlib.sha256(content).hexdigest()}.zip"
