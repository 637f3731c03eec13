"""Listing a bucket: pages, prefixes, delimiter, offsets and glob."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from werkzeug.wrappers import Response

from local.storage import answers
from local.storage.calls import Call, Document
from local.storage.errors import invalid
from local.storage.store import Store

_PAGE: Final = 1000
_FIRST_CHARACTER: Final = "\0"
_LAST_CHARACTER: Final = "\U0010ffff"
_BATCH_WITH_FOLDERS: Final = 32
_GLOB_TOKEN: Final = re.compile(r"\{[^{}]*\}|\[[^\]]+\]|\*\*|.", re.DOTALL)
_GLOB_MEANINGS: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class _Selection:
    """Which names a listing is about."""

    prefix: str
    start: str
    end: str | None
    delimiter: str
    glob: re.Pattern[str] | None

    def is_past(self, name: str) -> bool:
        """Says whether this name, met in order, is beyond everything selected."""
        return not name.startswith(self.prefix) or (self.end is not None and name >= self.end)

    def has(self, name: str) -> bool:
        return self.glob is None or self.glob.fullmatch(name) is not None

    def folder_of(self, name: str) -> str | None:
        """Returns the common prefix this name is rolled up into."""
        if not self.delimiter:
            return None
        cut = name.find(self.delimiter, len(self.prefix))
        return name[: cut + len(self.delimiter)] if cut >= 0 else None


@dataclass(frozen=True)
class _Entry:
    """One line of a listing: an object, or a common prefix if there is no resource."""

    name: str
    resource: str | None

    @property
    def next_start(self) -> str:
        """Returns the first name that can come after this entry; after a prefix, after all that it stands for."""
        return self.name + (_LAST_CHARACTER if self.resource is None else _FIRST_CHARACTER)


def list_objects(store: Store, call: Call, bucket: str) -> Response:
    """Returns one page. Objects and prefixes share `maxResults`; only the rows of the page are read."""
    store.require_bucket(bucket)
    selection = _selection(call)
    if call.query.get("softDeleted", "").lower() == "true":
        return answers.document(_soft_deleted(store, bucket, selection))
    limit = _limit(call)
    # After a folder the search starts anew behind it, so reading far ahead would be wasted.
    batch = _BATCH_WITH_FOLDERS if selection.delimiter else limit + 1
    start = max(selection.start, _start_of(call.query.get("pageToken")))
    entries = _entries(store, bucket, selection, start, batch)
    page: list[_Entry] = []
    for entry in entries:
        if len(page) == limit:
            return answers.document({**_render(page), "nextPageToken": _token_of(page[-1].next_start)})
        page.append(entry)
    return answers.document(_render(page))


def _entries(store: Store, bucket: str, selection: _Selection, start: str, batch: int) -> Iterator[_Entry]:
    while rows := store.catalog.live_page(bucket, start, batch):
        for name, resource in rows:
            if selection.is_past(name):
                return
            if not selection.has(name):
                start = name + _FIRST_CHARACTER
                continue
            folder = selection.folder_of(name)
            entry = _Entry(name, resource) if folder is None else _Entry(folder, None)
            start = entry.next_start
            yield entry
            if folder is not None:
                # Jump over the rest of the folder rather than read it.
                break


def _soft_deleted(store: Store, bucket: str, selection: _Selection) -> Document:
    rows = store.catalog.all_soft_deleted(bucket, selection.start)
    return _render([_Entry(*row) for row in rows if not selection.is_past(row[0]) and selection.has(row[0])])


def _render(page: list[_Entry]) -> Document:
    return {
        "kind": "storage#objects",
        "items": [json.loads(entry.resource) for entry in page if entry.resource is not None],
        "prefixes": [entry.name for entry in page if entry.resource is None],
    }


def _selection(call: Call) -> _Selection:
    prefix = call.query.get("prefix", "")
    glob = call.query.get("matchGlob")
    return _Selection(
        prefix=prefix,
        start=max(prefix, call.query.get("startOffset", "")),
        end=call.query.get("endOffset") or None,
        delimiter=call.query.get("delimiter", ""),
        glob=_glob(glob) if glob else None,
    )


def _glob(glob: str) -> re.Pattern[str]:
    """`*` stays within a folder, `**` does not."""
    try:
        return re.compile(_glob_pattern(glob), re.DOTALL)
    except re.error as error:
        raise invalid(f"Invalid glob: {glob}") from error


def _glob_pattern(glob: str) -> str:
    return "".join(_glob_piece(token) for token in _GLOB_TOKEN.findall(glob))


def _glob_piece(token: str) -> str:
    if len(token) > 1 and token.startswith("{"):
        choices = (_glob_pattern(choice) for choice in token[1:-1].split(","))
        return f"(?:{'|'.join(choices)})"
    if len(token) > 1 and token.startswith("["):
        return token.replace("[!", "[^", 1).replace("\\", "\\\\")
    return _GLOB_MEANINGS.get(token) or re.escape(token)


def _limit(call: Call) -> int:
    text = call.query.get("maxResults") or str(_PAGE)
    if not text.isdecimal() or int(text) == 0:
        raise invalid(f"Invalid value for maxResults: {text}")
    return min(int(text), _PAGE)


def _token_of(start: str) -> str:
    return base64.urlsafe_b64encode(start.encode()).decode()


def _start_of(token: str | None) -> str:
    if not token:
        return ""
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise invalid("Invalid page token.") from error
