"""Repository names, tags and references (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import time

import pytest
from hypothesis import given

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid, NameInvalid, OciError
from functions.registry.oci.name import NAME_LENGTH, RepositoryName, Tag, parse_reference
from tests.unit import strategies

NAMES = [
    "a",
    "0",
    "library/alpine",
    "a/b/c/d/e/f/g",
    "some.team/some_app/some__part/a-b/a--b/a-----b",
    "1.2.3",
    "blobs",
    "uploads",
    "manifests",
    "tags",
    "a/blobs/uploads",
    "blobs/uploads/manifests/tags/list/referrers",
    "v2/v2",
    "a" * NAME_LENGTH,
    "a/" * 127 + "a",
]
NO_NAMES = {
    "nothing": "",
    "upper case": "Library/alpine",
    "a slash before": "/a",
    "a slash after": "a/",
    "an empty part": "a//b",
    "a dot before": ".a",
    "a dot after": "a.",
    "two dots": "a..b",
    "three underscores": "a___b",
    "an underscore before": "_catalog",
    "separators of two kinds": "a.-b",
    "a dash after": "a-",
    "a dash before a slash": "a-/b",
    "the parent folder": "../etc/passwd",
    "the parent folder within": "a/../b",
    "a space": "a b",
    "a colon": "a:latest",
    "an at": "a@b",
    "a percent": "a%2fb",
    "a backslash": "a\\b",
    "a NUL": "a\0",
    "a line's end": "a\n",
    "a line's end before": "\na",
    "a letter with an accent": "é",
    "digits of another script": "٣",
    "a letter that folds to k": "\u212a",
    "half of a surrogate pair": "\ud800",
    "one character too many": "a" * (NAME_LENGTH + 1),
}
TAGS = ["latest", "a", "_", "9", "v1.0.0", "A-b_c.D", "__", "a" * 128, "blobs", "list", "sha256-abc"]
NO_TAGS = {
    "nothing": "",
    "a dot before": ".a",
    "a dash before": "-a",
    "a slash": "a/b",
    "a space": "a b",
    "a plus": "1.0+build",
    "a NUL": "a\0",
    "a line's end": "a\n",
    "a letter with an accent": "é",
    "one character too many": "a" * 129,
}


@pytest.mark.parametrize("text", NAMES, ids=lambda name: name[:40])
def test_names_of_the_specification_are_accepted(text: str) -> None:
    assert RepositoryName.parse(text) == text


@pytest.mark.parametrize("text", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        RepositoryName.parse(text)


@given(strategies.repository_texts())
def test_every_name_that_the_specification_allows_is_accepted(text: str) -> None:
    assert str(RepositoryName.parse(text)) == text


@pytest.mark.parametrize(
    ("name", "namespace"), [("a", "a"), ("a/b", "a"), ("a.b/c/d", "a.b"), ("blobs/uploads", "blobs")]
)
def test_the_namespace_is_the_first_part(name: str, namespace: str) -> None:
    assert RepositoryName.parse(name).namespace == namespace


@pytest.mark.parametrize("separator", [".", "_", "__", "-", "---", "/", ".-", "_-", "a-", "a__"])
@pytest.mark.parametrize("end", ["", "!", ".", "_", "-", "/"])
def test_a_hostile_name_costs_no_more_than_a_good_one(separator: str, end: str) -> None:
    unit = f"a{separator}"
    longest = (unit * NAME_LENGTH)[: NAME_LENGTH - len(end)] + end
    started = time.thread_time()
    for text in (longest, unit * 5000 + end):
        try:
            RepositoryName.parse(text)
        except NameInvalid:
            continue
    assert time.thread_time() - started < 0.05


def test_a_refusal_of_a_long_name_does_not_repeat_it() -> None:
    with pytest.raises(NameInvalid) as refusal:
        RepositoryName.parse("a" * 100_000)
    assert refusal.value.detail == {}


@pytest.mark.parametrize("text", TAGS, ids=lambda tag: tag[:20])
def test_tags_of_the_specification_are_accepted(text: str) -> None:
    assert Tag.parse(text) == text


@pytest.mark.parametrize("text", NO_TAGS.values(), ids=NO_TAGS.keys())
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(ManifestInvalid) as refusal:
        Tag.parse(text)
    assert refusal.value.detail == {"tag": text}


def test_a_refusal_repeats_no_more_than_the_start_of_a_tag() -> None:
    with pytest.raises(ManifestInvalid) as refusal:
        Tag.parse("a" * 10_000)
    assert refusal.value.detail == {"tag": "a" * 200}


@given(strategies.tags())
def test_a_reference_without_a_colon_is_a_tag(tag: Tag) -> None:
    reference = parse_reference(str(tag))
    assert isinstance(reference, Tag)
    assert reference == tag


@given(strategies.digests())
def test_a_reference_with_a_colon_is_a_digest(digest: Digest) -> None:
    assert parse_reference(str(digest)) == digest


@pytest.mark.parametrize("text", ["sha256:xyz", "a:b", ":", "sha1:0123"])
def test_a_reference_with_a_colon_is_never_taken_for_a_tag(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_reference(text)


@given(strategies.hostile_texts())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (RepositoryName.parse, Tag.parse, parse_reference):
        try:
            assert str(parse(text)) == text
        except OciError:
            continue
