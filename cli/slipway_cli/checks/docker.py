"""What docker, on this machine, makes of the registry: its stored credentials, mirrors, proxies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from slipway_cli.checks import Check
from slipway_cli.contexts import Registry, read_json
from slipway_cli.credentials import docker_config
from slipway_cli.failures import Failed

_DAEMON: Final = Path("/etc/docker/daemon.json")


def check_docker(registry: Registry) -> Iterator[Check]:
    path = docker_config()
    try:
        config = read_json(path)
    except Failed as failed:
        yield Check("docker's config", "bad", str(failed), failed.advice)
        return
    yield from _helpers(config, registry.host, path)
    if registry.host in config.get("auths", {}) or registry.host in config.get("credHelpers", {}):
        yield Check("docker's config", "ok", f"{path} knows {registry.host}")
    if proxies := config.get("proxies"):
        yield Check("docker's proxies", "note", f"{path} gives containers {json.dumps(proxies)}")
    yield from _daemon(registry)
    named = [name for name in ("HTTPS_PROXY", "https_proxy") if os.environ.get(name)]
    if named:
        yield Check("proxy", "note", f"{named[0]} is set here; docker's daemon has an environment of its own",
                    "systemctl show docker --property Environment")  # fmt: skip


def _helpers(config: dict[str, Any], host: str, path: Path) -> Iterator[Check]:
    named = config.get("credHelpers", {}).get(host) or config.get("credsStore")
    if named and shutil.which(f"docker-credential-{named}") is None:
        advice = f"install it, or take it out of {path}: docker can't sign in without"
        yield Check("docker's helper", "bad", f"docker-credential-{named} isn't there", advice)
    elif named:
        yield Check("docker's helper", "ok", f"docker-credential-{named}")


def _daemon(registry: Registry) -> Iterator[Check]:
    try:
        config = json.loads(_DAEMON.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if mirrors := config.get("registry-mirrors"):
        yield Check("docker's mirrors", "note", f"docker.io comes from {', '.join(mirrors)}; nothing else does")
    if registry.host in config.get("insecure-registries", []):
        yield Check("docker's daemon", "note", f"{registry.host} is among the insecure registries", "")
