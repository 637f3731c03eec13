"""What must hold after each step: what either registry's tags lead to can be pulled from the new one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from functions.registry.oci.digest import Digest
from tests.imports.old import OldRegistry
from tests.imports.truth import ROOT
from tests.property.model import Document
from tests.property.moving.backstage import MovingBackstage
from tests.property.moving.model import BY_DIGEST, REPOSITORIES, TAGS, Key, Model, Named
from tests.support import Registry

KEYS: Final = [(repository, tag) for repository in REPOSITORIES for tag in TAGS]
# The registry itself gives what has no bytes.
_EMPTY: Final = Digest.of(b"")


class Inspection:
    """Pulling fetches what isn't here yet: so some runs are looked at by rows and objects alone until they end."""

    def __init__(self, registry: Registry, backstage: MovingBackstage, old: OldRegistry, model: Model) -> None:
        self._registry = registry
        self._backstage = backstage
        self._old = old
        self._model = model
        self._objects: set[str] = set()
        # What both registries were like when all was pulled last, and what was pulled since the last look.
        self._pulled: object = None
        self._whole: set[tuple[str, Digest]] = set()

    def look(self, *, is_pulling: bool) -> None:
        """Raises AssertionError for whatever is lost, overwritten, back, or not as either registry left it."""
        assert not self._backstage.troubles, self._backstage.troubles
        self._objects = self._backstage.objects()
        lost = {ROOT + name for name in self._old.written} - self._objects
        assert not lost, f"objects of the older registry are gone: {lost}"
        if is_pulling:
            self._pull_all()
        rows = self._backstage.tags()
        for key in KEYS:
            # Where the older registry decides, rows are what it had when they were compared.
            if key in self._model.new or (key in rows and not self._model.is_followed):
                self._judge(key, BY_DIGEST[rows[key][0]] if key in rows else None)

    def _pull_all(self) -> None:
        """Unless all is as it was the last time."""
        if self._pulled == self._standing():
            return
        self._nothing_is_back()
        self._whole.clear()
        for key in KEYS:
            self._pull(key)
        self._pulled = self._standing()

    def _standing(self) -> object:
        tags = {repository: dict(tags) for repository, tags in self._old.tags.items()}
        return self._backstage.contents(), self._objects, self._model.is_followed, tags

    def _nothing_is_back(self) -> None:
        for repository, document in self._model.deleted_here:
            path = f"/v2/{repository}/manifests/{document.digest}"
            assert self._registry.get(path).status_code == 404, f"{path}, which is {document}, was deleted here"

    def pull(self, key: Key) -> None:
        """Pulls the tag with all that it leads to."""
        self._whole.clear()
        self._pull(key)

    def _pull(self, key: Key) -> None:
        repository, tag = key
        answer = self._registry.get(f"/v2/{repository}/manifests/{tag}")
        assert answer.status_code in (200, 404), answer.text
        named = BY_DIGEST[Digest.of(answer.data)] if answer.status_code == HTTPStatus.OK else None
        self._judge(key, named)
        if named is not None:
            for digest in self._model.required(key, named):
                self._pull_manifest(repository, BY_DIGEST[digest])

    def _judge(self, key: Key, named: Named) -> None:
        fault = self._model.fault(key, named)
        assert fault is None, fault

    def _pull_manifest(self, repository: str, document: Document) -> None:
        if (repository, document.digest) in self._whole:
            return
        self._whole.add((repository, document.digest))
        path = f"/v2/{repository}/manifests/{document.digest}"
        answer = self._registry.get(path)
        assert answer.data == document.payload, f"{path}, which is {document}: {answer.text}"
        for digest in document.blob_digests:
            blob = self._registry.get(f"/v2/{repository}/blobs/{digest}")
            assert blob.status_code == (200 if digest == _EMPTY else 307), f"{path} lacks {digest}: {blob.text}"
            if blob.status_code == HTTPStatus.TEMPORARY_REDIRECT:
                place = unquote(blob.headers["Location"]).partition("?")[0]
                is_there = any(place.endswith(f"/{name}") for name in self._objects)
                assert is_there, f"{path} lacks the object of {digest}, which is {place}"
