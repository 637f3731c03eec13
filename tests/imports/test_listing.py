"""What is read from the listing of a layout is what the registry that wrote it answers, and hardly a file is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.imports import listing, names, payloads
from functions.registry.imports.folder import Folder
from functions.registry.imports.payloads import Refusal
from functions.registry.imports.places import walk
from functions.registry.imports.repository import OldRepository
from functions.registry.oci.digest import Digest
from tests.imports.truth import ROOT, Layout

LARGEST = 4 << 20


class Counted:
    """A place that counts what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self._place = Folder(folder)
        self.read_names: list[str] = []
        self.pages = 0

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        self.pages += 1
        return self._place.page(prefix, after, before)

    def find(self, name: str) -> StoredObject | None:
        return self._place.find(name)

    def read(self, name: str, most: int) -> bytes:
        self.read_names.append(name)
        return self._place.read(name, most)

    def folders(self, prefix: str) -> list[str]:
        return self._place.folders(prefix)


def gathered(place: Any) -> dict[str, OldRepository]:
    found = {}
    for listed in listing.repositories(place, ROOT):
        if listed.repository is not None:
            assert listed.repository.name not in found, "a repository is listed in one piece"
            found[listed.repository.name] = listed.repository
    return found


def problems(place: Any) -> list[tuple[str, str, str, str]]:
    found = []
    for listed in listing.repositories(place, ROOT):
        found += listed.strays
        found += listed.repository.problems if listed.repository is not None else []
    return sorted((problem.repository, problem.kind, problem.key, problem.reason) for problem in found)


def write(folder: Path, name: str, content: bytes | str = b"") -> Path:
    path = folder / ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_tag(folder: Path, repository: str, tag: str, *history: Digest, current: bytes | None = None) -> None:
    """Writes the history first, then what the tag names, as registries do; `current` is other content of that link."""
    for digest in history:
        write(folder, names.history_link_name(repository, tag, digest), str(digest))
    write(folder, names.current_link_name(repository, tag), str(history[-1]) if current is None else current)


def write_revision(folder: Path, repository: str, payload: bytes) -> Digest:
    digest = Digest.of(payload)
    write(folder, names.blob_name(digest), payload)
    write(folder, names.revision_link_name(repository, digest), str(digest))
    return digest


def test_every_tag_names_what_the_registry_answers(layout: Layout) -> None:
    found = gathered(Folder(layout.folder))
    for name, truth in layout.repositories.items():
        old = found[name]
        for tag, answer in truth["tags"].items():
            if answer["status"] == 200:
                assert str(old.tags[tag].digest) == answer["digest"], (name, tag)
                assert old.tags[tag].updated_at == datetime.fromtimestamp(answer["updated"], UTC)
        answered = {digest for digest, answer in truth["manifests"].items() if answer["status"] == 200}
        assert answered <= {str(digest) for digest in old.revisions}
        assert {digest for digest, status in truth["layers"].items() if status == 200} <= set(map(str, old.layers))


def test_no_link_is_read_where_the_history_is_in_order(layout: Layout) -> None:
    place = Counted(layout.folder)
    found = gathered(place)
    # A cut one, and the alias of a layer that was pushed by sha512.
    expected = {"debian-2.8.2": 0, "distribution-3.1.2": 0, "broken-2.8.2": 1}
    aliases = sum(len(old.aliases) for old in found.values())
    assert len(place.read_names) == expected[layout.name] + aliases


def test_every_manifest_that_was_served_with_its_bytes_is_taken(layout: Layout) -> None:
    place = Folder(layout.folder)
    for name, truth in layout.repositories.items():
        for text, answer in truth["manifests"].items():
            digest = Digest.parse(text)
            taken = payloads.take(digest, place.read(ROOT + names.blob_name(digest), LARGEST + 1), LARGEST)
            if answer["status"] == 200 and answer["sha256"] == digest.hex:
                assert not isinstance(taken, Refusal), (name, taken)
                assert taken.media_type == answer["media_type"]


def test_what_was_broken_on_purpose_is_noticed(tmp_path: Path) -> None:
    from tests.imports.truth import unpack  # noqa: PLC0415

    layout = unpack("broken-2.8.2", tmp_path)
    assert problems(Folder(layout.folder)) == [
        ("", "object", "repositories/.DS_Store", "stray"),
        ("broken/link-cut", "tag", "bad", "tag_repaired"),
        ("broken/stray", "object", "repositories/broken/stray/_manifests/tags/.DS_Store", "stray"),
    ]


def test_a_folder_is_listed_as_a_bucket_is(tmp_path: Path) -> None:
    """The order is by the bytes of whole names, in which a slash counts: `a-b`, `a.b`, then what is below `a`."""
    expected = sorted(
        f"{ROOT}repositories/{name}/_layers/x{number}/link"
        for name in ("a", "a-b", "a.b", "a/b")
        for number in range(600)
    )
    for name in expected:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    place = Folder(tmp_path)
    assert [stored.name for stored in walk(place, ROOT)] == expected
    assert [stored.name for stored in walk(place, ROOT, expected[700], expected[1900])] == expected[701:1900]
    assert len(place.page(ROOT, expected[3]).objects) == 1000
    assert place.page(ROOT, expected[-1]).is_last
    assert [stored.name for stored in walk(place, f"{ROOT}repositories/a/_")] == [
        name for name in expected if name.startswith(f"{ROOT}repositories/a/_")
    ]


@pytest.mark.parametrize(
    ("current", "history", "is_found", "reason"),
    [
        (b"", 1, True, "tag_repaired"),
        (b"sha256:ab", 1, True, "tag_repaired"),
        (b"sha256:ab", 2, False, "link_broken"),
        (b"", 2, False, "link_broken"),
        (b"\xff\xfe" * 40, 2, False, "link_broken"),
        (b"x" * 100_000, 2, False, "link_broken"),
    ],
)
def test_a_broken_tag_is_repaired_from_a_history_of_one(
    tmp_path: Path, current: bytes, history: int, is_found: bool, reason: str
) -> None:
    digests = [write_revision(tmp_path, "a", f"{{}}{number}".encode()) for number in range(history)]
    write_tag(tmp_path, "a", "t", *digests, current=current)
    assert problems(Folder(tmp_path)) == [("a", "tag", "t", reason)]
    old = gathered(Folder(tmp_path))["a"]
    assert ("t" in old.tags) is is_found
    if is_found:
        assert old.tags["t"].digest == digests[0]
        (unrepaired,) = listing.repositories(Folder(tmp_path), ROOT, is_repairing=False)
        assert unrepaired.repository is not None
        assert unrepaired.repository.tags == {}


def test_a_tag_that_was_moved_by_hand_names_what_its_link_says(tmp_path: Path) -> None:
    first, second = (write_revision(tmp_path, "a", payload) for payload in (b"{}1", b"{}2"))
    write_tag(tmp_path, "a", "t", first, current=str(second).encode())
    elsewhere = Digest.of(b"nothing that is here")
    write_tag(tmp_path, "a", "u", first, current=f"{elsewhere}\n".encode())
    place = Counted(tmp_path)
    tags = gathered(place)["a"].tags
    assert (tags["t"].digest, tags["u"].digest) == (second, elsewhere)
    # The first by the sum of another revision.
    assert place.read_names == [f"{ROOT}repositories/a/_manifests/tags/u/current/link"]


def test_a_history_of_1500_entries_is_gone_through_without_a_read(tmp_path: Path) -> None:
    history = [Digest.of(str(number).encode()) for number in range(1500)]
    write_tag(tmp_path, "a", "t", *history[:-1], history[700])
    place = Counted(tmp_path)
    assert gathered(place)["a"].tags["t"].digest == history[700]
    assert place.read_names == []


def test_a_layer_that_was_pushed_by_sha512_is_an_alias(tmp_path: Path) -> None:
    content = b"a layer"
    canonical, other = Digest.of(content), Digest.of(content, "sha512")
    write(tmp_path, names.layer_link_name("a", canonical), str(canonical))
    write(tmp_path, names.layer_link_name("a", other), str(canonical))
    old = gathered(Folder(tmp_path))["a"]
    assert set(old.layers) == {canonical, other}
    assert old.aliases == {other: canonical}
    assert old.problems == []


def test_links_that_do_not_name_their_folder_are_seen(tmp_path: Path) -> None:
    good, crossed, cut = (write_revision(tmp_path, "a", payload) for payload in (b"{}1", b"{}2", b"{}3"))
    write(tmp_path, names.revision_link_name("a", crossed), str(good))
    write(tmp_path, names.revision_link_name("a", cut), "sha256:")
    write(tmp_path, names.layer_link_name("a", good), str(crossed))
    write(tmp_path, names.layer_link_name("a", crossed), "")
    old = gathered(Folder(tmp_path))["a"]
    assert old.doubtful == {crossed, cut}
    assert {(problem.kind, problem.key, problem.reason) for problem in old.problems} == {
        ("layer", str(good), "link_repaired"),
        ("layer", str(crossed), "link_repaired"),
    }


def test_what_is_no_layout_is_told_by_its_name(tmp_path: Path) -> None:
    digest = Digest.of(b"")
    for name in (
        "repositories/README",
        "repositories/a/.DS_Store",
        "repositories/a/_lock",
        "repositories/a/_layers/sha256/abc/link",
        "repositories/a/_layers/md5/d41d8cd98f00b204e9800998ecf8427e/link",
        f"repositories/a/_layers/sha256/{digest.hex}/data.tmp",
        "repositories/a/_manifests/tags/t/current/link.bak",
        "repositories/_layers/sha256/x/link",
    ):
        write(tmp_path, name)
    (tmp_path / ROOT / "repositories/a/_layers/loop").symlink_to(tmp_path)
    (tmp_path / ROOT / "repositories/a/_layers/nowhere").symlink_to("nowhere")
    write(tmp_path, names.layer_link_name("a", digest), str(digest))
    found = problems(Folder(tmp_path))
    assert {reason for *_, reason in found} == {"stray"}
    assert len(found) == 10
    assert gathered(Folder(tmp_path))["a"].layers.keys() == {digest}


def test_names_that_are_no_utf_8_are_listed_and_escaped(tmp_path: Path) -> None:
    digest = Digest.of(b"{}")
    name = names.revision_link_name("caf\udce9/\x07", digest)
    write(tmp_path, name, str(digest))
    write(tmp_path, "repositories/\udcff")
    (old,) = gathered(Folder(tmp_path)).values()
    assert old.revisions.keys() == {digest}
    assert names.shown(old.name) == "caf\\xe9/\\x07"
    assert problems(Folder(tmp_path)) == [("", "object", "repositories/\\xff", "stray")]


def test_a_tag_without_a_current_link_names_nothing(tmp_path: Path) -> None:
    digest = write_revision(tmp_path, "a", b"{}")
    write(tmp_path, names.history_link_name("a", "t", digest), str(digest))
    write_tag(tmp_path, "a", "-no tag", digest)
    assert problems(Folder(tmp_path)) == [("a", "tag", "-no tag", "tag_name"), ("a", "tag", "t", "link_missing")]


@pytest.mark.parametrize("tag", ["_layers", "_manifests", "_uploads", "current", "index", "tags"])
def test_a_tag_may_be_named_as_a_folder_is(tmp_path: Path, tag: str) -> None:
    digest = write_revision(tmp_path, "a", b"{}")
    write_tag(tmp_path, "a", tag, digest)
    assert gathered(Folder(tmp_path))["a"].tags[tag].digest == digest


@pytest.mark.parametrize("name", ["docker/registry/v2/repositories", "tags/current", "blobs/sha256", "link", "a" * 256])
def test_a_repository_may_be_named_as_a_layout_is(tmp_path: Path, name: str) -> None:
    if len(name) > 255:
        name = f"{'a' * 200}/{'b' * 56}"
    digest = write_revision(tmp_path, name, b"{}")
    write_tag(tmp_path, name, "t", digest)
    assert list(gathered(Folder(tmp_path))) == [name]
