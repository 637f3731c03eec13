"""Lists come in pages; a page that is not the last one links to the next (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

from functions.registry.oci.page import Page

Entry = TypeVar("Entry")


def cut(entries: Sequence[Entry], size: int) -> tuple[list[Entry], bool]:
    """Returns the page's entries, and whether more follow. `entries` has one more than `size` if so."""
    return list(entries[:size]), len(entries) > size


def link(path: str, **query: str) -> dict[str, str]:
    """Returns the header that points to the next page. Relative, so that it stays on the host the client asked."""
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}


def name_page(path: str, names: Sequence[str], page: Page) -> tuple[list[str], dict[str, str]]:
    """Returns the names of a page and its headers."""
    shown, more = cut(names, page.size)
    return shown, link(path, n=str(page.size), last=shown[-1]) if more and shown else {}
