"""Compose: several objects, end to end, become one."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from werkzeug.wrappers import Response

from local.storage import answers, conditions
from local.storage.calls import BLOCK, Call, Document
from local.storage.checksums import Checksums, crc32c_of, file_blocks
from local.storage.errors import invalid
from local.storage.store import Content, Store

_SOURCES_LIMIT: Final = 32


def compose(store: Store, call: Call, bucket: str, name: str) -> Response:
    """Concatenate 1 to 32 objects of one bucket. The result knows its crc32c, never its md5."""
    wanted = call.document()
    sources = _sources(store, bucket, wanted.get("sourceObjects", []))
    with store.files.scratch() as path:
        _concatenate([store.content_of(source) for source in sources], path)
        content = Content(
            path=path,
            checksums=Checksums(crc32c=crc32c_of(file_blocks(path)), md5=None),
            component_count=sum(source.get("componentCount", 1) for source in sources),
        )
        return answers.document(store.commit(bucket, name, content, wanted.get("destination", {}), call.query))


def _sources(store: Store, bucket: str, wanted: Sequence[Document]) -> list[Document]:
    if not 1 <= len(wanted) <= _SOURCES_LIMIT:
        raise invalid("The number of source components provided must be between 1 and 32.")
    found = []
    for source in wanted:
        resource = store.require(bucket, source.get("name", ""), _texts(source))
        conditions.check(resource, _texts(source.get("objectPreconditions") or {}))
        found.append(resource)
    return found


def _texts(document: Document) -> dict[str, str]:
    """Reads a part of a JSON body as if it were a query; null stands for what is not there."""
    return {field: str(value) for field, value in document.items() if value is not None}


def _concatenate(sources: Sequence[Path], target: Path) -> None:
    with ExitStack() as stack:
        # All are opened first: a source that is deleted while others are copied stays readable.
        files: list[BinaryIO] = [stack.enter_context(source.open("rb")) for source in sources]
        with target.open("wb") as output:
            for file in files:
                shutil.copyfileobj(file, output, BLOCK)
