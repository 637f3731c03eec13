"""Files of retention policies, in JSON or TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from slipway_cli.failures import Failed


def read_policies(file: Path) -> list[dict[str, Any]]:
    """Reads a list of policies, an object that has one under `policies`, or a single policy; each has a name."""
    document = _parsed(file)
    if isinstance(document, dict):
        document = document.get("policies", [document])
    if not isinstance(document, list) or not document:
        raise Failed(f"{file} has no policies", "it is a list of them, or an object with a list under policies")
    for number, each in enumerate(document, 1):
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise Failed(f"policy {number} in {file} has no name", "each has name, repositories and rules")
    return document


def _parsed(file: Path) -> Any:
    try:
        content = file.read_text()
        return tomllib.loads(content) if file.suffix == ".toml" else json.loads(content)
    except OSError as error:
        raise Failed(f"{file} can't be read: {error.strerror}") from error
    except ValueError as error:
        form = "TOML" if file.suffix == ".toml" else "JSON"
        raise Failed(
            f"{file} is not {form}: {error}", "a file is TOML if it is called so, and JSON otherwise"
        ) from error
