"""Files of policies: what the page shows can be loaded, and what can't is told with the reason."""

from __future__ import annotations

import pytest

from tests.cli.stand import Stand


def test_the_file_of_the_page_is_loaded(stand: Stand) -> None:
    planned = stand("retention", "load", "retention.toml", "--dry-run")
    assert (planned.code, "team-default would remove" in planned.err) == (0, True), planned
    assert stand("retention", "load", "retention.toml").code == 0
    [policy] = [one for one in stand("retention", "list", "-o", "json").json if one["name"] == "team-default"]
    assert (policy["mode"], len(policy["rules"])) == ("preview", 3)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("odd.toml", "policies = [", "is not TOML"),
        ("odd.json", "{", "is not JSON"),
        ("none.toml", "", "has no name"),
        ("empty.json", "[]", "has no policies"),
        ("nameless.json", '[{"rules": []}]', "policy 1 in nameless.json has no name"),
    ],
)
def test_a_file_that_is_no_list_of_policies_is_refused(stand: Stand, name: str, content: str, reason: str) -> None:
    (stand.home / name).write_text(content)
    refused = stand("retention", "load", name)
    assert (refused.code, reason in refused.err) == (1, True), refused


def test_a_file_that_is_not_there_is_told(stand: Stand) -> None:
    assert "absent.toml can't be read: No such file or directory" in stand("retention", "load", "absent.toml").err
