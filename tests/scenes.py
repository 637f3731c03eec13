"""What many tests begin with: built by the first of them, put back for each of the others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import requests

Told = TypeVar("Told")
_SECONDS: Final = 10


class Rows(Protocol):
    """A database whose rows are kept under a name, and put back."""

    url: str

    def keep(self, name: str) -> None: ...
    def put_back(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Scene:
    told: Any
    bucket: str
    objects: list[str]


class Scenes:
    """Those of one worker. `bucket` is that of the test that runs."""

    def __init__(self, rows: Rows, storage_address: str) -> None:
        self.url = rows.url
        self.bucket = ""
        self._rows = rows
        self._buckets = f"{storage_address}/storage/v1/b"
        self._http = requests.Session()
        self._kept: dict[str, _Scene] = {}

    def set(self, name: str, build: Callable[[], Told]) -> Told:
        """The rows and objects that `build` makes are there, and nothing else; what it returned is returned each time.

        Whoever builds has an empty registry, and begins nothing that goes on by itself.
        """
        if name not in self._kept:
            told = build()
            self._rows.keep(name)
            self._kept[name] = _Scene(copy.deepcopy(told), self.bucket, self._objects())
            return told
        scene = self._kept[name]
        self._rows.put_back(name)
        for each in scene.objects if scene.bucket != self.bucket else ():
            path = quote(each, safe="")
            url = f"{self._buckets}/{scene.bucket}/o/{path}/copyTo/b/{self.bucket}/o/{path}"
            self._http.post(url, json={}, timeout=_SECONDS).raise_for_status()
        return copy.deepcopy(scene.told)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._http.close()

    def _objects(self) -> list[str]:
        found: list[str] = []
        page: dict[str, Any] = {"nextPageToken": ""}
        while (token := page.get("nextPageToken")) is not None:
            asked = {"pageToken": token} if token else {}
            page = self._http.get(f"{self._buckets}/{self.bucket}/o", params=asked, timeout=_SECONDS).json()
            found += [each["name"] for each in page.get("items", ())]
        return found
