"""What races have found, each with the two that met."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push, TypeDiffers
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import Tag
from tests.metadata.build import APP
from tests.races import schedules
from tests.races.operations import OPERATIONS, SUCCEEDS, Cast, Operation
from tests.races.pairs import DEADLOCK, Arena, Pair
from tests.races.props import CONFIG, LAYER
from tests.support import descriptor, encode


def test_a_commit_whose_known_blob_is_collected_meanwhile_brings_its_own(arena: Arena) -> None:
    """The blob was found, then collected, then not linked: the client was told of a blob that was nowhere."""
    arena.race(Pair(OPERATIONS["blob commit"], OPERATIONS["collect blobs"]), "unlinked", schedules.bounded)


@pytest.mark.parametrize("other", ["tag move", "tag delete", "manifest delete"])
def test_a_push_and_one_that_takes_its_tag_away_never_wait_for_each_other(arena: Arena, other: str) -> None:
    """One locked manifest, then tag, the other tag, then manifest; three deadlocks in a row made a push fail."""
    outcomes = arena.race(Pair(OPERATIONS["manifest PUT"], OPERATIONS[other]), "tagged", schedules.bounded)
    assert not [words for words in outcomes if words.endswith(DEADLOCK)]


UNTYPED = encode({"schemaVersion": 2, "config": descriptor(CONFIG), "layers": [descriptor(LAYER)]})
OTHER_TYPE = "is refused: the bytes have another type"


def _put_as(media_type: str) -> Operation:
    """A push of the same bytes, which name no type themselves, under one."""

    def act(cast_: Cast) -> str:
        push = Push(APP, Digest.of(UNTYPED), parse_manifest(UNTYPED, media_type), UNTYPED, [Tag("typed")])
        try:
            pushes.put(cast_.database, push)
        except TypeDiffers:
            return OTHER_TYPE
        return SUCCEEDS

    return Operation(f"PUT as {media_type}", ("linked",), act)


def test_of_two_types_that_the_same_bytes_are_pushed_under_one_holds(arena: Arena) -> None:
    """The last one changed what every tag of them was served as."""
    pair = Pair(_put_as(OCI_MANIFEST), _put_as("application/vnd.example.image+json"))
    outcomes = arena.race(pair, "linked", schedules.bounded)
    assert outcomes
    for words in outcomes:
        assert (words.count(SUCCEEDS), words.count(OTHER_TYPE)) == (1, 1), words
