r"""Takes the schemas of the types that terraform/ uses out of a provider's published bindings.

    pip download --no-deps cdktn-provider-google==21.1.0 cdktn-provider-archive==14.0.1 \
        cdktn-provider-random==15.0.1 cdktn-provider-tls==14.1.1
    pip download --no-deps cdktn-provider-google==20.3.1
    python -m tests.terraform.extract_schemas *.whl

Each major version of a provider has a file: of Google's the newest, and the oldest that versions.tf lets in. The
bindings (MPL-2.0) are JavaScript that was generated from the real provider's schema; what is read here is its regular
form. They lack defaults, what forces a replacement, what is sensitive, and rules across arguments.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMAS: Final = Path(__file__).resolve().parent / "schemas"

_USED: Final = re.compile(r'^(resource|data|ephemeral) "(\w+)"', re.MULTILINE)
_FOLDER_PREFIX: Final = {"resource": "", "data": "data-", "ephemeral": "ephemeral-"}
_KINDS: Final = {
    "TerraformResource": "resources",
    "TerraformDataSource": "data_sources",
    "TerraformEphemeralResource": "ephemeral",
    "TerraformProvider": "provider",
}

_CLASS: Final = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{$", re.MULTILINE)
_MARK: Final = re.compile(
    r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.MULTILINE
)
_NESTED: Final = re.compile(r"^    _\w+ = new ([\w.]+)\(this, \"\w+\"(?:, (true|false))?\);", re.MULTILINE)
_GETTER: Final = re.compile(r"return (.*?);")
_TABLE: Final = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_ROW: Final = re.compile(
    r"^ {8,12}(\w+): \{\n\s+value: (.*?),\n\s+isBlock: (?:true|false),\n\s+type: \"(\w+)\","
    r"\n\s+storageClassType: \"(\w+)\",",
    re.MULTILINE | re.DOTALL,
)
_ATTRIBUTE_GETTER: Final = re.compile(r"get(String|Number|Boolean|Any)?(List|Map|MapList)?Attribute\(")
_TYPE_NAME: Final = re.compile(r'static tfResourceType = "([\w-]+)"')
_INTERFACE: Final = re.compile(r"^export interface (\w+)(?: extends [\w.]+)? \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_PROPERTY: Final = re.compile(r"/\*\*(.*?)\*/\s+readonly \w+\??:", re.DOTALL)
_DOC_NAME: Final = re.compile(r"#(\w+) \w+#\w+\}")
_CHOICES: Final = re.compile(r"Possible values: \[([^\]]*)\]")
# Large resources are spread over several files, which refer to each other by these.
_FILE_PREFIX: Final = re.compile(r"\b(?:index_\d+|structs\d+(?:_\d+)?)\.")
_PRIMITIVES: Final = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_MAPS: Final = {
    "cdktn.StringMap": ["map", "string"],
    "cdktn.NumberMap": ["map", "number"],
    "cdktn.BooleanMap": ["map", "bool"],
    "cdktn.AnyMap": ["map", "dynamic"],
    "cdktn.StringMapList": ["list", ["map", "string"]],
}
# The classes of a few resources refer to themselves.
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class _Row:
    """What the generated code writes into Terraform's language for one argument."""

    value: str
    mode: str
    storage: str


@dataclass(frozen=True, slots=True)
class _Mark:
    """One argument: what its comment says, and the code below it."""

    name: str
    is_computed: bool
    is_optional: bool
    is_required: bool
    code: str

    @property
    def flags(self) -> dict[str, bool]:
        flags = {"required": self.is_required, "optional": self.is_optional, "computed": self.is_computed}
        return {name: True for name, is_set in flags.items() if is_set}


@dataclass(slots=True)
class _Module:
    """One resource's code and its declarations."""

    classes: dict[str, tuple[str, str]] = field(default_factory=dict)
    tables: dict[str, dict[str, _Row]] = field(default_factory=dict)
    choices: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, code: str, declarations: str) -> _Module:
        module = cls()
        for match in _CLASS.finditer(code):
            end = code.find("\n}\n", match.end())
            module.classes[match[1]] = (match[2], code[match.end() : end if end > 0 else len(code)])
        for match in _TABLE.finditer(code):
            module.tables[match[1].lower()] = _rows(match[2])
        for interface in _INTERFACE.finditer(declarations):
            for match in _PROPERTY.finditer(interface[2]):
                name = _DOC_NAME.search(match[1])
                found = _CHOICES.search(re.sub(r"\s*\n\s*\*\s?", " ", match[1]))
                if name and found:
                    module.choices[interface[1], name[1]] = re.findall(r'"([^"]*)"', found[1])
        return module

    def block(self, name: str, interface: str, depth: int = 0) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        if depth > _DEEPEST:
            return {"attributes": attributes, "blocks": blocks}
        kind, body = self.classes[name]
        start = body.find("synthesizeHclAttributes()")
        rows = (_rows(body[start:]) if start >= 0 else {}) if kind in _KINDS else self.tables.get(interface.lower(), {})
        for mark in _marks(body):
            row, nested = rows.get(mark.name), _NESTED.search(mark.code)
            if nested and not nested[1].startswith("cdktn."):
                self._nest(mark, row, nested, (attributes, blocks), depth)
            else:
                attributes[mark.name] = self._attribute(mark, row, nested, interface)
        return {"attributes": attributes, "blocks": blocks}

    def _nest(
        self,
        mark: _Mark,
        row: _Row | None,
        nested: re.Match[str],
        into: tuple[dict[str, Any], dict[str, Any]],
        depth: int,
    ) -> None:
        attributes, blocks = into
        is_single = nested[1].endswith("OutputReference")
        is_set = not is_single and nested[2] == "true"
        inner = nested[1] if is_single else re.sub(r"(List|Map)$", "OutputReference", nested[1])
        block = self.block(inner, inner.removesuffix("OutputReference"), depth + 1)
        mode = row.mode if row else "set" if is_set else "list"
        if mark.is_computed and not mark.is_optional and not mark.is_required:
            kind = ["set" if is_set else "list", ["object", _object_type(block)]]
            attributes[mark.name] = {"type": kind, "computed": True}
        elif mode == "struct":
            blocks[mark.name] = {"nesting": "single", **block}
        else:
            blocks[mark.name] = {"nesting": "set" if mode == "set" or is_set else "list", **block}
            if is_single:
                blocks[mark.name]["most"] = 1
            if mark.is_required:
                blocks[mark.name]["least"] = 1

    def _attribute(self, mark: _Mark, row: _Row | None, nested: re.Match[str] | None, interface: str) -> dict[str, Any]:
        getter = _GETTER.search(mark.code[mark.code.find("get ") :]) if "get " in mark.code else None
        kind = (
            _row_type(row)
            or (_MAPS.get(nested[1]) if nested else None)
            or (_getter_type(getter[1]) if getter else None)
        )
        attribute: dict[str, Any] = {"type": kind or "string", **mark.flags}
        if row and "markWriteOnlyAttribute" in row.value:
            attribute["write_only"] = True
        choices = self.choices.get((interface, mark.name)) or self.choices.get((f"{interface}Config", mark.name))
        if choices:
            attribute["choices"] = choices
        return attribute


def _rows(code: str) -> dict[str, _Row]:
    return {match[1]: _Row(match[2], match[3], match[4]) for match in _ROW.finditer(code)}


def _marks(body: str) -> Iterator[_Mark]:
    found = list(_MARK.finditer(body))
    for match, following in zip_longest(found, found[1:]):
        end = following.start() if following else len(body)
        computed, optional, required = (match[index] == "true" for index in (2, 3, 4))
        yield _Mark(match[1], computed, optional, required, body[match.end() : end])


def _row_type(row: _Row | None) -> Any:
    if row is None:
        return None
    for storage, primitive in _PRIMITIVES.items():
        if row.storage == storage:
            return primitive
        if row.storage == f"{storage}List":
            return ["set" if row.mode == "set" else "list", primitive]
        if row.storage == f"{storage}Map":
            return ["map", primitive]
    return None


def _getter_type(code: str) -> Any:
    match = _ATTRIBUTE_GETTER.search(code)
    if match is None:
        return None
    primitive = _PRIMITIVES[(match[1] or ("String" if match[2] else "Any")).lower()]
    if match[2] == "List":
        return ["set" if "tolist(" in code else "list", primitive]
    return ["map", primitive] if match[2] == "Map" else primitive


def _object_type(block: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: attribute["type"] for name, attribute in block["attributes"].items()}
    for name, nested in block["blocks"].items():
        outer = "list" if nested["nesting"] == "single" else nested["nesting"]
        kinds[name] = [outer, ["object", _object_type(nested)]]
    return kinds


def _used(provider: str) -> set[str]:
    """The folders in the bindings of what terraform/ uses of a provider."""
    folders = {"provider"}
    for path in (ROOT / "terraform").glob("*.tf"):
        for kind, name in _USED.findall(path.read_text()):
            owner, _, rest = name.partition("_")
            if owner == provider:
                whole = rest if kind == "resource" else name
                folders.add(_FOLDER_PREFIX[kind] + whole.replace("_", "-"))
    return folders


def extract(wheel: Path) -> dict[str, Any]:
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = archive.read(inner)
    files: dict[str, dict[str, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        source = json.load(archive.extractfile("package/package.json") or io.BytesIO())["cdktn"]["provider"]
        wanted = _used(source["name"].rsplit("/", 1)[1])
        for member in archive:
            parts = member.name.split("/")
            suffix = next((suffix for suffix in (".d.ts", ".js") if member.name.endswith(suffix)), None)
            stream = archive.extractfile(member)
            if suffix and stream and parts[1] == "lib" and parts[2] in wanted:
                texts = files.setdefault(parts[2], {".js": "", ".d.ts": ""})
                texts[suffix] += "\n" + stream.read().decode()
    schema: dict[str, Any] = {"provider": None, "resources": {}, "data_sources": {}, "ephemeral": {}}
    for texts in files.values():
        module = _Module.parse(_FILE_PREFIX.sub("", texts[".js"]), texts[".d.ts"])
        for name, (kind, body) in module.classes.items():
            if kind == "TerraformProvider":
                schema["provider"] = module.block(name, name)
            elif kind in _KINDS and (type_name := _TYPE_NAME.search(body)):
                schema[_KINDS[kind]][type_name[1]] = module.block(name, name)
    return {"source": source, "schema": schema}


def render(document: dict[str, Any]) -> str:
    """A line for each type, so that a change can be read."""
    schema = document["schema"]
    lines = [
        "{",
        f'"source": {_compact(document["source"])},',
        '"schema": {',
        f'"provider": {_compact(schema["provider"])}',
    ]
    for kind in ("resources", "data_sources", "ephemeral"):
        entries = [f"{_compact(name)}: {_compact(block)}" for name, block in sorted(schema[kind].items())]
        lines[-1] += ","
        lines += [f'"{kind}": {{', ",\n".join(entries), "}"] if entries else [f'"{kind}": {{}}']
    return "\n".join([*lines, "}", "}", ""])


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def main() -> None:
    SCHEMAS.mkdir(exist_ok=True)
    for wheel in map(Path, sys.argv[1:]):
        document = extract(wheel)
        source = document["source"]
        path = SCHEMAS / f"{source['name'].rsplit('/', 1)[1]}-{source['version'].split('.')[0]}.json"
        path.write_text(render(document))
        sys.stdout.write(f"{path.name}: {source['name']} {source['version']}, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
