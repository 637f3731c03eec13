"""Clients at full speed: some push, move and delete; some pull, and notice what is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.soak.client import Client, Cut, Refused
from tests.soak.figures import HELD_TAGS, LEASE, MOVING_TAGS, REPOSITORIES, Figures
from tests.support import Image, encode, index_of

_SHARED_LAYERS: Final = 24
_NOT_FOUND: Final = HTTPStatus.NOT_FOUND


def shared_layer(number: int) -> bytes:
    """Returns one of between 1 and 40 KB; the same everywhere."""
    return random.Random(number).randbytes(1000 + number * 1700)  # noqa: S311  # contents


def new_image(chance: random.Random, **more: object) -> Image:
    """A config and a layer of its own, and layers that others have too."""
    shared = chance.sample(range(_SHARED_LAYERS), chance.randint(1, 3))
    own = chance.randbytes(chance.randint(10, 20_000))
    config = encode({"random": chance.randbytes(8).hex()})
    return Image(config=config, layers=(own, *map(shared_layer, shared)), more=dict(more))


class Worker(threading.Thread):
    """Acts again and again until it is told to end. What it raises is a finding."""

    def __init__(self, address: str, figures: Figures, seed: str) -> None:
        super().__init__(name=seed)
        self.figures = figures
        self.chance = random.Random(seed)  # noqa: S311  # chance, not secrecy
        self.client = Client(address, self.chance)

    def act(self) -> None:
        raise NotImplementedError

    @property
    def has_ended(self) -> bool:
        return self.figures.is_over.is_set()

    def run(self) -> None:
        while not self.has_ended:
            try:
                self.act()
            except Cut:
                self.figures.count("cut")
                time.sleep(0.1)
            except Exception as error:  # noqa: BLE001  # nothing else is expected: the soak fails, and goes on to tell more
                self.figures.find("unexpected", f"{self.name}: {error!r}")
        self.client.close()


class Pusher(Worker):
    def act(self) -> None:
        acts: dict[Callable[[str], None], int] = {
            self.push_tagged: 30,
            self.push_untagged: 10,
            self.push_index: 8,
            self.push_referrer: 8,
            self.retag: 12,
            self.delete_tag: 12,
            self.delete_manifest: 6,
            self.delete_blob: 4,
            self.abandon_upload: 5,
            self.cancel_upload: 5,
        }
        [act] = self.chance.choices(list(acts), list(acts.values()))
        act(self.chance.choice(REPOSITORIES))

    def push_tagged(self, repository: str) -> None:
        self.push(repository, self.chance.choice(MOVING_TAGS), new_image(self.chance))

    def push_untagged(self, repository: str) -> None:
        image = new_image(self.chance)
        self.push(repository, image.digest, image)

    def push_index(self, repository: str, tag: str | None = None) -> None:
        started = time.monotonic()
        children = [new_image(self.chance) for _ in range(2)]
        for child in children:
            self.push(repository, child.digest, child)
        index = index_of(*(child.manifest for child in children))
        self._put(repository, tag or self.chance.choice(MOVING_TAGS), index, started)

    def push_referrer(self, repository: str) -> None:
        found = self.client.resolve(repository, self.chance.choice(MOVING_TAGS))
        if found is not None:
            self.refer(repository, found[0])

    def refer(self, repository: str, subject: Digest) -> Digest:
        image = new_image(self.chance, subject={"mediaType": OCI_MANIFEST, "digest": str(subject), "size": 1})
        self.push(repository, image.digest, image)
        return image.digest

    def push(self, repository: str, reference: object, image: Image) -> None:
        started = time.monotonic()
        for blob in image.blobs:
            self.client.ensure_blob(repository, blob, self.chance.choice(REPOSITORIES))
        self._put(repository, reference, image.manifest, started)

    def _put(self, repository: str, reference: object, manifest: bytes, started: float) -> None:
        """What was confirmed or pushed since `started` may be gone only if that is long ago."""
        try:
            self.client.put_manifest(repository, reference, manifest)
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            self.count_too_slow(started)
        else:
            self.figures.count("pushes")

    def count_too_slow(self, started: float) -> None:
        """Something was collected before it was used; within half a lease that is a promise broken."""
        took = time.monotonic() - started
        if took > LEASE / 2:
            self.figures.count("too slow")
        else:
            self.figures.find("broken promise", f"{self.name}: gone after {took:.1f} s")

    def retag(self, repository: str) -> None:
        old, new = self.chance.sample(MOVING_TAGS, 2)
        answer = self.client.request("GET", f"/v2/{repository}/manifests/{old}", hoped=(200, 404))
        if answer.status == _NOT_FOUND:
            return
        try:
            self.client.put_manifest(repository, new, answer.body)
        except Refused as refused:
            # Its tag was moved and it was collected, or its children were, since it was read.
            if refused.status != _NOT_FOUND:
                raise
            self.figures.count("too slow")

    def delete_tag(self, repository: str) -> None:
        self.delete(f"/v2/{repository}/manifests/{self.chance.choice(MOVING_TAGS)}", 202, 404)

    def delete_manifest(self, repository: str) -> None:
        """Deletes it with all its tags; it is refused while an index lists it."""
        found = self.client.resolve(repository, self.chance.choice(MOVING_TAGS))
        if found is not None:
            self.delete(f"/v2/{repository}/manifests/{found[0]}", 202, 404, 405)

    def delete_blob(self, repository: str) -> None:
        """One of nobody else's: another client may rely on a shared one that it has seen."""
        content = self.chance.randbytes(100)
        started = time.monotonic()
        self.client.ensure_blob(repository, content, repository)
        status = self.delete(f"/v2/{repository}/blobs/{Digest.of(content)}", 202, 404)
        if status == _NOT_FOUND:
            self.count_too_slow(started)

    def delete(self, path: str, *hoped: int) -> int:
        status = self.client.request("DELETE", path, hoped=hoped).status
        if status == HTTPStatus.ACCEPTED:
            self.figures.count("deletes")
        return status

    def abandon_upload(self, repository: str) -> None:
        self.client.request("PATCH", self.client.start_upload(repository), self.chance.randbytes(500), hoped=(202,))

    def cancel_upload(self, repository: str) -> None:
        location = self.client.start_upload(repository)
        self.client.request("PATCH", location, self.chance.randbytes(500), hoped=(202,))
        self.client.request("DELETE", location, hoped=(204,))

    def push_what_is_held(self, repository: str) -> None:
        """It stays tagged from here on."""
        image = new_image(self.chance)
        self.push(repository, HELD_TAGS[0], image)
        self.push_index(repository, HELD_TAGS[1])
        self.figures.held_referrers[repository] = str(self.refer(repository, image.digest))


class Puller(Worker):
    """Goes on while the last garbage is collected."""

    @property
    def has_ended(self) -> bool:
        return self.figures.is_quiet.is_set()

    def act(self) -> None:
        repository = self.chance.choice(REPOSITORIES)
        if self.chance.random() < 0.1:
            self.pull_held_referrer(repository)
        else:
            self.pull(repository, self.chance.choice((*MOVING_TAGS, *HELD_TAGS)))

    def pull(self, repository: str, tag: str) -> None:
        """A failure counts if the tag points at the same manifest before and after it."""
        before = self.client.resolve(repository, tag)
        if before is None:
            if tag in HELD_TAGS:
                self.figures.find("lost", f"{repository}:{tag} is gone")
            return
        try:
            self.client.pull(repository, before[1])
        except Refused as refused:
            after = self.client.resolve(repository, tag)
            if after is not None and after[0] == before[0]:
                self.figures.find("lost", f"{repository}:{tag} at {before[0]}: {refused}")
            else:
                self.figures.count("overtaken")
        else:
            self.figures.count("pulls")

    def pull_held_referrer(self, repository: str) -> None:
        digest = self.figures.held_referrers[repository]
        try:
            self.client.pull(repository, self.client.manifest(repository, digest))
        except Refused as refused:
            self.figures.find("lost", f"{repository}@{digest}, whose subject is tagged: {refused}")
        else:
            self.figures.count("pulls")
