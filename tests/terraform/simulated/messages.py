"""The messages of `tfplugin6` that Terraform sends and reads, made at run time: no generated code to keep.

https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin6.proto
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "simulated"
_SCALARS: Final = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
}
# Number and type of each field; a type in brackets may come several times. Names are ours where two messages look
# alike on the wire; a map is its entries there.
_MESSAGES: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "DynamicValue": {"msgpack": (1, "bytes"), "json": (2, "bytes")},
    "Step": {"attribute_name": (1, "string"), "element_key_string": (2, "string"), "element_key_int": (3, "int64")},
    "AttributePath": {"steps": (1, "[Step]")},
    "Diagnostic": {
        "severity": (1, "int64"),
        "summary": (2, "string"),
        "detail": (3, "string"),
        "attribute": (4, "AttributePath"),
    },
    "Attribute": {
        "name": (1, "string"),
        "type": (2, "bytes"),
        "required": (4, "bool"),
        "optional": (5, "bool"),
        "computed": (6, "bool"),
        "sensitive": (7, "bool"),
        "write_only": (11, "bool"),
    },
    "NestedBlock": {
        "type_name": (1, "string"),
        "block": (2, "Block"),
        "nesting": (3, "int64"),
        "min_items": (4, "int64"),
        "max_items": (5, "int64"),
    },
    "Block": {"version": (1, "int64"), "attributes": (2, "[Attribute]"), "block_types": (3, "[NestedBlock]")},
    "Schema": {"version": (1, "int64"), "block": (2, "Block")},
    "SchemaEntry": {"key": (1, "string"), "value": (2, "Schema")},
    "Empty": {},
    "Schemas": {
        "provider": (1, "Schema"),
        "resource_schemas": (2, "[SchemaEntry]"),
        "data_source_schemas": (3, "[SchemaEntry]"),
        "ephemeral_resource_schemas": (8, "[SchemaEntry]"),
    },
    "Configure": {"terraform_version": (1, "string"), "config": (2, "DynamicValue")},
    "TypeAndConfig": {"type_name": (1, "string"), "config": (2, "DynamicValue")},
    "Diagnostics": {"diagnostics": (1, "[Diagnostic]")},
    "RawState": {"json": (1, "bytes")},
    "Upgrade": {"type_name": (1, "string"), "version": (2, "int64"), "raw_state": (3, "RawState")},
    "Read": {"type_name": (1, "string"), "current_state": (2, "DynamicValue")},
    "State": {"state": (1, "DynamicValue"), "diagnostics": (2, "[Diagnostic]")},
    "Plan": {
        "type_name": (1, "string"),
        "prior_state": (2, "DynamicValue"),
        "proposed": (3, "DynamicValue"),
        "config": (4, "DynamicValue"),
    },
    "Planned": {
        "planned_state": (1, "DynamicValue"),
        "requires_replace": (2, "[AttributePath]"),
        "diagnostics": (4, "[Diagnostic]"),
    },
    "Apply": {
        "type_name": (1, "string"),
        "prior_state": (2, "DynamicValue"),
        "planned_state": (3, "DynamicValue"),
        "config": (4, "DynamicValue"),
    },
    "Applied": {"new_state": (1, "DynamicValue"), "diagnostics": (3, "[Diagnostic]")},
    "Import": {"type_name": (1, "string"), "id": (2, "string")},
    "ImportedResource": {"type_name": (1, "string"), "state": (2, "DynamicValue")},
    "Imported": {"imported_resources": (1, "[ImportedResource]"), "diagnostics": (2, "[Diagnostic]")},
    "Opened": {"diagnostics": (1, "[Diagnostic]"), "result": (3, "DynamicValue")},
}


def _make() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="simulated.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "Step":
            # Without it an index of 0 would be left out, as zeros are.
            message.oneof_decl.add(name="selector")
        for field_name, (number, kind) in fields.items():
            one = kind.strip("[]")
            label = _Field.LABEL_OPTIONAL if one == kind else _Field.LABEL_REPEATED
            field = message.field.add(name=field_name, number=number, label=label)
            if one in _SCALARS:
                field.type = _SCALARS[one]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{one}"
            if name == "Step":
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES: Final = _make()


def message_class(name: str) -> Any:
    return _CLASSES[name]


def message(name: str, **fields: Any) -> Any:
    """Any, since the fields of a class made at run time are not known to the checker."""
    return _CLASSES[name](**fields)
