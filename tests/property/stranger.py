"""A client that means no good: it follows the protocol far enough to get somewhere, and breaks it at any step.

Plain `random`, so that a seed gives the same requests again and a hundred thousand of them cost little.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import quote, urlencode

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.api.description import SERVED
from tests.property.requests import Answer, Request
from tests.support import descriptor

NAMES: Final = ("a/b", "c", "library/app", "blobs/uploads", "a/manifests/list")
TAGS: Final = ("v1", "latest", "list", "_", "null", "sha256-" + "0" * 64)
CONTENTS: Final = (b"", b"{}", b"layer", b"x" * 300)
TYPES: Final = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "application/vnd.example.x+json")
ODD: Final = "\0\n\t /\\.-_:@%?#+~*\"'<>{}[]|AÄé\u2028\ud83d"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
QUERY: Final = ("n", "last", "digest", "digest-algorithm", "mount", "from", "tag", "artifactType")
HEADERS: Final = ("Content-Range", "Range", "If-None-Match", "Content-Type", "Accept", "Host")


@dataclass
class Stranger:
    """`names` are those of repositories that it asks for, `values` what it fills into paths beside them."""

    random: Random
    names: Sequence[str] = NAMES
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    uploads: deque[str] = field(default_factory=lambda: deque(maxlen=10))
    digests: deque[str] = field(default_factory=lambda: deque([str(Digest.of(some)) for some in CONTENTS], maxlen=30))
    received: dict[str, bytes] = field(default_factory=dict)

    def request(self) -> Request:
        if self._one_in(4):
            return self._upload_step()
        template = self.random.choice(list(SERVED))
        methods = METHODS if self._one_in(4) else sorted(SERVED[template])
        method = "BREW" if self._one_in(100) else self.random.choice(methods)
        path = self._path(template)
        is_push = "manifests" in template and method == "PUT"
        body = self._manifest() if is_push and not self._one_in(4) else self._content()
        headers = self._headers(push=is_push)
        return Request(method, path, self._query(), headers, body, self._length())

    def learn(self, request: Request, answer: Answer) -> None:
        """Keeps what may be asked for next."""
        location = answer.headers.get("Location", "").partition("?")[0]
        digest = answer.headers.get("Docker-Content-Digest")
        if digest and answer.status == 201:
            self.digests.append(digest)
        if "Docker-Upload-UUID" in answer.headers and request.method in ("POST", "PATCH"):
            if request.method == "POST":
                self.uploads.append(location)
                self.received[location] = b""
            elif request.length is None and location in self.received:
                self.received[location] += request.body

    def _upload_step(self) -> Request:
        """Starts an upload, adds to one, or closes one as it should be, so that blobs come to be."""
        if not self.uploads or self._one_in(3):
            query = f"digest-algorithm={self.random.choice(['sha256', 'sha512'])}" if self._one_in(3) else ""
            return Request("POST", f"/v2/{self.random.choice(self.names)}/blobs/uploads/", query)
        location = self.random.choice(self.uploads)
        body = self.random.choice(CONTENTS)
        if self._one_in(2):
            return Request("PATCH", location, body=body)
        content = self.received.get(location, b"") + body
        self.uploads.remove(location)
        digest = Digest.of(content, self.random.choice(["sha256", "sha512"]))
        return Request("PUT", location, f"digest={digest}", body=body)

    def _one_in(self, count: int) -> bool:
        return self.random.randrange(count) == 0

    def _odd(self) -> str:
        text = "".join(self.random.choice(ODD) for _ in range(self.random.randrange(1, 8)))
        return self.random.choice([text, self.random.choice(self.names) + text, "a" * 300, "sha256:" + text, "-" * 200])

    def _path(self, template: str) -> str:
        if self._one_in(30):
            return "/v2/" + "".join(f"%{self.random.randrange(256):02x}" for _ in range(10))
        if "{upload}" in template and self.uploads and not self._one_in(5):
            return self.random.choice(self.uploads)
        values = {
            "name": self.random.choice(self.names),
            "reference": self.random.choice([*TAGS, *self.digests]),
            "digest": self.random.choice(self.digests),
            "upload": "5f3c5a2e-7b0a-4d5e-9c55-0a8a2f1c9b11",
            **{name: self.random.choice(values) for name, values in self.values.items()},
        }
        for name, value in values.items():
            part = self._odd() if self._one_in(15) else value
            template = template.replace(f"{{{name}}}", quote(part, safe="/:", errors="replace"))
        return template

    def _query(self) -> str:
        if self._one_in(2):
            return ""
        values = [*self.digests, *self.names, *TAGS, "0", "1", "5", "-1", "9" * 30, "sha512", self._odd()]
        pairs = [(self.random.choice(QUERY), self.random.choice(values)) for _ in range(self.random.randrange(1, 4))]
        return urlencode(pairs, errors="replace")

    def _headers(self, *, push: bool) -> tuple[tuple[str, str], ...]:
        odd = self._odd().encode("latin-1", "replace").decode("latin-1").replace("\n", "").replace("\0", "")
        values = [odd, "0-4", "bytes=0-0", "bytes=99-", "bytes=-1", "5-2", f'"{self.digests[-1]}"', *TYPES]
        some = {self.random.choice(HEADERS): self.random.choice(values) for _ in range(self.random.randrange(3))}
        if push and not self._one_in(5):
            some["Content-Type"] = self.random.choice(TYPES)
        return tuple(some.items())

    def _content(self) -> bytes:
        return self.random.choice([*CONTENTS, self.random.randbytes(20)])

    def _manifest(self) -> bytes:
        """Makes one of what the repository may well hold; now and then cut, or with one field that is anything."""
        known = [{"digest": digest, "size": 1, "mediaType": self._type()} for digest in self.digests]
        document = {
            "schemaVersion": 2,
            "config": descriptor(self.random.choice(CONTENTS)),
            "layers": self.random.choices([descriptor(some) for some in CONTENTS] + known, k=self.random.randrange(3)),
            "subject": self.random.choice(known),
            "annotations": {"a": self.random.choice(["b", "\0", "é"])},
            "manifests": self.random.choices(known, k=self.random.randrange(3)),
            "artifactType": self._type(),
        }
        for name in self.random.sample(sorted(document), self.random.randrange(len(document))):
            del document[name]
        if self._one_in(10):
            document[self.random.choice([*document, "layers"])] = self.random.choice([None, 1, "x", [], {}, [[]], -1])
        encoded = json.dumps(document).encode()
        return encoded[: self.random.randrange(len(encoded))] if self._one_in(20) else encoded

    def _type(self) -> str:
        return self.random.choice(TYPES)

    def _length(self) -> str | None:
        return self.random.choice(["chunked", "0", "3", "999", "-1", "", "x", "9" * 30]) if self._one_in(8) else None
