"""Who uses the registry: pushes, moves and deletes tags, and remembers what was pushed; and who pulls all of it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, Final

import requests

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.support import Image, encode, index_of

_REPOSITORIES: Final = ("team/api", "team/web", "base/os", "tools")
_TAGS: Final = 12
_SECONDS: Final = 60
# What can be pulled of a tag: the digests of its manifests and blobs, in order.
Pulled = tuple[str, ...]


class Lost(Exception):
    """A tag can't be pulled as it was."""


@dataclass
class Client:
    """`built` are the images that were pushed, by the digests of their blobs: whoever built them has them still."""

    address: str
    chance: random.Random
    built: dict[str, tuple[str, Image]] = field(default_factory=dict)
    _bases: list[bytes] = field(default_factory=list)
    _session: requests.Session = field(default_factory=requests.Session)

    def use(self, steps: int) -> None:
        for _ in range(steps):
            repository = self.chance.choice(_REPOSITORIES)
            tag = f"v{self.chance.randrange(_TAGS)}"
            match self.chance.randrange(10):
                case 0 | 1:
                    self._ask("DELETE", f"/v2/{repository}/manifests/{tag}", accepts=(202, 404))
                case 2:
                    children = [self.push(repository) for _ in range(2)]
                    self._put_manifest(repository, tag, index_of(*(child.manifest for child in children)))
                case 3:
                    subject = self.push(repository, tag)
                    more = {"subject": {"mediaType": OCI_MANIFEST, "digest": str(subject.digest), "size": 1}}
                    self.push(repository, image=Image(encode({}), (), more))
                case _:
                    self.push(repository, tag)

    def push(self, repository: str, tag: str | None = None, image: Image | None = None) -> Image:
        image = image or Image(layers=(self._base(), self.chance.randbytes(self.chance.randrange(500, 20_000))))
        for blob in image.blobs:
            digest = Digest.of(blob)
            self.built[str(digest)] = (repository, image)
            if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", accepts=(200, 404)).status_code == 404:
                location = self._ask("POST", f"/v2/{repository}/blobs/uploads/", accepts=(202,)).headers["Location"]
                self._ask("PUT", f"{location}?digest={digest}", accepts=(201,), data=blob)
        self._put_manifest(repository, tag or str(image.digest), image.manifest)
        return image

    def _base(self) -> bytes:
        """Most images share one of a few layers."""
        if len(self._bases) < 5 or self.chance.random() < 0.1:
            self._bases.append(self.chance.randbytes(30_000))
        return self.chance.choice(self._bases)

    def _put_manifest(self, repository: str, reference: str, manifest: bytes) -> None:
        headers = {"Content-Type": json.loads(manifest)["mediaType"]}
        self._ask("PUT", f"/v2/{repository}/manifests/{reference}", accepts=(201,), data=manifest, headers=headers)

    def pull_all(self) -> dict[str, Pulled]:
        """Every tag, byte for byte: what is wrong with one stands in place of a digest."""
        pulled = {}
        for repository in self._ask("GET", "/v2/_catalog?n=1000").json()["repositories"]:
            tags = self._ask("GET", f"/v2/{repository}/tags/list", accepts=(200, 404)).json().get("tags") or []
            for tag in tags:
                pulled[f"{repository}:{tag}"] = tuple(self._pull(repository, tag))
        return pulled

    def _pull(self, repository: str, reference: str) -> list[str]:
        answer = self._ask("GET", f"/v2/{repository}/manifests/{reference}", accepts=None)
        if answer.status_code != 200:
            return [f"{reference}: {answer.status_code}"]
        document: dict[str, Any] = answer.json()
        found = [str(Digest.of(answer.content))]
        for child in document.get("manifests", ()):
            found += self._pull(repository, child["digest"])
        referrers = self._ask("GET", f"/v2/{repository}/referrers/{found[0]}").json()["manifests"]
        for referrer in sorted(each["digest"] for each in referrers):
            found += self._pull(repository, referrer)
        for blob in [document["config"], *document["layers"]] if "layers" in document else ():
            answer = self._ask("GET", f"/v2/{repository}/blobs/{blob['digest']}", accepts=None)
            is_right = answer.status_code == 200 and str(Digest.of(answer.content)) == blob["digest"]
            found.append(blob["digest"] if is_right else f"{blob['digest']}: {answer.status_code}")
        return found

    def _ask(
        self, method: str, path: str, *, accepts: tuple[int, ...] | None = (200,), **more: Any
    ) -> requests.Response:
        url = path if path.startswith("http") else f"http://{self.address}{path}"
        answer = self._session.request(method, url, timeout=_SECONDS, **more)
        if accepts is not None and answer.status_code not in accepts:
            raise Lost(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer
