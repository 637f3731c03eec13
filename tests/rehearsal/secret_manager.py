"""In the place of Secret Manager: versions of secrets, as files, given to programs as terraform/ says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.terraform.deployment import Deployment


class SecretManager:
    """A variable is read when an instance starts, in the version that the plan names; a file whenever it is opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def add(self, secret: str, text: str) -> int:
        """The number of the version, from 1."""
        versions = self._folder / secret
        versions.mkdir(exist_ok=True)
        number = self.newest(secret) + 1
        (versions / str(number)).write_text(text)
        mounted = self._folder / f"{secret}.new"
        mounted.write_text(text)
        mounted.rename(self._folder / f"{secret}.newest")
        return number

    def newest(self, secret: str) -> int:
        return max((int(path.name) for path in (self._folder / secret).iterdir()), default=0)

    def access(self, secret: str, version: str) -> str:
        return (self._folder / secret / version).read_text()

    def variables(self, deployment: Deployment, program: str) -> dict[str, str]:
        """What an instance that starts now is told."""
        wanted = deployment.secret_versions(program)
        return {name: self.access(secret, version) for name, (secret, version) in wanted.items()}

    def mounted(self, deployment: Deployment, program: str) -> Mapping[str, str]:
        """Where the files lie on this machine, by where they would lie in an instance."""
        files = deployment.secret_files(program)
        return {path: str(self._folder / f"{secret}.newest") for path, secret in files.items()}
