"""Where an existing registry is, as somebody writes it: a bucket, a folder, or a registry's own address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT, SourceKind

_BUCKET: Final = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221})(?:/(.*))?")
_LONGEST: Final = 1024


class AddressInvalid(ValueError):
    """The message says what an address looks like."""


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """`text` is always written in one way; `prefix` is what its objects' names begin with in this registry's bucket."""

    kind: SourceKind
    text: str
    prefix: str | None = None


def parse(text: str, bucket: str) -> SourceAddress:
    """`bucket` is this registry's own. Raises AddressInvalid."""
    if not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise AddressInvalid(f"takes 1 to {_LONGEST} characters, none of them a control character")
    if match := _BUCKET.fullmatch(text):
        below = (match[2] or "").strip("/")
        below = below.removesuffix(LAYOUT_ROOT.rstrip("/")).strip("/")
        place = f"gs://{match[1]}/{below}".rstrip("/")
        prefix = f"{below}/{LAYOUT_ROOT}" if below else LAYOUT_ROOT
        return SourceAddress("layout", place, prefix if match[1] == bucket else None)
    if text.startswith("/"):
        return SourceAddress("layout", text.rstrip("/").removesuffix(f"/{LAYOUT_ROOT.rstrip('/')}") or "/")
    return SourceAddress("registry", _registry(text))


def _registry(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AddressInvalid("can't be read") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise AddressInvalid("takes gs://BUCKET[/PREFIX], a folder, or https://HOST")
    if parts.username is not None or parts.path.strip("/") not in {"", "v2"} or parts.query or parts.fragment:
        raise AddressInvalid("of a registry is https://HOST or https://HOST:PORT, and nothing more")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"
