"""Files of retention policies, in JSON or YAML."""

from __future__ import annotations

import json
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
    content = file.read_text()
    try:
        return json.loads(content)
    except ValueError as error:
        if file.suffix == ".json":
            raise Failed(f"{file} is not JSON: {error}") from error
    try:
        import yaml  # noqa: PLC0415  # only for files that are written in it
    except ModuleNotFoundError:
        raise Failed(f"{file} is not JSON", "YAML takes PyYAML: pip install pyyaml") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise Failed(f"{file} is neither JSON nor YAML: {error}") from error
