"""What an image's manifest and config say, as a page shows it.

All of it is strangers' text: any type may stand anywhere.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.oci.json_object import read_stored

# What a page shows of what somebody wrote at will.
_LONGEST_TEXT: Final = 2000
_MOST_ENTRIES: Final = 200
_MOST_LAYERS: Final = 500
_LARGEST_RAW: Final = 64 << 10
_SECRET_NAME: Final = re.compile(r"(?i)pass(word|wd|phrase)?$|secret|token|credential|private|(api|access|auth)_?key")
_SHORTEST_RANDOM: Final = 20
_RANDOM_BITS: Final = 4.0
_SHELL: Final = re.compile(r"^/bin/sh -c (#\(nop\)\s*)?")
_NO_TIMES: Final = ("0001-01-01", "1970-01-01", "1980-01-01")
_SMALLEST_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Layer:
    """`history` is the line of the build that made it; without `digest` it is a line that made none.

    `share` is how much of the largest layer it has, in percent.
    """

    number: int | None
    digest: str
    media_type: str
    bytes: int
    history: str
    share: float


@dataclass(frozen=True, slots=True)
class Variable:
    """`is_covered` if it looks like a secret, by its name or by its value."""

    name: str
    value: str
    is_covered: bool


@dataclass(frozen=True, slots=True)
class Config:
    platform: str
    created: str
    facts: list[tuple[str, str]]
    variables: list[Variable]
    labels: list[tuple[str, str]]


def layers(manifest: dict[str, Any], config: dict[str, Any]) -> list[Layer]:
    """Returns them in the order of the image, with the lines of its history where those fit to the layers."""
    found = [entry for entry in _list(manifest.get("layers"))[:_MOST_LAYERS] if isinstance(entry, dict)]
    history = [entry for entry in _list(config.get("history"))[:_MOST_LAYERS] if isinstance(entry, dict)]
    largest = max((_int(entry.get("size")) for entry in found), default=0)
    if sum(not entry.get("empty_layer") for entry in history) != len(found):
        return [_layer(number, entry, "", largest) for number, entry in enumerate(found, 1)]
    shown, rest = [], iter(enumerate(found, 1))
    for line in history:
        text = _line(line)
        if line.get("empty_layer"):
            shown.append(Layer(None, "", "", 0, text, 0))
        else:
            number, entry = next(rest)
            shown.append(_layer(number, entry, text, largest))
    return shown


def config(document: dict[str, Any]) -> Config:
    run = document.get("config")
    run = run if isinstance(run, dict) else {}
    platform = "/".join(text for part in ("os", "architecture", "variant") if (text := _text(document.get(part))))
    facts = [
        ("Entrypoint", _words(run.get("Entrypoint"))),
        ("Command", _words(run.get("Cmd"))),
        ("User", _text(run.get("User"))),
        ("Working directory", _text(run.get("WorkingDir"))),
        ("Ports", " ".join(_keys(run.get("ExposedPorts")))),
        ("Volumes", " ".join(_keys(run.get("Volumes")))),
        ("Stop signal", _text(run.get("StopSignal"))),
        ("Author", _text(document.get("author"))),
    ]
    return Config(
        platform,
        _built(document),
        [(name, value) for name, value in facts if value],
        list(_variables(run.get("Env"))),
        pairs(run.get("Labels")),
    )


def pairs(found: Any) -> list[tuple[str, str]]:
    """Returns labels or annotations, by name."""
    entries = found.items() if isinstance(found, dict) else ()
    return sorted((_text(name), _text(value)) for name, value in entries)[:_MOST_ENTRIES]


def read(content: bytes) -> dict[str, Any]:
    return read_stored(content) if content else {}


def raw(payload: bytes) -> str:
    """Returns it as it was pushed, with line breaks; a large one is cut."""
    document = read_stored(payload)
    text = json.dumps(document, indent=2, ensure_ascii=False) if document else payload.decode(errors="replace")
    return text if len(text) <= _LARGEST_RAW else text[:_LARGEST_RAW] + "\n… the rest is left out"


def _layer(number: int, entry: dict[str, Any], history: str, largest: int) -> Layer:
    size = _int(entry.get("size"))
    share = max(100 * size / largest, _SMALLEST_SHARE) if largest else 0.0
    return Layer(number, _text(entry.get("digest")), _text(entry.get("mediaType")), size, history, round(share, 1))


def _line(entry: dict[str, Any]) -> str:
    """Returns it as a Dockerfile has it: without the shell around it, and without what builders add."""
    text = _SHELL.sub(lambda match: "" if match[1] else "RUN ", _text(entry.get("created_by")))
    return text.removesuffix("# buildkit").strip() or _text(entry.get("comment"))


def _variables(found: Any) -> Iterator[Variable]:
    for entry in _list(found)[:_MOST_ENTRIES]:
        name, _, value = _text(entry).partition("=")
        yield Variable(name, value, bool(value) and _looks_secret(name, value))


def _looks_secret(name: str, value: str) -> bool:
    if _SECRET_NAME.search(name):
        return True
    if len(value) < _SHORTEST_RANDOM or not re.fullmatch(r"[A-Za-z0-9+/=_-]+", value):
        return False
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts) > _RANDOM_BITS


def _built(document: dict[str, Any]) -> str:
    """Returns when the image was built. Many builders write the beginning of time, so that builds can be repeated."""
    created = _text(document.get("created"))[:40]
    return "" if created.startswith(_NO_TIMES) else created


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _keys(value: Any) -> list[str]:
    return [_text(key) for key in list(value)[:_MOST_ENTRIES]] if isinstance(value, dict) else []


def _words(value: Any) -> str:
    words = [_text(word) for word in _list(value)[:_MOST_ENTRIES]]
    return " ".join(json.dumps(word, ensure_ascii=False) if re.search(r"[\s\"']", word) else word for word in words)


def _text(value: Any) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
