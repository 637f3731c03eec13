"""docs/configuration.md against the settings themselves."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Final

from functions.registry.config import Settings
from tests.conftest import ROOT

_ROW: Final = re.compile(r"^\| `(SLIPWAY_\w+)` \| (?:`([^`]*)`|\((needed|empty)\)) \|", re.MULTILINE)


def test_the_page_has_every_setting_with_its_default_and_no_other() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = {name: default if kind == "" else kind for name, default, kind in _ROW.findall(page)}
    actual = {
        f"SLIPWAY_{setting.name.upper()}": {None: "needed", "": "empty"}.get(
            setting.metadata["default"], setting.metadata["default"]
        )
        for setting in fields(Settings)
    }
    assert documented == actual
