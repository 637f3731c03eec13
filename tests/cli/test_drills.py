"""`slipway backup drilled`, and where the last drill is told."""

from __future__ import annotations

import json
import re

from tests.cli.stand import Stand


def test_there_was_none_and_it_is_said_how_one_is_made(stand: Stand) -> None:
    number = stand.names["BACKUP-ID"]
    assert re.search(r"last drill \(UTC\) +never \(docs/backup\.md says how\)", stand("gc", "status").out)
    shown = stand("backup", "show", number)
    assert re.search(r"last drill \(UTC\) +never", shown.out)
    assert "nobody has brought it back" in shown.err
    listed = stand("backup", "list")
    assert "never" in listed.out
    assert "nobody has brought any of these back" in listed.err
    assert stand("backup", "list", "-o", "json").err == ""


def test_it_is_recorded_and_told_everywhere(stand: Stand) -> None:
    number = stand.names["BACKUP-ID"]
    note = "into staging, by the book"
    ended = stand("backup", "drilled", number, "--tags", "240", "--lost", "2", "--seconds", "900", "--note", note)
    assert ended.code == 0, ended
    for said in ("user:admin", "240", "15m", note):
        assert said in ended.out
    status = stand("gc", "status").out
    assert re.search(rf"of backup +{number}\n", status)
    assert re.search(r"drilled by +user:admin\n", status)
    assert re.search(r"tags lost +2\n", status)
    assert json.loads(stand("gc", "status", "-o", "json").out)["upkeep"]["drill"]["note"] == note
    shown = stand("backup", "show", number)
    assert note in shown.out
    assert "nobody has brought" not in shown.err
    listed = stand("backup", "list")
    assert "user:admin" in listed.out
    assert "nobody has brought" not in listed.err
    assert "backup.drill" in stand("audit").out


def test_what_can_not_be_is_refused_with_a_reason(stand: Stand) -> None:
    number = stand.names["BACKUP-ID"]
    assert "only 3 tags were compared" in stand("backup", "drilled", number, "--tags", "3", "--lost", "4").err
    assert "tags and lost go together" in stand("backup", "drilled", number, "--lost", "0").err
    assert stand("backup", "drilled", number, "--seconds", "-1").code == 2
    assert stand("backup", "drilled", number, "--tags", "3", "--lost", "LOST").code == 2
    assert "500 characters" in stand("backup", "drilled", number, "--note", "n" * 501).err
    ended = stand("backup", "drilled", "12345")
    assert ended.code != 0
    assert "no such backup" in ended.err
    assert json.loads(stand("gc", "status", "-o", "json").out)["upkeep"]["drill"] is None
