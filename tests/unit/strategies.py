"""What Hypothesis makes for these tests: every form that the specifications allow, and what a stranger may send."""

import json
import re
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from functions.registry.oci.byte_range import ByteRange
from functions.registry.oci.digest import HEX_LENGTHS, Digest
from functions.registry.oci.manifest import LARGEST_BLOB
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import NAME_LENGTH, Reference, RepositoryName, Tag

# A busy machine makes one example slow, and that says nothing of the code.
settings.register_profile("patient", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Parts of a name that are also words of the paths around it.
RESERVED_PARTS: Final = ("blobs", "uploads", "manifests", "tags", "list", "referrers", "v2")
ODD_CHARACTERS: Final = "\0\n\r\t /\\.-_:@%?#+~*\"'<>{}[]()|^`AÄaé\u2028\u202e\U0001f433"

_COMPONENT: Final = re.compile(r"[a-z0-9]{1,8}((\.|_|__|-{1,4})[a-z0-9]{1,8}){0,3}")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_TYPE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,30}")

# ---- names and references


def components() -> SearchStrategy[str]:
    return st.from_regex(_COMPONENT, fullmatch=True) | st.sampled_from(RESERVED_PARTS)


def repository_texts() -> SearchStrategy[str]:
    names = st.lists(components(), min_size=1, max_size=6).map("/".join)
    return names.filter(lambda name: len(name) <= NAME_LENGTH)


def repositories() -> SearchStrategy[RepositoryName]:
    return repository_texts().map(RepositoryName.parse)


def tag_texts() -> SearchStrategy[str]:
    return st.from_regex(_TAG, fullmatch=True) | st.sampled_from((*RESERVED_PARTS, "latest", "_", "9"))


def tags() -> SearchStrategy[Tag]:
    return tag_texts().map(Tag.parse)


def algorithms() -> SearchStrategy[str]:
    return st.sampled_from(sorted(HEX_LENGTHS))


def digests() -> SearchStrategy[Digest]:
    return st.builds(Digest.of, st.binary(max_size=20), algorithms())


def references() -> SearchStrategy[Reference]:
    return tags() | digests()


def hostile_texts() -> SearchStrategy[str]:
    """Anything, and valid text with something odd in it."""
    odd = st.sampled_from(ODD_CHARACTERS)
    spoiled = st.builds(lambda text, letter: text + letter, repository_texts(), odd)
    return st.text(max_size=60) | st.text(alphabet=ODD_CHARACTERS, max_size=30) | spoiled


# ---- ranges


def byte_ranges() -> SearchStrategy[ByteRange]:
    offsets = st.integers(0, 10**18)
    return st.builds(lambda first, length: ByteRange(first, first + length), offsets, offsets)


# ---- manifests


def media_types() -> SearchStrategy[str]:
    name = st.from_regex(_TYPE_NAME, fullmatch=True)
    known = st.sampled_from((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST))
    return known | st.builds("{}/{}".format, name, name)


def manifest_types() -> SearchStrategy[str]:
    """Gives types of which clients read manifests."""
    known = st.sampled_from((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST))
    return known | st.builds("application/{}+json".format, st.from_regex(_TYPE_NAME, fullmatch=True))


def texts() -> SearchStrategy[str]:
    """What a database can hold."""
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def descriptors() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"mediaType": media_types(), "digest": digests().map(str), "size": st.integers(0, LARGEST_BLOB)},
        optional={"annotations": annotation_maps(), "urls": st.lists(texts(), max_size=2), "data": texts()},
    )


def annotation_maps() -> SearchStrategy[dict[str, str]]:
    return st.dictionaries(texts(), texts(), max_size=3)


def _common() -> dict[str, SearchStrategy[Any]]:
    return {
        "mediaType": manifest_types(),
        "artifactType": media_types(),
        "subject": descriptors(),
        "annotations": annotation_maps(),
        "anything": json_values(),
    }


def images() -> SearchStrategy[dict[str, Any]]:
    lists = st.lists(descriptors(), max_size=4)
    required = {"schemaVersion": st.just(2), "config": descriptors(), "layers": lists}
    return st.fixed_dictionaries(required, optional=_common())


def indexes() -> SearchStrategy[dict[str, Any]]:
    required = {"schemaVersion": st.just(2), "manifests": st.lists(descriptors(), max_size=4)}
    return st.fixed_dictionaries(required, optional=_common())


def json_values() -> SearchStrategy[Any]:
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | numbers | st.text(max_size=10)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner), max_leaves=8
    )


FIELDS: Final = ("schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject")


def hostile_documents() -> SearchStrategy[dict[str, Any]]:
    """Objects with the fields of a manifest, and anything in them."""
    values = json_values() | descriptors() | st.lists(descriptors() | json_values(), max_size=3)
    return st.dictionaries(st.sampled_from((*FIELDS, "annotations")), values)


def hostile_payloads() -> SearchStrategy[bytes]:
    documents = (hostile_documents() | json_values()).map(lambda document: json.dumps(document).encode())
    cut = st.builds(lambda document, end: json.dumps(document).encode()[:end], images(), st.integers(0, 300))
    return st.binary(max_size=200) | documents | cut


# ---- paths


def hostile_paths() -> SearchStrategy[str]:
    """Paths made of the pieces that real ones are made of, in any order."""
    words = st.sampled_from((*RESERVED_PARTS, "_catalog", "", ".", "..", "a"))
    pieces = words | repository_texts() | tag_texts() | digests().map(str) | hostile_texts()
    return st.lists(pieces, max_size=8).map(lambda parts: "/v2/" + "/".join(parts))
