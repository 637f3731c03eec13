"""Which registry is meant: what the line says, the environment, the context in use, or a `make up` nearby."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from slipway_cli.failures import Failed

_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")
_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]")
# Where `make up` keeps its data, beside the sources.
_DATA: Final = ".slipway"


@dataclass(frozen=True, slots=True)
class Registry:
    """`url` has no slash at its end. `folder` is the data of one that runs on this machine."""

    url: str
    found: str
    folder: Path | None = None

    @property
    def host(self) -> str:
        """Names the host with the port, as images are named by."""
        return urlsplit(self.url).netloc

    @property
    def is_here(self) -> bool:
        return _LOOPBACK.fullmatch(self.host.rpartition(":")[0] or self.host) is not None


@dataclass(frozen=True, slots=True)
class Running:
    """What `make up` says of itself while it runs."""

    folder: Path
    registry: str
    database: str


def config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "slipway"


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"


def read_json(path: Path) -> dict[str, Any]:
    """Returns an empty object where there is no file. Raises Failed for one that can't be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failed(f"{path} can't be read: {error}", "mend it, or take it away") from error
    return document if isinstance(document, dict) else {}


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Writes it whole or not at all, for its owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def contexts() -> dict[str, Any]:
    """Returns `{"current": name or None, "contexts": {name: address}}`."""
    stored = read_json(config_folder() / "config.json")
    return {"current": stored.get("current"), "contexts": dict(stored.get("contexts", {}))}


def keep_contexts(document: dict[str, Any]) -> None:
    write_json(config_folder() / "config.json", document)


def address_of(text: str) -> str:
    """Returns an address of what was typed: a host means https, but http on this machine. Raises Failed."""
    if re.match(r"https?://", text):
        parts = urlsplit(text)
        if _HOST.fullmatch(parts.netloc) and parts.path in {"", "/"} and not parts.query:
            return f"{parts.scheme}://{parts.netloc}"
    elif _HOST.fullmatch(text):
        here = _LOOPBACK.fullmatch(re.sub(r":\d+$", "", text))
        return f"{'http' if here else 'https'}://{text}"
    raise Failed(f"{text} is no registry: name a host, such as registry.example.com, or https://HOST")


def find_registry(asked: str | None) -> Registry:
    """Raises Failed where none is said and none is near."""
    known = contexts()
    for text, found in ((asked, "--registry"), (os.environ.get("SLIPWAY_REGISTRY"), "SLIPWAY_REGISTRY")):
        if text:
            return _as_running(Registry(address_of(known["contexts"].get(text, text)), found))
    if known["current"] in known["contexts"]:
        return _as_running(Registry(known["contexts"][known["current"]], f"the context {known['current']}"))
    near = running_nearby()
    if near is None:
        raise Failed(
            "which registry? None is named, and none runs here",
            "`slipway login HOST`, --registry HOST, or SLIPWAY_REGISTRY=HOST; or `make up` beside the sources"
            " (with DATA=FOLDER, say SLIPWAY_DATA=FOLDER here)",
        )
    return Registry(near.registry, f"{near.folder}, which `make up` runs on", near.folder)


def _as_running(registry: Registry) -> Registry:
    """Adds its folder, if it is the one that runs here."""
    near = running_nearby() if registry.is_here else None
    if near is None or near.registry != registry.url:
        return registry
    return Registry(registry.url, registry.found, near.folder)


def running_nearby() -> Running | None:
    """Returns a `make up` whose data lies in this folder or in one above."""
    return next(filter(None, map(_running_on, _data_folders())), None)


def _data_folders() -> Iterator[Path]:
    """Yields where they may be: where `make up DATA=...` was told another one, SLIPWAY_DATA says so."""
    if named := os.environ.get("SLIPWAY_DATA"):
        yield Path(named)
        return
    here = Path.cwd()
    yield from (folder / _DATA for folder in (here, *here.parents))


def _running_on(folder: Path) -> Running | None:
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        # Signal 0 asks whether the process is there.
        os.kill(int(told["process"]), 0)
        return Running(folder, str(told["registry"]), str(told["database"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
