"""A provider's schema: read from the extracted file, and said in the protocol's words."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.terraform.simulated.messages import message

# How a nested block comes: the protocol's numbers.
_NESTING: Final = {"single": 1, "list": 2, "set": 3}
# The bindings don't say what is sensitive: this is what they leave out, of the types that are used.
_SENSITIVE: Final = {
    ("google_secret_manager_secret_version", "secret_data"),
    ("google_secret_manager_secret_version", "secret_data_wo"),
    ("google_sql_user", "password"),
    ("google_sql_user", "password_wo"),
    ("random_password", "result"),
    ("random_password", "bcrypt_hash"),
    ("tls_private_key", "private_key_pem"),
    ("tls_private_key", "private_key_pem_pkcs8"),
    ("tls_private_key", "private_key_openssh"),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """`type` is Terraform's own JSON form: "string", ["list", "string"], ["object", {…}]."""

    type: Any
    is_required: bool
    is_optional: bool
    is_computed: bool
    is_write_only: bool
    choices: tuple[str, ...]

    @property
    def is_output(self) -> bool:
        """The provider says what it is, and nobody else."""
        return self.is_computed and not self.is_optional


@dataclass(frozen=True, slots=True)
class Nested:
    nesting: str
    block: Block
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Block:
    attributes: Mapping[str, Attribute]
    blocks: Mapping[str, Nested]


@dataclass(frozen=True, slots=True)
class ProviderSchema:
    source: str
    version: str
    provider: Block
    resources: Mapping[str, Block]
    data_sources: Mapping[str, Block]
    ephemeral: Mapping[str, Block]

    @classmethod
    def load(cls, path: Path) -> ProviderSchema:
        document = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_text())
        schema = document["schema"]
        return cls(
            source=document["source"]["name"],
            version=document["source"]["version"],
            provider=_block(schema["provider"]),
            resources={name: _block(block) for name, block in schema["resources"].items()},
            data_sources={name: _block(block) for name, block in schema["data_sources"].items()},
            ephemeral={name: _block(block) for name, block in schema["ephemeral"].items()},
        )

    def render(self) -> bytes:
        """The answer to GetProviderSchema."""
        answer = message("Schemas")
        _render(answer.provider.block, "", self.provider)
        for entries, blocks in (
            (answer.resource_schemas, self.resources),
            (answer.data_source_schemas, self.data_sources),
            (answer.ephemeral_resource_schemas, self.ephemeral),
        ):
            for name, block in sorted(blocks.items()):
                _render(entries.add(key=name).value.block, name, block)
        rendered: bytes = answer.SerializeToString()
        return rendered


def _block(document: Mapping[str, Any]) -> Block:
    return Block(
        {
            name: Attribute(
                type=attribute["type"],
                is_required=attribute.get("required", False),
                is_optional=attribute.get("optional", False),
                is_computed=attribute.get("computed", False),
                is_write_only=attribute.get("write_only", False),
                choices=tuple(attribute.get("choices", ())),
            )
            for name, attribute in document.get("attributes", {}).items()
        },
        {
            name: Nested(nested["nesting"], _block(nested), nested.get("least", 0), nested.get("most", 0))
            for name, nested in document.get("blocks", {}).items()
        },
    )


def _render(target: Any, type_name: str, block: Block) -> None:
    target.SetInParent()  # one without anything in it is there all the same
    for name, attribute in sorted(block.attributes.items()):
        target.attributes.add(
            name=name,
            type=json.dumps(attribute.type).encode(),
            required=attribute.is_required,
            optional=attribute.is_optional,
            computed=attribute.is_computed,
            write_only=attribute.is_write_only,
            sensitive=(type_name, name) in _SENSITIVE,
        )
    for name, nested in sorted(block.blocks.items()):
        added = target.block_types.add(
            type_name=name, nesting=_NESTING[nested.nesting], min_items=nested.least, max_items=nested.most
        )
        _render(added.block, type_name, nested.block)
