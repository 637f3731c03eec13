"""What signs in to a registry: what `slipway login` or `docker login` stored, or the data of a `make up` nearby."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from slipway_cli.contexts import Registry, config_folder, read_json, write_json
from slipway_cli.failures import Failed

_HELPER: Final = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS: Final = 60
# By which docker and its helpers say that the secret beside it is a refresh token.
_TOKEN_NAME: Final = "<token>"  # noqa: S105  # no secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a secret, or a refresh token alone. `source` says where they come from."""

    source: str
    name: str = ""
    secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)


def find_credentials(registry: Registry) -> Credentials | None:
    """Returns None for nobody: what anybody may do needs none. An identity of a job is another matter:
    identities.py.
    """
    return next(filter(None, _found(registry)), None)


def _found(registry: Registry) -> Iterator[Credentials | None]:
    yield _own(registry)
    for path in _stored_by_clients():
        yield _stored(path, registry.host)
    yield _administrator(registry)


def _own_file() -> Path:
    return config_folder() / "tokens.json"


def _own(registry: Registry) -> Credentials | None:
    token = read_json(_own_file()).get(registry.url)
    return Credentials("`slipway login`", refresh_token=str(token)) if token else None


def keep_token(registry: Registry, refresh_token: str) -> None:
    write_json(_own_file(), {**read_json(_own_file()), registry.url: refresh_token})


def forget_token(registry: Registry) -> bool:
    """Says whether there was one."""
    kept = read_json(_own_file())
    if kept.pop(registry.url, None) is None:
        return False
    write_json(_own_file(), kept)
    return True


def docker_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _stored_by_clients() -> Iterator[Path]:
    yield docker_config()
    # podman, buildah and skopeo write the same.
    named, runtime = os.environ.get("REGISTRY_AUTH_FILE"), os.environ.get("XDG_RUNTIME_DIR")
    if named:
        yield Path(named)
    elif runtime:
        yield Path(runtime) / "containers" / "auth.json"


def _stored(path: Path, host: str) -> Credentials | None:
    config = read_json(path)
    helpers, store = config.get("credHelpers"), config.get("credsStore")
    if isinstance(helpers, dict) and helpers.get(host):
        return _by_helper(str(helpers[host]), host)
    if store and (found := _by_helper(str(store), host)):
        return found
    auths = config.get("auths")
    for key, entry in (auths if isinstance(auths, dict) else {}).items():
        if isinstance(entry, dict) and _is_host(key, host) and (found := _of_entry(entry, path)):
            return found
    return None


def _is_host(key: str, host: str) -> bool:
    """Older clients wrote an address with a path."""
    return re.sub(r"^https?://", "", key).partition("/")[0] == host


def _of_entry(entry: dict[str, Any], path: Path) -> Credentials | None:
    if entry.get("identitytoken"):
        return Credentials(str(path), refresh_token=str(entry["identitytoken"]))
    try:
        name, colon, secret = base64.b64decode(str(entry.get("auth", ""))).decode().rstrip("\0").partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Failed(f"{path}: what it has for this registry can't be read", "`docker login` again") from error
    name, secret = (name, secret) if colon else (str(entry.get("username", "")), str(entry.get("password", "")))
    return Credentials(str(path), name, secret) if name and secret else None


def _by_helper(helper: str, host: str) -> Credentials | None:
    """Speaks the protocol of docker's helpers: the host goes in, JSON comes out. Raises Failed for one that can't be
    used.
    """
    import shutil  # noqa: PLC0415  # few have a helper
    import subprocess  # noqa: PLC0415  # as above

    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper) or shutil.which(program) is None:
        raise Failed(f"docker's configuration names the credential helper {program}, which isn't there")
    try:
        asked = subprocess.run(  # noqa: S603  # the helper that the user configured
            [program, "get"], input=host, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{program} has not answered for {_HELPER_SECONDS} s: is something locked?") from expired
    if asked.returncode != 0:
        said = (asked.stdout + asked.stderr).strip()
        if "not found" in said.lower():
            return None
        raise Failed(f"{program} gives nothing: {said[:200] or 'it says nothing'}")
    try:
        found = json.loads(asked.stdout)
        name, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{program} answers with something else than credentials") from error
    if name == _TOKEN_NAME:
        return Credentials(program, refresh_token=secret)
    return Credentials(program, name, secret) if secret else None


def _administrator(registry: Registry) -> Credentials | None:
    """Signs in to a `make up` nearby: whoever may read its data is its administrator."""
    if registry.folder is None:
        return None
    try:
        made = json.loads((registry.folder / "access.json").read_text(encoding="utf-8"))
        return Credentials(f"{registry.folder}, whose administrator you are", "admin", made["SLIPWAY_ADMIN_SECRET"])
    except (OSError, ValueError, KeyError):
        return None
