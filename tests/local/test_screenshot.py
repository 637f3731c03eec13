"""The picture in the README is made by a script, of lines that are typed as they stand."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from local.screenshot import LINES, picture
from tests.conftest import ROOT

_TEXT = "{http://www.w3.org/2000/svg}text"


def shown(drawn: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(drawn).iter(_TEXT)]  # noqa: S314  # made here


def test_a_picture_shows_the_lines_as_they_are() -> None:
    lines = [("$ slipway ls", True), ("a  <b> & c", False), ("", False), ("end", False)]
    assert shown(picture(lines)) == ["$ slipway ls", "a  <b> & c", "end"]


def test_the_picture_of_the_readme_is_of_these_lines() -> None:
    kept = shown((ROOT / "docs" / "terminal.svg").read_text())
    assert [line for line in kept if line.startswith("$ ")] == [f"$ {line}" for line in LINES]
    assert not [line for line in kept if "Traceback" in line]
