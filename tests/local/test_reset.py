"""`make reset` takes what the harness made, when nobody uses it, and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.data_lock import locked
from local.guard import StartRefused
from local.reset import reset
from tests.local.runs import make, names_in

MADE = (".lock", "access.json", "access.json.new", "run.json", "storage-keys.json", "postgres.log")
FOLDERS = ("postgres", "postgres.abc.new", "storage", "logs")


def fill(folder: Path) -> Path:
    """Leaves what a run leaves."""
    for name in FOLDERS:
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep" / "file").write_text("x")
    for name in MADE:
        (folder / name).write_text("x")
    return folder


def test_a_data_folder_is_emptied_and_gone(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    assert reset(folder) == f"{folder} is empty"
    assert not folder.exists()
    assert reset(folder) == f"{folder} is empty"


def test_a_folder_that_is_none_of_ours_is_left(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(StartRefused, match="does not look like a data folder"):
        reset(tmp_path)
    assert names_in(tmp_path) == ["precious"]


def test_what_somebody_put_beside_the_data_is_left_and_told_of(tmp_path: Path) -> None:
    """A run may have been started on a folder that has other things in it: a home, say."""
    folder = fill(tmp_path)
    for name in ("thesis.tex", "postgres-notes", "storage2", ".profile", "logs.txt"):
        (folder / name).touch()
    said = reset(folder)
    assert said == f"{folder} is empty but for what Slipway did not make: .profile, logs.txt, postgres-notes, …"
    assert len(names_in(folder)) == 5


def test_what_a_link_leads_to_is_left(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (folder / "storage" / "link").symlink_to(tmp_path / "elsewhere")
    shutil.rmtree(folder / "logs")
    (folder / "logs").symlink_to(tmp_path / "elsewhere")
    reset(folder)
    assert not folder.exists()
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_data_in_use_is_refused_and_left(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    with locked(folder) as lock:
        lock.name_run(1234)
        finished = make("reset", DATA=str(folder))
    assert finished.returncode == 2
    named = f"(process {os.getpid()} at http://127.0.0.1:1234)"
    assert finished.stderr.splitlines()[0] == (
        f"slipway: {folder} is in use by another run {named}: stop it, or choose DATA=..."
    )
    assert all((folder / name).exists() for name in (*MADE, *FOLDERS))


@pytest.fixture
def as_somebody_else() -> Iterator[Path]:
    """A folder below which an account that isn't root works: root may delete anything."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-test-"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


def test_what_can_not_be_deleted_is_named_and_can_be_tried_again(as_somebody_else: Path) -> None:
    folder = fill(as_somebody_else / "data")
    (folder / "storage" / "deep").chmod(0o500)
    with pytest.raises(StartRefused, match=r"could not be deleted: .*/storage/deep/file \(Permission denied\)[^\n]*$"):
        reset(folder)
    assert (folder / "storage" / "deep" / "file").exists()
    assert names_in(folder) == [".lock", "storage"]
    (folder / "storage" / "deep").chmod(0o700)
    assert reset(folder) == f"{folder} is empty"
