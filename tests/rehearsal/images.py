"""Images with a layer of any size, as docker writes them, and the client that pushes them: docker if there is one."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.content import Content, ContentFile
from tests.clients.command import Client, isolated_environment
from tests.clients.engine import docker_engine
from tests.clients.programs import PROGRAMS, version_of

# Docker compresses what it pushes: a busy machine takes several times as long for a GiB as an idle one.
_PUSH_SECONDS: Final = 900


def write_image(folder: Path, name: str, layer_bytes: int, salt: int) -> Path:
    """An archive of an image with one layer, which no compression makes smaller."""
    folder.mkdir()
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        content = tarfile.TarInfo("content.bin")
        content.size = layer_bytes
        archive.addfile(content, ContentFile(Content(layer_bytes, salt)))  # type: ignore[arg-type]  # read is enough
    with layer.open("rb") as file:
        diff_id = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    (folder / "config.json").write_text(json.dumps(config))
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    target = folder / "image.tar"
    with tarfile.open(target, "w") as archive:
        for part in ("manifest.json", "config.json", "layer.tar"):
            archive.add(folder / part, part)
    layer.unlink()
    return target


@dataclass(frozen=True, slots=True)
class Pusher:
    """`push` takes an archive and the image's name; raises CommandFailedError with what the client said."""

    name: str
    push: Callable[[Path, str], object]


@contextmanager
def pusher(folder: Path, credentials: tuple[str, str], address: str) -> Iterator[Pusher]:
    """Docker with an engine of its own; else skopeo, else crane. Raises LookupError if there is none of them."""
    with ExitStack() as running:
        if os.geteuid() == 0 and PROGRAMS["docker"].find() and PROGRAMS["dockerd"].find():
            yield _docker(running.enter_context(docker_engine()), credentials, address)
            return
        environment = isolated_environment(folder / "home")
        if skopeo := PROGRAMS["skopeo"].find():
            yield _skopeo(Client(skopeo, environment, timeout=_PUSH_SECONDS), credentials)
        elif crane := PROGRAMS["crane"].find():
            yield _crane(Client(crane, environment, timeout=_PUSH_SECONDS), credentials, address)
        else:
            raise LookupError("no client to push with: .ci/install-clients installs docker, skopeo and crane")


def _docker(engine: Client, credentials: tuple[str, str], address: str) -> Pusher:
    docker = Client(engine.program, engine.environment, engine.always, timeout=_PUSH_SECONDS)
    user, secret = credentials
    docker.run("login", "--username", user, "--password-stdin", address, given=secret.encode())

    def push(archive: Path, name: str) -> None:
        docker.run("load", "--input", archive)
        docker.run("push", name)
        docker.run("rmi", "--force", name)

    return Pusher(f"docker {version_of('dockerd')}", push)


def _skopeo(skopeo: Client, credentials: tuple[str, str]) -> Pusher:
    login = f"--dest-creds={':'.join(credentials)}"
    tries = "--retry-times=5"

    def push(archive: Path, name: str) -> None:
        skopeo.run("copy", "--dest-tls-verify=false", login, tries, f"docker-archive:{archive}", f"docker://{name}")

    return Pusher(f"skopeo {version_of('skopeo')}", push)


def _crane(crane: Client, credentials: tuple[str, str], address: str) -> Pusher:
    user, secret = credentials
    crane.run("auth", "login", address, "--username", user, "--password-stdin", given=secret.encode())
    return Pusher(f"crane {version_of('crane')}", lambda archive, name: crane.run("push", archive, name))
