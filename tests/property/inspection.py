"""What must hold after each step, and at the end of a run."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from functions.registry.oci.digest import Digest
from tests.metadata.usage.test_usage import assert_exact
from tests.property.model import Document, Model, Observed, assert_within, links_of
from tests.property.observation import Backstage
from tests.support import Registry

# A signed URL lives less than this; until then its object must be there, whatever became of the blob.
_URL_HOURS: Final = 1.0

# The registry itself gives what has no bytes.
_EMPTY: Final = {Digest.of(b"", algorithm) for algorithm in ("sha256", "sha512")}


class Inspection:
    """It looks without HEAD, which would keep what it finds: a GET promises nothing."""

    def __init__(self, registry: Registry, backstage: Backstage, model: Model) -> None:
        self._registry = registry
        self._backstage = backstage
        self._model = model
        # What a run that failed left in the bucket.
        self._foreign = backstage.objects()
        self._served: dict[str, float] = {}
        self._pulled: Observed | None = None

    def nothing_is_lost(self, held_before: set[tuple[str, Document]] | None) -> None:
        assert not self._backstage.troubles, self._backstage.troubles
        observed = self._backstage.observe()
        self._model.compare(observed, held_before)
        objects = self._objects()
        assert_within(objects, observed.known, "no row names objects")
        assert_within(observed.links.values(), objects, "blobs have no object")
        self._urls_work(observed, objects)
        # The same rows give the same answers.
        if observed != self._pulled:
            self._pull(observed)
            self._pulled = observed

    def _objects(self) -> set[str]:
        return self._backstage.objects() - self._foreign

    def _urls_work(self, observed: Observed, objects: set[str]) -> None:
        """Whoever was given a URL to an object a moment ago may still use it."""
        now = self._model.now
        self._served = {name: since for name, since in self._served.items() if now - since < _URL_HOURS}
        assert_within(self._served, objects, "objects went before the URLs to them")
        self._served |= dict.fromkeys(observed.links.values(), now)

    def _pull(self, observed: Observed) -> None:
        for (repository, tag), document in self._model.tags.items():
            assert self._registry.get(f"/v2/{repository}/manifests/{tag}").data == document.payload
        held = self._model.held_manifests()
        for repository, document in held:
            assert self._registry.get(f"/v2/{repository}/manifests/{document.digest}").data == document.payload
        for repository, digest in self._model.held_links(held):
            answer = self._registry.get(f"/v2/{repository}/blobs/{digest}")
            assert answer.status_code == (200 if digest in _EMPTY else 307)
            if answer.status_code == HTTPStatus.TEMPORARY_REDIRECT:
                assert observed.links[repository, digest] in unquote(answer.headers["Location"])

    def nothing_is_left_over(self) -> None:
        """Long after, what tags reach is there to the byte, and nothing else is: and without tags, nothing at all."""
        self._backstage.settle()
        self._has_exactly_what_is_wanted()
        for content, (repository, digest) in self._contents():
            assert self._registry.pull_blob(repository, digest) == content
        for repository, tag in list(self._model.tags):
            assert self._registry.request("DELETE", f"/v2/{repository}/manifests/{tag}").status_code == 202
        self._model.tags.clear()
        for repository in self._model.keeping:
            self._backstage.keep_untagged(repository, keeps=False)
        self._model.keeping.clear()
        self._backstage.settle()
        self._has_exactly_what_is_wanted()
        assert not self._objects()

    def _has_exactly_what_is_wanted(self) -> None:
        wanted = self._model.reached() | self._model.kept()
        self._model.promises.clear()
        observed = self._backstage.observe()
        self._model.compare(observed, wanted)
        assert_within(self._model.manifests, wanted, "manifests are left over")
        assert_within(self._model.links, links_of(wanted), "links are left over")
        assert observed.known == set(observed.links.values()), "blobs are left over"
        assert self._objects() == observed.known
        assert_exact(self._backstage.services.database)

    def _contents(self) -> list[tuple[bytes, tuple[str, Digest]]]:
        return [
            (content, (repository, Digest.of(content)))
            for repository, document in self._model.manifests
            for content in document.blobs
        ]
