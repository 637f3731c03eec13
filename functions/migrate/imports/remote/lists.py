"""Lists of another registry, page by page: its catalog, a repository's tags, a manifest's referrers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import AnswerInvalid, RemoteMissing
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid
from functions.registry.oci.strangers_json import Unreadable, read_object

PAGE_SIZE: Final = 1000
_LARGEST_PAGE: Final = 32 << 20
_MOST_PAGES: Final = 100_000
# Pages that bring nothing new before a list is taken for one without an end.
_MOST_IDLE_PAGES: Final = 3
_NEXT: Final = re.compile(r'<([^<>]{1,4096})>[^,<]*;\s*rel="?next"?', re.IGNORECASE)


def repositories(remote: Remote, page_size: int = PAGE_SIZE) -> Iterator[str]:
    """The catalog's names, as they stand there. Raises RemoteMissing where there is no catalog."""
    yield from _names(remote, f"/v2/_catalog?n={page_size}", None, "repositories")


def tags(remote: Remote, repository: str, page_size: int = PAGE_SIZE) -> Iterator[str]:
    yield from _names(remote, f"/v2/{quote(repository)}/tags/list?n={page_size}", repository, "tags")


def referrers(remote: Remote, repository: str, subject: Digest) -> list[Digest] | None:
    """None if the registry has no such list."""
    found: dict[Digest, None] = {}
    try:
        for document in _pages(remote, f"/v2/{quote(repository)}/referrers/{subject}", repository):
            entries = document.get("manifests")
            if not isinstance(entries, list):
                return None
            before = len(found)
            for entry in entries:
                digest = entry.get("digest") if isinstance(entry, dict) else None
                if isinstance(digest, str):
                    try:
                        found[Digest.parse(digest)] = None
                    except DigestInvalid:
                        continue
            if len(found) == before:
                break
    except (RemoteMissing, AnswerInvalid):
        # A registry without it may answer with anything, a page for people included.
        return None
    return list(found)


def _names(remote: Remote, path: str, repository: str | None, field: str) -> Iterator[str]:
    seen: set[int] = set()
    idle = 0
    for document in _pages(remote, path, repository):
        names = document.get(field)
        if names is not None and not isinstance(names, list):
            raise AnswerInvalid(f"{remote.host} sends a list without {field}")
        before = len(seen)
        for name in names or []:
            if isinstance(name, str) and hash(name) not in seen:
                seen.add(hash(name))
                yield name
        idle = idle + 1 if len(seen) == before else 0
        if idle > _MOST_IDLE_PAGES:
            raise AnswerInvalid(f"{remote.host} sends a list of {field} without an end")


def _pages(remote: Remote, path: str, repository: str | None) -> Iterator[dict[str, Any]]:
    """Each page; the next is where the last one says, at this registry whatever host it names."""
    seen: set[str] = set()
    while len(seen) < _MOST_PAGES:
        seen.add(path)
        content, link = remote.page(path, repository, _LARGEST_PAGE)
        try:
            yield read_object(content, may_have_doubles=True)
        except Unreadable as error:
            raise AnswerInvalid(f"{remote.host} sends a list that can't be read: {error}") from error
        following = _NEXT.search(link)
        if following is None:
            return
        try:
            target = urlsplit(urljoin(path, following[1]))
        except ValueError as error:
            raise AnswerInvalid(f"{remote.host} sends a link that can't be read") from error
        path = f"{target.path}?{target.query}" if target.query else target.path
        if path in seen or not target.path.startswith("/v2/") or not path.isascii() or not path.isprintable():
            raise AnswerInvalid(f"{remote.host} sends a list without an end, or a link that leads out of it")
    raise AnswerInvalid(f"{remote.host} sends a list of more than {_MOST_PAGES} pages")
