"""Layouts in a bucket, and their import from the first step to the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote

import requests

from functions.migrate import work
from functions.migrate.imports import guard
from functions.registry.blobs.objects import StoredObjects
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.wiring import Services
from tests.imports.truth import ROOT
from tests.metadata.build import query


def upload(storage_address: str, bucket: str, objects: Mapping[str, bytes]) -> None:
    session = requests.Session()

    def put(name: str) -> None:
        url = f"{storage_address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        session.post(url, data=objects[name], timeout=30).raise_for_status()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, objects))


def files(folder: Path) -> dict[str, bytes]:
    """All that lies in the folder, by the names that it has in a bucket."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add(services: Services, address: str | None = None, **options: Any) -> Source:
    """A source that is open; by default the layout in the registry's own bucket."""
    is_here = address is None
    new = NewSource("layout", address or f"gs://{services.settings.bucket}", ROOT if is_here else None, **options)
    source = sources.add(services.database, new)
    sources.set_mode(services.database, source.id, "lead")
    assert sources.open_up(services.database, source.id)
    return source


def run(services: Services) -> int:
    """Works until there is nothing left to do."""
    done = 0
    while pieces := work.run(services):
        done += pieces
    return done


def problems(services: Services) -> set[tuple[str, str, str, str]]:
    """Repository, kind, key and reason of each."""
    rows = query(services.database, "SELECT repository, kind, key, reason FROM import_problems WHERE gone_at IS NULL")
    return {(repository, kind, key, reason) for repository, kind, key, reason in rows}


def states(services: Services) -> dict[str, str]:
    return dict(query(services.database, "SELECT path, state FROM import_repositories"))


@contextmanager
def requests_counted() -> Iterator[list[str]]:
    """What the store of a source is asked meanwhile: `list`, or the name of the object that is looked at or read.

    Not counted is what each run asks once: whether the bucket is still guarded.
    """
    asked: list[str] = []
    watching = guard.Guard.put_up

    def watched(self: guard.Guard, **options: Any) -> None:
        before = len(asked)
        try:
            watching(self, **options)
        finally:
            del asked[before:]

    get = StoredObjects._get

    def counting(self: StoredObjects, path: str, *arguments: Any) -> Any:
        name = path.partition("/o/")[2]
        asked.append(f"{'read' if path.startswith('/download') else 'find'} {unquote(name)}" if name else "list")
        return get(self, path, *arguments)

    with mock.patch.object(StoredObjects, "_get", counting), mock.patch.object(guard.Guard, "put_up", watched):
        yield asked
