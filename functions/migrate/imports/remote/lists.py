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
from functions.registry.oci.json_object import Unreadable, read_object

PAGE_SIZE: Final = 1000
_LARGEST_PAGE: Final = 32 << 20
_MOST_PAGES: Final = 100_000
# Pages that bring nothing new before a list is taken for one without an end.
_MOST_IDLE_PAGES: Final = 3
_NEXT: Final = re.compile(r'<([^<>]{1,4096})>[^,<]*;\s*rel="?next"?', re.IGNORECASE)


def catalog_path(page_size: int = PAGE_SIZE) -> str:
    return f"/v2/_catalog?n={page_size}"


def catalog_pages(remote: Remote, path: str) -> Iterator[tuple[list[str], str | None]]:
    """Yields, from the page at `path` on, the names on it, as they stand there, and where the next page is.

    Raises RemoteMissing where there is no catalog.
    """
    return _names(remote, path, None, "repositories")


def tags(remote: Remote, repository: str, page_size: int = PAGE_SIZE) -> Iterator[str]:
    for names, _ in _names(remote, f"/v2/{quote(repository)}/tags/list?n={page_size}", repository, "tags"):
        yield from names


def referrers(remote: Remote, repository: str, subject: Digest) -> list[Digest] | None:
    """Returns None if the registry has no such list."""
    found: dict[Digest, None] = {}
    try:
        for document, _ in _pages(remote, f"/v2/{quote(repository)}/referrers/{subject}", repository):
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


def _names(remote: Remote, path: str, repository: str | None, field: str) -> Iterator[tuple[list[str], str | None]]:
    seen: set[int] = set()
    idle = 0
    for document, then in _pages(remote, path, repository):
        listed = document.get(field)
        if listed is not None and not isinstance(listed, list):
            raise AnswerInvalid(f"{remote.host} sends a list without {field}")
        names = [name for name in listed or [] if isinstance(name, str) and hash(name) not in seen]
        seen.update(map(hash, names))
        yield names, then
        idle = 0 if names else idle + 1
        if idle > _MOST_IDLE_PAGES:
            raise AnswerInvalid(f"{remote.host} sends a list of {field} without an end")


def _pages(remote: Remote, path: str, repository: str | None) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yields each page, and where the next is: as the page says, but at this registry whatever host it names."""
    seen: set[str] = set()
    while len(seen) < _MOST_PAGES:
        seen.add(path)
        content, link = remote.page(path, repository, _LARGEST_PAGE)
        try:
            document = read_object(content, may_have_doubles=True)
        except Unreadable as error:
            raise AnswerInvalid(f"{remote.host} sends a list that can't be read: {error}") from error
        then = _next(remote, path, link)
        yield document, then
        if then is None:
            return
        if then in seen:
            raise AnswerInvalid(f"{remote.host} sends a list without an end")
        path = then
    raise AnswerInvalid(f"{remote.host} sends a list of more than {_MOST_PAGES} pages")


def _next(remote: Remote, path: str, link: str) -> str | None:
    following = _NEXT.search(link)
    if following is None:
        return None
    try:
        target = urlsplit(urljoin(path, following[1]))
    except ValueError as error:
        raise AnswerInvalid(f"{remote.host} sends a link that can't be read") from error
    then = f"{target.path}?{target.query}" if target.query else target.path
    if not target.path.startswith("/v2/") or not then.isascii() or not then.isprintable():
        raise AnswerInvalid(f"{remote.host} sends a link that leads out of the list")
    return then
