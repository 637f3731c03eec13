"""Distribution's registry on a folder, Debian's docker-registry first of all: what an older registry makes of a layout,
and how one comes to be.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests

_SECONDS_TO_START: Final = 30
ACCEPT: Final = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


def require() -> str:
    """Skips the test where it isn't installed."""
    found = shutil.which("docker-registry")
    if found is None:
        pytest.skip("install docker-registry: apt-get install docker-registry")
    return found


@contextmanager
def serve(folder: Path, program: Path | str | None = None, **more: Any) -> Iterator[str]:
    """The address of one that runs on the folder, which begins with `docker/`: Debian's, or a newer `program`. `more`
    are sections of its configuration.
    """
    binary = program or require()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = folder.parent / f"{folder.name}.yml"
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "error"},
                "storage": {
                    "filesystem": {"rootdirectory": str(folder)},
                    "delete": {"enabled": True},
                    "maintenance": {"uploadpurging": {"enabled": False}},
                },
                "http": {"addr": f"127.0.0.1:{port}"},
                "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
                **more,
            }
        )
    )
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as output, subprocess.Popen([binary, "serve", config], stdout=output, stderr=output) as process:
        try:
            _wait(port, process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/v2/", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"docker-registry does not answer: {log.read_text()[-2000:]}")


def manifest(address: str, repository: str, reference: object, *, token: str = "") -> requests.Response:
    headers = {"Accept": ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
    return requests.get(f"http://{address}/v2/{repository}/manifests/{reference}", headers=headers, timeout=20)


def blob(address: str, repository: str, digest: object) -> requests.Response:
    return requests.get(f"http://{address}/v2/{repository}/blobs/{digest}", timeout=20)


def download(storage: str, bucket: str, folder: Path, prefix: str = "docker/") -> dict[str, bytes]:
    """Writes the bucket's objects under the prefix into the folder; gives their contents by name."""
    contents = {}
    query = {"prefix": prefix, "fields": "nextPageToken,items(name)"}
    while True:
        page = requests.get(f"{storage}/storage/v1/b/{bucket}/o", params=query, timeout=20).json()
        for item in page.get("items", ()):
            name = item["name"]
            url = f"{storage}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
            contents[name] = requests.get(url, params={"alt": "media"}, timeout=20).content
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[name])
        if "nextPageToken" not in page:
            return contents
        query["pageToken"] = page["nextPageToken"]


def upload(folder: Path, storage: str, bucket: str, known: Mapping[Path, int] | None = None) -> dict[Path, int]:
    """Every file of the folder becomes an object of that name, but for those that are `known` and did not change since.

    Returns when each that went was written.
    """
    written = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}
    news = {path: moment for path, moment in written.items() if (known or {}).get(path) != moment}
    # What a tag names comes last: whoever reads there meanwhile finds what it leads to.
    order = sorted(news, key=lambda path: path.parent.name == "current")
    with requests.Session() as session, ThreadPoolExecutor(4) as pool:
        is_last = [path for path in order if path.parent.name == "current"]
        for some in (order[: len(order) - len(is_last)], is_last):
            list(pool.map(lambda path: _put(session, storage, bucket, folder, path), some))
    return news


def _put(session: requests.Session, storage: str, bucket: str, folder: Path, path: Path) -> None:
    answer = session.post(
        f"{storage}/upload/storage/v1/b/{bucket}/o",
        params={"uploadType": "media", "name": path.relative_to(folder).as_posix()},
        data=path.read_bytes(),
        timeout=30,
    )
    answer.raise_for_status()
