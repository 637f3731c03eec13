"""The command line as it is installed: in one file for a Python that has nothing else, and beside the functions."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from local.launcher import write_launcher
from tests.cli.stand import Stand
from tests.conftest import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_BYTES: Final = 5_000_000


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes it as `make cli` does, of what is installed here, so that nothing is fetched."""
    folder = tmp_path_factory.mktemp("cli")
    made = folder / "slipway.pyz"
    locked = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "cli.txt").read_text(), re.MULTILINE)
    script = (
        "import importlib.util, shutil, sys\n"
        "for name in sys.argv[2:]:\n"
        "    found = importlib.util.find_spec(name.replace('-', '_'))\n"
        "    if found is None: continue\n"
        "    place = found.submodule_search_locations[0]\n"
        "    shutil.copytree(place, f'{sys.argv[1]}/{name.replace(chr(45), chr(95))}',\n"
        "                    ignore=shutil.ignore_patterns('__pycache__', '*.so'))\n"
    )
    packages = [name for name in locked if name != "colorama"]
    subprocess.run([sys.executable, "-c", script, str(folder / "app"), *packages], check=True)
    subprocess.run(["cp", "-R", ROOT / "cli" / "slipway_cli", folder / "app"], check=True)
    subprocess.run(["rm", "-rf", folder / "app" / "slipway_cli" / "operator"], check=True)
    command: list[str | Path] = [
        "-m",
        "zipapp",
        folder / "app",
        "--compress",
        "--main",
        "slipway_cli.start:main",
        "--output",
        made,
    ]
    subprocess.run([sys.executable, *command], check=True)
    return made


def alone(archive: Path, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run by the Python of this machine without what is installed beside it, in an environment with nothing else."""
    bare = Path(sys.base_prefix) / "bin" / "python3"
    command = [str(bare), "-I", "-S", str(archive), *arguments]
    chosen = {"HOME": str(home), "PATH": os.defpath, **environment}
    return subprocess.run(command, env=chosen, capture_output=True, text=True, check=False, cwd=home)


def test_one_file_is_enough(stand: Stand, archive: Path) -> None:
    assert archive.stat().st_size < MOST_BYTES
    ended = alone(archive, stand.home, "ls", "-o", "name", SLIPWAY_REGISTRY=stand.server.address)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "team/app\nteam/old\n", "")
    ended = alone(archive, stand.home, "operator", "recount")
    assert (ended.returncode, "there is no command operator" in ended.stderr) == (2, True)
    # Its certificates come along.
    ended = alone(archive, stand.home, "ls", "--registry", "https://registry.invalid")
    assert (ended.returncode, "can't be reached" in ended.stderr) == (5, True)


def test_there_is_nothing_in_it_that_one_machine_alone_can_run(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    assert not [name for name in names if name.endswith((".so", ".pyd"))]
    assert not [name for name in names if name.startswith(("functions/", "slipway_cli/operator"))]


def test_the_launcher_runs_these_sources_whatever_lies_where_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' c"
    folder.mkdir()
    write_launcher(folder / "slipway")
    (folder / "click.py").write_text("raise SystemExit('not this one')")
    ended = subprocess.run([folder / "slipway", "--version"], cwd=folder, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("slipway ")


def packages(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=~]", each)[0] for each in requirements}


def test_the_operators_extra_is_part_of_what_the_functions_need() -> None:
    operator = PROJECT["project"]["optional-dependencies"]["operator"]
    assert set(operator) <= set(PROJECT["dependency-groups"]["functions"])


def test_the_client_imports_its_own_dependencies_and_no_function() -> None:
    """But for the door with the database."""
    allowed = {*sys.stdlib_module_names, "slipway_cli", *packages(PROJECT["project"]["dependencies"])}
    for path in sorted((ROOT / "cli" / "slipway_cli").rglob("*.py")):
        if "operator" not in path.relative_to(ROOT).parts:
            assert imported(path) <= allowed, path


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_help_imports_no_client(tmp_path: Path) -> None:
    """It is what people wait for most often: below 80 ms of CPU, of which the interpreter has a quarter."""
    script = (
        "import sys; from slipway_cli.main import run; run(['--help']);"
        "print([name for name in ('requests', 'urllib3', 'json', 'slipway_cli.client') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(ROOT / "cli"), "PATH": os.defpath, "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
