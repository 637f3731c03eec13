"""What a provider does to values: it says what will be known later, and later makes it up.

What is made up depends on names alone, so a second plan finds nothing to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.terraform.simulated.packing import UNKNOWN
from tests.terraform.simulated.schema import Block

Values = dict[str, Any]
PROJECT_NUMBER: Final = "123456789012"
_NAMES: Final = (
    "name",
    "account_id",
    "secret_id",
    "repository_id",
    "role_id",
    "workload_identity_pool_id",
    "service",
    "title",
    "display_name",
)


def planned(block: Block, values: Values, *, is_new: bool) -> Values:
    """`values` with what the provider will fill in marked as unknown, and without what is only written."""
    result = dict(values)
    for name, attribute in block.attributes.items():
        if attribute.is_write_only:
            result[name] = None
        elif attribute.is_computed and result.get(name) is None and is_new:
            result[name] = UNKNOWN
    return _nested(block, result, lambda inner, item: planned(inner, item, is_new=is_new))


def known(block: Block, values: Values, invent: Callable[[str, Any], Any]) -> Values:
    """`values` with everything unknown made up by `invent`, from its name and type."""
    result = dict(values)
    for name, attribute in block.attributes.items():
        if result.get(name) is UNKNOWN:
            result[name] = invent(name, attribute.type)
    return _nested(block, result, lambda inner, item: known(inner, item, invent))


def complete(block: Block, values: Mapping[str, Any]) -> Values:
    """A state as it was stored, with every name of the schema."""
    result: Values = {name: values.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        result[name] = values.get(name, None if nested.nesting == "single" else [])
    return _nested(block, result, complete)


def _nested(block: Block, values: Values, change: Callable[[Block, Values], Values]) -> Values:
    for name, nested in block.blocks.items():
        inner = values.get(name)
        if isinstance(inner, dict):
            values[name] = change(nested.block, inner)
        elif isinstance(inner, list):
            values[name] = [change(nested.block, item) if isinstance(item, dict) else item for item in inner]
    return values


class Inventor:
    """Makes up what the cloud would say of one resource: in the forms that others build upon."""

    def __init__(self, type_name: str, values: Mapping[str, Any], project: str, region: str) -> None:
        self._type_name = type_name
        self._project = _text(values, "project") or _text(values, "project_id") or project
        self._region = _text(values, "location") or _text(values, "region") or region
        self._name = next((text for name in _NAMES if (text := _text(values, name))), type_name)

    def __call__(self, name: str, kind: Any) -> Any:
        if kind == "string":
            return self._strings().get(name) or f"simulated-{self._digest(name)[:12]}"
        if kind == "number":
            return 1
        if kind == "bool":
            return False
        if kind[0] == "object":
            return {inner: self(inner, inner_kind) for inner, inner_kind in kind[1].items()}
        if kind[0] in ("list", "set") and isinstance(kind[1], list) and kind[1][0] == "object":
            return [self(name, kind[1])]
        return {} if kind[0] == "map" else []

    def _strings(self) -> dict[str, str]:
        """Real ones look like these."""
        project, region, name = self._project, self._region, self._name
        account = f"{name}@{project}.iam.gserviceaccount.com"
        path = f"projects/{project}/locations/{region}/{self._type_name.removeprefix('google_')}/{name}"
        strings = {
            "address": "203.0.113.7",
            "connection_name": f"{project}:{region}:{name}",
            "email": account,
            "id": path,
            "image": f"{region}-docker.pkg.dev/{project}/functions/{name}@sha256:{self._digest('image')}",
            "member": f"serviceAccount:{account}",
            "name": path,
            "number": PROJECT_NUMBER,
            "project": project,
            "project_id": project,
            "self_link": f"https://www.googleapis.com/simulated/{path}",
            "uri": f"https://{name}-simulated.a.run.app",
            "version": "1",
        }
        match self._type_name:
            case "google_service_account":
                strings["id"] = strings["name"] = f"projects/{project}/serviceAccounts/{account}"
            case "google_pubsub_topic":
                strings["id"] = f"projects/{project}/topics/{name}"
            case "google_artifact_registry_repository":
                strings["name"] = name
            case "google_iam_workload_identity_pool":
                strings["name"] = f"projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/{name}"
            case "google_project_iam_custom_role":
                strings["id"] = strings["name"] = f"projects/{project}/roles/{name}"
        return strings

    def _digest(self, name: str) -> str:
        return hashlib.sha256(f"{self._type_name}.{self._name}.{name}".encode()).hexdigest()


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
