"""Who writes into two registries of which one is moved into the other, and who looks at what comes of it."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

import requests

from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT
from functions.registry.oci.digest import Digest
from tests.imports import debian, demo
from tests.soak.client import Cut, Refused
from tests.soak.clients import Worker, new_image
from tests.soak.figures import Figures
from tests.soak.ledger import Key, Ledger
from tests.support import Image, index_of

SHARED: Final = tuple(f"shared/r{number}" for number in range(6))
_TAGS: Final = tuple(f"{side}-{number}" for side in ("old", "both") for number in range(4))
_OUR_TAGS: Final = tuple(f"{side}-{number}" for side in ("new", "both") for number in range(4))
_COLD_TAGS: Final = ("v1", "v2", "latest")
# So that the older one's folder stays small enough to be looked through every few seconds.
_SECONDS_BETWEEN: Final = 1.0
_ATTEMPTS: Final = 50


class There(Worker):
    """Somebody who pushes, retags and deletes in the older registry: in its own repositories alone."""

    def __init__(self, address: str, figures: Figures, ledger: Ledger, repositories: tuple[str, ...]) -> None:
        super().__init__(address, figures, f"there {repositories[0]}")
        self._address, self._ledger, self._repositories = address, ledger, repositories
        self._cold = 0

    def act(self) -> None:
        repository = self.chance.choice(self._repositories)
        key = repository, self.chance.choice(_TAGS)
        [act] = self.chance.choices(
            (self.push, self.push_index, self.retag, self.delete, self.push_cold), (8, 2, 5, 4, 1)
        )
        act(key)
        self.figures.count(f"there: {act.__name__}")
        self.figures.is_over.wait(self.chance.uniform(0, 2 * _SECONDS_BETWEEN))

    def push(self, key: Key) -> None:
        image = new_image(self.chance)
        demo.push(self._address, key[0], image)
        self._tag(key, image.manifest)

    def push_index(self, key: Key) -> None:
        children = [new_image(self.chance) for _ in range(2)]
        for child in children:
            demo.push(self._address, key[0], child)
        self._tag(key, index_of(*(child.manifest for child in children)))

    def retag(self, key: Key) -> None:
        """Moves it to what another tag of the repository names, if that names anything."""
        named = self._ledger.latest_there((key[0], self.chance.choice(_TAGS)))
        if named is not None:
            self._tag(key, self._get(key[0], named))

    def delete(self, key: Key) -> None:
        """Deletes it by its digest, with all tags that name it."""
        named = self._ledger.latest_there(key)
        if named is None:
            return
        for each in self._ledger.naming_there(key[0], named):
            self._ledger.change_there(each, None)
        answer = requests.delete(f"http://{self._address}/v2/{key[0]}/manifests/{named}", timeout=30)
        assert answer.status_code == HTTPStatus.ACCEPTED, answer.text

    def push_cold(self, _: Key) -> None:
        """A repository that nobody writes to in the new registry; now and then an old one of these changes."""
        number = self.chance.choice((self._cold, self.chance.randint(0, self._cold)))
        self._cold += number == self._cold
        key = f"cold/{self._repositories[0][-2:]}-{number}", self.chance.choice(_COLD_TAGS)
        self.push(key)

    def _tag(self, key: Key, manifest: bytes) -> None:
        self._ledger.change_there(key, Digest.of(manifest))
        path = f"http://{self._address}/v2/{key[0]}/manifests/{key[1]}"
        content_type = json.loads(manifest)["mediaType"]
        answer = requests.put(path, data=manifest, headers={"Content-Type": content_type}, timeout=30)
        assert answer.status_code == HTTPStatus.CREATED, answer.text

    def _get(self, repository: str, digest: Digest) -> bytes:
        answer = requests.get(
            f"http://{self._address}/v2/{repository}/manifests/{digest}",
            headers={"Accept": debian.ACCEPT},
            timeout=30,
        )
        assert answer.status_code == HTTPStatus.OK, answer.text
        return answer.content


class Here(Worker):
    """Somebody who does so in the new one, and finds it as it was left."""

    def __init__(self, address: str, figures: Figures, ledger: Ledger, repositories: tuple[str, ...]) -> None:
        super().__init__(address, figures, f"here {repositories[0]}")
        self._ledger, self._repositories = ledger, repositories
        self._images: dict[Key, bytes] = {}

    def act(self) -> None:
        key = self.chance.choice(self._repositories), self.chance.choice(_OUR_TAGS)
        [act] = self.chance.choices((self.push, self.push_index, self.retag, self.untag, self.delete), (8, 2, 5, 4, 3))
        with self._ledger.locks[key[0]]:
            act(key)
        self.figures.count(f"here: {act.__name__}")
        self.figures.is_over.wait(self.chance.uniform(0, _SECONDS_BETWEEN))

    def push(self, key: Key) -> None:
        self._push(key, [new_image(self.chance)], None)

    def push_index(self, key: Key) -> None:
        children = [new_image(self.chance) for _ in range(2)]
        self._push(key, children, index_of(*(child.manifest for child in children)))

    def _push(self, key: Key, images: list[Image], index: bytes | None) -> None:
        """Without grace, a collection may take what was pushed a moment ago: then all of it is pushed once more."""
        manifest = images[0].manifest if index is None else index
        for _ in range(_ATTEMPTS):
            with suppress(Refused, Cut):
                for image in images:
                    for content in image.blobs:
                        self.client.ensure_blob(key[0], content, key[0])
                    if index is not None:
                        self.client.put_manifest(key[0], image.digest, image.manifest)
                self.client.put_manifest(key[0], key[1], manifest)
                self._ledger.leave_here(key, Digest.of(manifest))
                self._images[key] = manifest
                return
            self.figures.count("pushed once more")
        self.figures.find("unexpected", f"{key} could not be pushed")

    def retag(self, key: Key) -> None:
        other = key[0], self.chance.choice(_OUR_TAGS)
        named = self._ledger.here.get(other)
        if named is None:
            return
        for _ in range(_ATTEMPTS):
            with suppress(Cut):
                self.client.put_manifest(*key, self._images[other])
                self._ledger.leave_here(key, named)
                self._images[key] = self._images[other]
                return
        self.figures.find("unexpected", f"{key} could not be tagged")

    def untag(self, key: Key) -> None:
        """Whoever wrote it last: a tag that only the older one has had is gone here from then on, too."""
        try:
            is_gone = self._take_away(key, key[1]) == HTTPStatus.ACCEPTED
        except Cut:
            self._ledger.doubt(key)
            raise
        if is_gone:
            self._ledger.leave_here(key, None)

    def delete(self, key: Key) -> None:
        """Deletes it by its digest, with all tags that name it; an index may list it."""
        named = self._ledger.here.get(key)
        if named is None:
            return
        naming = self._ledger.naming_here(key[0], named)
        try:
            is_gone = self._take_away(key, str(named)) == HTTPStatus.ACCEPTED
        except Cut:
            for each in naming:
                self._ledger.doubt(each)
            raise
        for each in naming if is_gone else ():
            self._ledger.leave_here(each, None)

    def _take_away(self, key: Key, reference: str) -> int:
        return self.client.request("DELETE", f"/v2/{key[0]}/manifests/{reference}", hoped=(202, 404, 405)).status


class Looking(Worker):
    """Somebody who pulls whatever either side has pushed, with all that it leads to."""

    def __init__(self, address: str, figures: Figures, ledger: Ledger, number: int) -> None:
        super().__init__(address, figures, f"looking {number}")
        self._ledger = ledger

    def act(self) -> None:
        keys = self._ledger.all_keys()
        if not keys:
            time.sleep(0.1)
            return
        key = self.chance.choice(keys)
        with self._ledger.locks[key[0]]:
            self.look(key)

    def look(self, key: Key, *, is_final: bool = False) -> None:
        found = self.client.resolve(*key)
        named = None if found is None else found[0]
        fault = (self._ledger.final_fault if is_final else self._ledger.fault)(key, named)
        if fault is not None:
            self.figures.find("wrong", fault)
        if found is None:
            self.figures.count("finds no tag")
            return
        try:
            self.client.pull(key[0], found[1])
        except Refused as refused:
            after = self.client.resolve(*key)
            if after is not None and after[0] == named:
                self.figures.find("lost", f"{key} at {named}: {refused}")
            else:
                self.figures.count("overtaken")
        else:
            self.figures.count("pulls")


class Mirror(threading.Thread):
    """What the older registry writes into its folder is in the bucket a few seconds later: what a tag names comes last,
    and what goes, goes.
    """

    def __init__(self, folder: Path, storage: str, bucket: str, figures: Figures, seconds: float = 3.0) -> None:
        super().__init__(name="mirror")
        self._folder, self._figures, self._seconds = folder, figures, seconds
        self._storage, self._bucket = storage, bucket
        self._known: dict[str, int] = {}
        self._session = requests.Session()

    def run(self) -> None:
        while not self._figures.is_over.wait(self._seconds):
            self.catch_up()

    def catch_up(self) -> None:
        found = dict(_files(self._folder))
        news = [name for name, moment in found.items() if self._known.get(name) != moment]
        for name in sorted(news, key=_rank):
            self._put(name, found[name])
        for name in sorted(self._known.keys() - found.keys(), reverse=True):
            url = f"{self._storage}/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
            assert self._session.delete(url, timeout=30).status_code in (204, 404)
            del self._known[name]

    def _put(self, name: str, moment: int) -> None:
        with suppress(FileNotFoundError):
            content = (self._folder / name).read_bytes()
            # It is being written at this moment.
            if not content and name.endswith("/link"):
                return
            query = {"uploadType": "media", "name": name}
            url = f"{self._storage}/upload/storage/v1/b/{self._bucket}/o"
            self._session.post(url, params=query, data=content, timeout=30).raise_for_status()
            self._known[name] = moment


def _rank(name: str) -> int:
    """Blobs first, then the links to them, then what tags name."""
    return 0 if "/blobs/" in name else 2 if name.endswith("/current/link") else 1


def _files(folder: Path) -> list[tuple[str, int]]:
    """Names below the folder, and when each file was written; uploads that were begun are left out.

    Blobs are looked for last: whatever links one was written after it.
    """
    found: list[tuple[str, int]] = []
    layout = folder / LAYOUT_ROOT
    pending = [str(layout / "blobs"), str(layout / "repositories")]
    while pending:
        with suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "_uploads":
                        pending.append(entry.path)
                    continue
                with suppress(FileNotFoundError):
                    found.append((os.path.relpath(entry.path, folder), entry.stat().st_mtime_ns))
    return found
