"""A signing key, or the pepper, changed without a moment at which a good one is refused. It needs gcloud, and openssl.

Each step adds a version to the secret. `promote` and `retire` refuse until the version before is what the registry
runs, for long enough.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

# An hour is the longest life of a token, and a minute its leeway; the rest is for a revision to take over.
SETTLED_AFTER: Final = timedelta(minutes=75)
# Each secret that signs in meanwhile is hashed anew; one that does not is lost.
USED_WITHIN: Final = timedelta(days=30)


class RotationRefused(Exception):
    """The message says what has to happen before."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a secret holds several of, one after the other, each as `item` has it. The first is used, all are known."""

    secret: str
    variable: str
    terraform: str
    item: re.Pattern[str]
    make: Callable[[], str]
    retired_after: timedelta

    def split(self, text: str) -> list[str]:
        return [found.strip() for found in self.item.findall(text)]


@dataclass(frozen=True, slots=True)
class Registry:
    """The deployed one, as gcloud knows it."""

    project: str
    region: str
    service: str
    name: str
    kind: Kind

    @property
    def secret(self) -> str:
        return f"{self.name}-{self.kind.secret}"

    def newest(self) -> str:
        """Returns the number of the secret's newest version."""
        name: str = self._ask("secrets", "versions", "describe", "latest", f"--secret={self.secret}")["name"]
        return name.rsplit("/", 1)[1]

    def items(self, version: str) -> list[str]:
        text = _run("gcloud", "secrets", "versions", "access", version, f"--secret={self.secret}", *self._where())
        return self.kind.split(text)

    def add(self, items: list[str]) -> str:
        """Returns the number of the version that was made. The items go by standard input: arguments can be seen."""
        command = ["gcloud", "secrets", "versions", "add", self.secret, "--data-file=-", "--format=value(name)"]
        return _run(*command, *self._where(), given="\n".join(items) + "\n").strip().rsplit("/", 1)[1]

    def require_settled(self, version: str, least: timedelta) -> None:
        """Raises RotationRefused unless all that serves reads `version`, and has for that long."""
        service = self._ask("run", "services", "describe", self.service, f"--region={self.region}")
        serving = {one["revisionName"] for one in service["status"]["traffic"] if one.get("percent")}
        if len(serving) != 1:
            raise RotationRefused(f"{' and '.join(sorted(serving))} serve at once: let one of them have it all")
        revision = self._ask("run", "revisions", "describe", serving.pop(), f"--region={self.region}")
        if (read := _version_read(revision, self.kind.variable)) != version:
            raise RotationRefused(f"the registry reads version {read}, the newest is {version}: deploy that first")
        age = datetime.now(UTC) - datetime.fromisoformat(revision["metadata"]["creationTimestamp"])
        if age < least:
            raise RotationRefused(
                f"version {version} was deployed too short a time ago: wait for {_words(least - age)}"
            )

    def _ask(self, *arguments: str) -> Any:
        return json.loads(_run("gcloud", *arguments, "--format=json", *self._where()))

    def _where(self) -> tuple[str, ...]:
        return (f"--project={self.project}", "--quiet")


def _version_read(revision: dict[str, Any], variable: str) -> str:
    variables = [each for container in revision["spec"]["containers"] for each in container.get("env", [])]
    (read,) = (each["valueFrom"]["secretKeyRef"]["key"] for each in variables if each["name"] == variable)
    return str(read)


def _words(time: timedelta) -> str:
    return f"{time.days} days" if time.days > 1 else f"{int(time.total_seconds()) // 60 + 1} minutes"


def _run(*command: str, given: str = "") -> str:
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


def _new_key() -> str:
    return _run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").strip()


def _new_pepper() -> str:
    return secrets.token_hex(32)


KINDS: Final = {
    "signing-key": Kind(
        "token-keys",
        "SLIPWAY_TOKEN_KEYS",
        "token_keys_version",
        re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL),
        _new_key,
        SETTLED_AFTER,
    ),
    "pepper": Kind(
        "pepper", "SLIPWAY_PEPPER", "pepper_version", re.compile(r"^.*\S.*$", re.MULTILINE), _new_pepper, USED_WITHIN
    ),
}
STEPS: Final = ("add", "promote", "retire", "replace")
# How many there have to be before.
_TAKES: Final = {"add": 1, "promote": 2, "retire": 2}


def rotate(registry: Registry, step: str) -> str:
    """Returns the number of the new version. Raises RotationRefused."""
    items, kind = require_possible(registry, step), registry.kind
    match step:
        case "add":
            return registry.add([*items, kind.make()])
        case "promote":
            return registry.add(items[::-1])
        case "retire":
            return registry.add(items[:1])
        case _:
            return registry.add([kind.make()])


def require_possible(registry: Registry, step: str) -> list[str]:
    """Returns what the newest version holds. Raises RotationRefused where the step has to wait, or is not the next."""
    current = registry.newest()
    items = registry.items(current)
    if _TAKES.get(step, len(items)) != len(items):
        raise RotationRefused(f"version {current} holds {len(items)}, and {step} takes {_TAKES[step]}")
    if step == "promote":
        registry.require_settled(current, SETTLED_AFTER)
    elif step == "retire":
        registry.require_settled(current, registry.kind.retired_after)
    return items
