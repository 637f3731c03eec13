"""The provider's side of the protocol: each method gets a message and gives one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.terraform.simulated import values
from tests.terraform.simulated.archive import write_archive
from tests.terraform.simulated.messages import message
from tests.terraform.simulated.packing import UNKNOWN, pack, unpack
from tests.terraform.simulated.project import Project
from tests.terraform.simulated.rules import Problem, destruction_problem, problems, replacing
from tests.terraform.simulated.schema import Block, ProviderSchema

_ERROR = 1


class SimulatedProvider:
    def __init__(self, schema: ProviderSchema, folder: Path, project: Project) -> None:
        """Relative paths are meant from `folder`, as Terraform's own are. `project` is what there is in the cloud."""
        self._schema = schema
        self._folder = folder
        self._cloud = project
        self._rendered = schema.render()
        self._project = "simulated-project"
        self._region = "simulated-region1"

    def methods(self) -> dict[str, tuple[str, Callable[[Any], Any]]]:
        """Returns, by name, the class of the request, and what answers it."""
        resources, data, ephemeral = self._schema.resources, self._schema.data_sources, self._schema.ephemeral
        return {
            "GetProviderSchema": ("Empty", lambda _: self._rendered),
            "ValidateProviderConfig": ("Empty", lambda _: message("State")),
            "ConfigureProvider": ("Configure", self.configure),
            "StopProvider": ("Empty", lambda _: message("Empty")),
            "ValidateResourceConfig": ("TypeAndConfig", lambda request: self.validate(resources, request)),
            "ValidateDataResourceConfig": ("TypeAndConfig", lambda request: self.validate(data, request)),
            "ValidateEphemeralResourceConfig": ("TypeAndConfig", lambda request: self.validate(ephemeral, request)),
            "UpgradeResourceState": ("Upgrade", self.upgrade),
            "ReadResource": ("Read", self.read),
            "PlanResourceChange": ("Plan", self.plan),
            "ApplyResourceChange": ("Apply", self.apply),
            "ImportResourceState": ("Import", self.import_state),
            "ReadDataSource": ("TypeAndConfig", self.read_data),
            "OpenEphemeralResource": ("TypeAndConfig", self.open),
            "CloseEphemeralResource": ("TypeAndConfig", lambda _: message("Diagnostics")),
        }

    def configure(self, request: Any) -> Any:
        config = _decode(request.config)
        self._project = config.get("project") or self._project
        self._region = config.get("region") or self._region
        return message("Diagnostics")

    def validate(self, blocks: Mapping[str, Block], request: Any) -> Any:
        found = problems(request.type_name, blocks[request.type_name], _decode(request.config))
        return _with_problems(message("Diagnostics"), found)

    def upgrade(self, request: Any) -> Any:
        stored = json.loads(request.raw_state.json)
        state = values.complete(self._schema.resources[request.type_name], stored)
        return message("State", state=_encode(state))

    def read(self, request: Any) -> Any:
        state = self._cloud.read(request.type_name, _decode(request.current_state))
        return message("State", state=_encode(state))

    def plan(self, request: Any) -> Any:
        prior, proposed = _decode(request.prior_state), _decode(request.proposed)
        if proposed is None:
            return message("Planned", planned_state=request.proposed)
        changed = replacing(request.type_name, prior, proposed) if prior is not None else []
        block = self._schema.resources[request.type_name]
        answer = message("Planned", planned_state=_encode(values.planned(block, proposed, is_new=prior is None)))
        for name in changed:
            answer.requires_replace.add().steps.add(attribute_name=name)
        return answer

    def apply(self, request: Any) -> Any:
        planned = _decode(request.planned_state)
        if planned is None:
            prior = _decode(request.prior_state)
            problem = destruction_problem(prior)
            refusals = [problem] if problem else self._cloud.destroy(request.type_name, prior)
            if refusals:
                return _with_problems(
                    message("Applied", new_state=request.prior_state), [((), one) for one in refusals]
                )
            return message("Applied", new_state=_encode(None))
        block = self._schema.resources[request.type_name]
        # What depended on others is known by now, and may be wrong.
        found = list(problems(request.type_name, block, _decode(request.config)))
        state = values.known(block, planned, self._inventor(request.type_name, planned))
        prior = _decode(request.prior_state)
        refusals = self._cloud.apply(request.type_name, state, prior)
        # What was refused is not there: it is as it was.
        new_state = prior if refusals else state
        return _with_problems(
            message("Applied", new_state=_encode(new_state)), [*found, *(((), one) for one in refusals)]
        )

    def import_state(self, request: Any) -> Any:
        values = self._cloud.find(request.type_name, request.id)
        if values is None:
            return _with_problems(message("Imported"), [((), f"Cannot import non-existent remote object {request.id}")])
        found = message("ImportedResource", type_name=request.type_name, state=_encode(values))
        return message("Imported", imported_resources=[found])

    def read_data(self, request: Any) -> Any:
        config = _decode(request.config)
        self._cloud.read_data(request.type_name)
        if request.type_name == "archive_file":
            config = write_archive(config, self._folder)
        state = self._made_up(self._schema.data_sources[request.type_name], request.type_name, config)
        return message("State", state=_encode(state))

    def open(self, request: Any) -> Any:
        config = _decode(request.config)
        result = self._made_up(self._schema.ephemeral[request.type_name], request.type_name, config)
        return message("Opened", result=_encode(result))

    def _made_up(self, block: Block, type_name: str, config: dict[str, Any]) -> dict[str, Any]:
        unknown = values.planned(block, config, is_new=True)
        return values.known(block, unknown, self._inventor(type_name, config))

    def _inventor(self, type_name: str, given: Mapping[str, Any]) -> values.Inventor:
        known = {name: value for name, value in given.items() if value is not UNKNOWN}
        return values.Inventor(type_name, known, self._project, self._region)


def _decode(value: Any) -> Any:
    if value.msgpack:
        return unpack(value.msgpack)
    return json.loads(value.json) if value.json else None


def _encode(value: Any) -> Any:
    return message("DynamicValue", msgpack=pack(value))


def _with_problems(answer: Any, found: Iterable[Problem]) -> Any:
    for path, text in found:
        diagnostic = answer.diagnostics.add(severity=_ERROR, summary="Refused by the simulated provider", detail=text)
        for step in path:
            name = "element_key_int" if isinstance(step, int) else "attribute_name"
            diagnostic.attribute.steps.add(**{name: step})
    return answer
