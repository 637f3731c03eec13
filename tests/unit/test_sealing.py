"""A seal is opened by the pepper that closed it, for the purpose that it was closed for, and unchanged."""

from __future__ import annotations

import pytest

from functions.registry.auth.sealing import Seal, SealBroken

CONTENT = b'[false,["team/app",7]]'


def test_what_was_closed_is_opened() -> None:
    for peppers in ("", "one", "two\none"):
        seal = Seal(peppers)
        for content in (b"", CONTENT, bytes(range(256))):
            assert seal.open(seal.close(content, "a list"), "a list") == content


def test_the_same_content_gives_the_same_text_of_a_url() -> None:
    text = Seal("pepper").close(CONTENT, "a list")
    assert text == Seal("pepper").close(CONTENT, "a list")
    assert text.replace("-", "").replace("_", "").isalnum()


def test_the_content_does_not_show() -> None:
    texts = {Seal(pepper).close(CONTENT, purpose) for pepper in ("", "one", "two") for purpose in ("a list", "another")}
    assert len(texts) == 6


@pytest.mark.parametrize(
    ("peppers", "opener", "purpose"), [("one", "two", "a list"), ("", "one", "a list"), ("one", "one", "another list")]
)
def test_another_pepper_or_purpose_does_not_open_it(peppers: str, opener: str, purpose: str) -> None:
    text = Seal(peppers).close(CONTENT, "a list")
    with pytest.raises(SealBroken):
        Seal(opener).open(text, purpose)


def test_a_new_pepper_opens_what_an_older_one_closed() -> None:
    assert Seal("new\nold").open(Seal("old").close(CONTENT, "a list"), "a list") == CONTENT


def test_every_change_is_noticed() -> None:
    seal = Seal("pepper")
    text = seal.close(CONTENT, "a list")
    changes = [text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in "AB" if other != text[at]]
    for changed in [*changes, "", "A", text + "A", text + "=", text[:-1], text[:10], "é", "A" * 999]:
        with pytest.raises(SealBroken):
            seal.open(changed, "a list")
