"""Layouts that real registries wrote, and what those registries answered about them."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LAYOUTS: Final = Path(__file__).with_name("layouts")
ROOT: Final = "docker/registry/v2/"
NAMES: Final = ("debian-2.8.2", "distribution-3.1.2", "broken-2.8.2")


@dataclass(frozen=True)
class Layout:
    """`folder` has the files, `truth` the answers, and `expected` what is wrong on purpose."""

    name: str
    folder: Path
    truth: dict[str, Any]
    expected: list[dict[str, str]]

    @property
    def repositories(self) -> dict[str, Any]:
        found: dict[str, Any] = self.truth["repositories"]
        return found


def unpack(name: str, folder: Path) -> Layout:
    with tarfile.open(LAYOUTS / f"{name}.tar.gz") as archive:
        # Python 3.11.2, which is Debian 12's, has no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)  # noqa: S202  # these are ours
    expected = LAYOUTS / f"{name}.expected.json"
    return Layout(
        name=name,
        folder=folder,
        truth=json.loads((LAYOUTS / f"{name}.truth.json").read_text()),
        expected=json.loads(expected.read_text()) if expected.exists() else [],
    )
