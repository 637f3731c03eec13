"""What stands after an apply, as the tests ask about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PROGRAMS: Final = ("api", "deliver", "gc", "migrate", "work")
# Those that messages wake.
TRIGGERED: Final = ("deliver", "gc", "work")
_IAM_MEMBER: Final = "_iam_member"
# What a grant is on, by the type's argument that names it.
_TARGETS: Final = (
    "bucket",
    "crypto_key_id",
    "repository",
    "secret_id",
    "service_account_id",
    "subscription",
    "topic",
    "name",
)


@dataclass(frozen=True, slots=True)
class Grant:
    """`on` is the last part of what it is on: empty for the whole project."""

    member: str
    role: str
    on: str
    condition: str


@dataclass(frozen=True, slots=True)
class Resource:
    address: str
    type: str
    name: str
    index: Any
    values: Mapping[str, Any]

    def block(self, *path: str) -> Mapping[str, Any]:
        """The only block of that name, and of that name in it."""
        found: Mapping[str, Any] = self.values
        for name in path:
            (found,) = found[name]
        return found


@dataclass(frozen=True, slots=True)
class Deployment:
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Deployment:
        """From `terraform show -json`."""
        values = document["values"]
        return cls(
            tuple(
                Resource(one["address"], one["type"], one["name"], one.get("index"), one["values"])
                for one in values["root_module"]["resources"]
                if one["mode"] == "managed"
            ),
            {name: output["value"] for name, output in values["outputs"].items()},
        )

    def all(self, type_name: str) -> Iterator[Resource]:
        return (resource for resource in self.resources if resource.type == type_name)

    def one(self, type_name: str, name: str = "", index: Any = None) -> Resource:
        (found,) = (
            resource
            for resource in self.all(type_name)
            if name in ("", resource.name) and index in (None, resource.index)
        )
        return found

    def shares(self) -> bool:
        """Says whether pages of other origins may read the registry."""
        return "SLIPWAY_CORS_ORIGINS" in self.environment("api")

    def signs_people_in(self) -> bool:
        """Says whether people sign in to the console by another issuer."""
        return "SLIPWAY_CONSOLE_ISSUER" in self.environment("api")

    def backs_up(self) -> bool:
        return "SLIPWAY_BACKUPS" in self.environment("work")

    def has_front(self) -> bool:
        return any(self.all("google_cloud_run_v2_service"))

    def account(self, program: str) -> str:
        email: str = self.one("google_service_account", "this", program).values["email"]
        return email

    def entry_point(self, program: str) -> str:
        name: str = self._function(program).block("build_config")["entry_point"]
        return name

    def function(self, program: str) -> Mapping[str, Any]:
        return self._function(program).block("service_config")

    def _function(self, program: str) -> Resource:
        type_name = "google_cloudfunctions2_function"
        return self.one(type_name, "api") if program == "api" else self.one(type_name, "this", program)

    def grants(self) -> set[Grant]:
        return {
            Grant(
                resource.values["member"],
                resource.values["role"].rsplit("/", 1)[-1],
                next((resource.values[name].rsplit("/", 1)[-1] for name in _TARGETS if name in resource.values), ""),
                resource.values["condition"][0]["expression"] if resource.values["condition"] else "",
            )
            for resource in self.resources
            if resource.type.endswith(_IAM_MEMBER)
        }

    def environment(self, program: str) -> dict[str, str]:
        """Plain variables of a function, or of the service `registry`."""
        if program == "registry":
            return {one["name"]: one["value"] for one in self.container("app")["env"] if not one["value_source"]}
        return dict(self.function(program)["environment_variables"])

    def secrets(self, program: str) -> dict[str, str]:
        """Variables that come from Secret Manager, with the secret's name."""
        return {name: secret for name, (secret, _) in self.secret_versions(program).items()}

    def secret_versions(self, program: str) -> dict[str, tuple[str, str]]:
        """The same, with the version that is read."""
        if program != "registry":
            variables = self.function(program)["secret_environment_variables"]
            return {one["key"]: (one["secret"], one["version"]) for one in variables}
        references = {
            one["name"]: one["value_source"][0]["secret_key_ref"][0]
            for one in self.container("app")["env"]
            if one["value_source"]
        }
        return {name: (one["secret"], one["version"]) for name, one in references.items()}

    def secret_files(self, program: str) -> dict[str, str]:
        """Secrets that are mounted, by their path."""
        if program == "registry":
            return {}
        return {
            f"{volume['mount_path']}/{version['path']}": volume["secret"]
            for volume in self.function(program)["secret_volumes"]
            for version in volume["versions"]
        }

    def container(self, name: str) -> Mapping[str, Any]:
        containers = self.one("google_cloud_run_v2_service").block("template")["containers"]
        found: Mapping[str, Any] = next(container for container in containers if container["name"] == name)
        return found

    def programs(self) -> list[str]:
        """All that read settings."""
        return [*PROGRAMS, "registry"] if self.has_front() else [*PROGRAMS]
