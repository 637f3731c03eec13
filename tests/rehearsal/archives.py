"""What Terraform would deploy: its archives, unpacked as the platform unpacks them, and what stands after an apply."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.terraform.core import ROOT, Terraform, find_terraform
from tests.terraform.deployment import PROGRAMS, Deployment
from tests.terraform.simulated.project import Project
from tests.terraform.simulated.schema import ProviderSchema
from tests.terraform.simulated.server import serving

NO_TERRAFORM: Final = "no terraform here: install it, or run make test-terraform, which fetches one"
_SCHEMAS: Final = ROOT / "tests" / "terraform" / "schemas"
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "build", ".terraform*", "*.tfstate*")
_VARIABLES: Final = "-var-file=examples/tiny.tfvars"
_DEPLOYED: Final = (".py", ".sql", ".json", ".html", ".css", ".js", ".svg")
_ENVIRONMENTS: Final = ROOT / "build" / "rehearsal"


@dataclass(frozen=True, slots=True)
class Release:
    """One apply: `folders` has, for each program, what its archive holds."""

    deployment: Deployment
    folders: dict[str, Path]


class Tree:
    """A copy of what is deployed, to be changed at will, and the state that its applies share."""

    def __init__(self, folder: Path, terraform: Terraform) -> None:
        self.functions = folder / "functions"
        self._unpacked = folder / "unpacked"
        self._terraform = terraform
        self._applies = 0
        # Besides those of the example, for this apply and all after it.
        self.variables: list[str] = []

    def apply(self, *targets: str) -> Release:
        """Applies everything, or `targets` and what they need."""
        options = ["-input=false", "-no-color", "-auto-approve", _VARIABLES, *self.variables]
        self._terraform.run("apply", *options, *(f"-target={target}" for target in targets))
        shown = json.loads(self._terraform.run("show", "-json").stdout)
        self._applies += 1
        return Release(Deployment.of(shown), {program: self._unpack(program) for program in PROGRAMS})

    def _unpack(self, program: str) -> Path:
        folder = self._unpacked / str(self._applies) / program
        with zipfile.ZipFile(self._terraform.folder / "build" / f"{program}.zip") as archive:
            archive.extractall(folder)
        return folder


@contextmanager
def copied_tree(folder: Path) -> Iterator[Tree]:
    """Gives a tree with simulated providers, which end with the block. Raises LookupError if there is no Terraform."""
    command = find_terraform()
    if command is None:
        raise LookupError(NO_TERRAFORM)
    for name in ("terraform", "functions"):
        shutil.copytree(ROOT / name, folder / name, ignore=_IGNORED)
    (folder / "terraformrc").write_text("disable_checkpoint = true\n")
    # Whatever it asks for is there: what a project lacks is another test's matter.
    project = Project(rules=())
    with serving(_newest_schemas(), folder / "terraform", project) as providers:
        environment = {
            "TF_REATTACH_PROVIDERS": providers,
            "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
            "TF_IN_AUTOMATION": "1",
        }
        terraform = Terraform(command, folder / "terraform", environment, project)
        terraform.run("init", "-input=false", "-backend=false", "-no-color")
        yield Tree(folder, terraform)


def _newest_schemas() -> list[ProviderSchema]:
    """Returns of each provider the highest version that there is: `google-8.json`."""
    newest = {path.stem.partition("-")[0]: path for path in sorted(_SCHEMAS.glob("*.json"), key=_version)}
    return [ProviderSchema.load(path) for path in newest.values()]


def _version(path: Path) -> int:
    return int(path.stem.partition("-")[2] or 0)


def lay_out(program: str, folder: Path, tree: Path = ROOT / "functions") -> Path:
    """What the archive of `program` holds, without asking Terraform; tests/terraform/test_rehearsal.py compares."""
    for file in [tree / "__init__.py", *_files_of(program, tree), *_deployed(tree / "registry")]:
        target = folder / "functions" / file.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    main = "migrate/work.py" if program == "work" else f"{program}/main.py"
    (folder / "functions" / main).rename(folder / "main.py")
    shutil.copy(tree / "requirements.txt", folder / "requirements.txt")
    return folder


def _files_of(program: str, tree: Path) -> list[Path]:
    """Two functions share the folder `migrate`, and both have what is in `backups`."""
    rooms = [tree / "migrate" / name for name in ("background", "checks", "imports")]
    of_work = [tree / "migrate" / "work.py", *(path for room in rooms for path in _deployed(room))]
    if program == "work":
        return [tree / "migrate" / "__init__.py", *of_work, *_deployed(tree / "migrate" / "backups")]
    return [path for path in _deployed(tree / program) if path not in of_work]


def _deployed(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in _DEPLOYED]


def environment_with(requirements: Path) -> Path:
    """A virtual environment with nothing but these locked packages; made once for each list, and kept under build/."""
    name = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = _ENVIRONMENTS / name
    if not (environment / ".made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]
        subprocess.run([environment / "bin" / "python", "-m", "pip", *install, requirements], check=True)
        (environment / ".made").touch()
    return environment
