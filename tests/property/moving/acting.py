"""What is done at either registry, and what the model learns of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from hypothesis.stateful import RuleBasedStateMachine

from functions.registry.imports import names
from functions.registry.oci.digest import Digest
from tests.imports.old import OldRegistry
from tests.property.model import Document
from tests.property.moving.backstage import MovingBackstage
from tests.property.moving.inspection import KEYS, Inspection
from tests.property.moving.model import BY_DIGEST, BY_NAME, TAGS, Model
from tests.support import Registry


@dataclass(frozen=True)
class Change:
    """Somebody's act, of one kind, on a tag or a manifest of a repository."""

    kind: str
    repository: str
    tag: str
    document: str


class ActingMachine(RuleBasedStateMachine):
    """`registry` and `backstage` are those of the test that runs it."""

    registry: Registry
    backstage: MovingBackstage
    old: OldRegistry
    model: Model
    inspection: Inspection

    def _change(self, change: Change) -> None:
        key, document = (change.repository, change.tag), BY_NAME[change.document]
        acts: dict[str, Callable[[], object]] = {
            "push there": lambda: self._push_there(*key, document),
            "untag there": lambda: self._untag_there(*key),
            "delete there": lambda: self._delete_there(change.repository, document),
            "push here": lambda: self._push_here(*key, document),
            "untag here": lambda: self._untag_here(*key),
            "delete here": lambda: self._delete_here(change.repository, document),
            "pull": lambda: self.registry.get(f"/v2/{change.repository}/manifests/{change.tag}"),
            "ask for a pass": self._ask_for_a_pass,
            "collect": self._collect,
            "work": self._take_over,
        }
        acts[change.kind]()

    def _collect(self) -> None:
        self.backstage.pass_time(1)
        self.backstage.collect()

    def _take_over(self) -> None:
        """Another worker takes whatever the first has claimed."""
        self.backstage.pass_lease()
        self.backstage.work()

    # The older registry.

    def _push_there(self, repository: str, tag: str, document: Document) -> None:
        """Pushes as a client does: what it leads to first, and no layer that is there."""
        for child in reversed(list(document.tree())):
            for content in child.blobs:
                if names.layer_link_name(repository, Digest.of(content)) not in self.old.written:
                    self.old.push_layer(repository, content)
            self.old.push_manifest(repository, child.payload)
        self.old.tag(repository, tag, document.digest)
        self.model.old[repository, tag].change(document)

    def _untag_there(self, repository: str, tag: str) -> None:
        if tag in self.old.tags.get(repository, ()):
            self.old.untag(repository, tag)
            self.model.old[repository, tag].change(None)

    def _delete_there(self, repository: str, document: Document) -> None:
        """Unless an index that is tagged lists it: that registry would not mind."""
        tagged = self.old.tags.get(repository, {})
        listing = [BY_DIGEST[digest] for digest in tagged.values() if digest != document.digest]
        if any(document in each.tree() for each in listing):
            return
        if names.revision_link_name(repository, document.digest) in self.old.written:
            self.model.deleted_there.add((repository, document))
            self.old.delete_manifest(repository, document.digest)
            for tag, digest in list(tagged.items()):
                assert digest != document.digest, tag
            for tag in TAGS:
                if tag not in self.old.tags.get(repository, ()):
                    self.model.old[repository, tag].change(None)

    # The new one.

    def _push_here(self, repository: str, tag: str, document: Document) -> None:
        for child in reversed(list(document.tree())):
            for content in child.blobs:
                digest = Digest.of(content)
                if self.registry.request("HEAD", f"/v2/{repository}/blobs/{digest}").status_code != HTTPStatus.OK:
                    location = self.registry.request("POST", f"/v2/{repository}/blobs/uploads/")
                    if location.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                        assert self.model.is_followed
                        return
                    sent = self.registry.request("PUT", f"{location.headers['Location']}?digest={digest}", data=content)
                    assert sent.status_code in (201, 405), sent.text
            reference = tag if child == document else child.digest
            answer = self.registry.put_manifest(repository, reference, child.payload)
            if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                assert self.model.is_followed
                return
            if answer.status_code == HTTPStatus.NOT_FOUND:
                # A collection without grace took something that was pushed a moment ago.
                return
            assert answer.status_code == 201, answer.text
            self.model.deleted_here.discard((repository, child))
        self.model.new[repository, tag] = document

    def _untag_here(self, repository: str, tag: str) -> None:
        """The older registry decides about repositories that were listed; any other may be written to here."""
        is_listed = repository in self.backstage.states()
        status = self.registry.request("DELETE", f"/v2/{repository}/manifests/{tag}").status_code
        assert status in (202, 404, 405)
        if status == HTTPStatus.ACCEPTED:
            assert not self.model.is_followed or not is_listed or repository in self.model.dropped
            self.model.new[repository, tag] = None

    def _delete_here(self, repository: str, document: Document) -> None:
        """Deletes it with all tags that name it here, and with those that aren't here yet and are known to name it."""
        path = f"/v2/{repository}/manifests/{document.digest}"
        tagged = self.backstage.tags()
        status = self.registry.request("DELETE", path).status_code
        assert status in (202, 404, 405)
        if status != HTTPStatus.ACCEPTED:
            return
        self.model.deleted_here.add((repository, document))
        remembered = self.backstage.deleted_tags()
        for tag in TAGS:
            named, _ = tagged.get((repository, tag), (None, None))
            if named == document.digest or (named is None and (repository, tag) in remembered):
                self.model.new[repository, tag] = None

    def _forget(self, repository: str) -> None:
        """Nothing of it comes back if the older registry had it; else what that gets later is its own."""
        remembered = self.backstage.deleted_tags()
        is_dropped = self.backstage.states().get(repository) == "dropped"
        for key in KEYS:
            if key[0] == repository and (is_dropped or key in remembered or key in self.model.new):
                self.model.new[key] = None
                if not is_dropped and key not in remembered:
                    del self.model.new[key]
        if is_dropped:
            self.model.dropped.add(repository)

    def _ask_for_a_pass(self) -> None:
        answer = self.registry.request("POST", f"/api/v1/imports/{self.backstage.source_id}/start", json={})
        assert answer.status_code == 200, answer.text
        self.backstage.know()
        self.model.ask()
