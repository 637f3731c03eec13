"""`slipway fsck`: what it says, how it ends, and what it does about what is damaged."""

from __future__ import annotations

import pytest

from tests.checks.vandal import Vandal
from tests.cli.stand import APP, Stand
from tests.support import Registry


@pytest.fixture
def vandal(stand: Stand, storage_address: str) -> Vandal:
    return Vandal(Registry(stand.registry.client, stand.registry.services), storage_address)


def test_a_whole_registry_ends_with_0(stand: Stand) -> None:
    ended = stand("fsck")
    assert ended.code == 0, ended
    assert "done" in ended.out


def test_a_damaged_one_ends_with_1_and_says_which_images_need_what_is_gone(stand: Stand, vandal: Vandal) -> None:
    vandal.take(vandal.object_of(APP.blob_digests[1]))
    ended = stand("fsck")
    assert ended.code == 1
    assert "missing" in ended.out
    assert "team/app:v1" in ended.out
    assert "fsck --repair --dry-run" in ended.err
    ended = stand("fsck", "--repair", "--dry-run")
    assert "would_be_marked=1" in ended.out
    ended = stand("fsck", "--repair")
    assert ended.code == 1
    assert "push these images again" in ended.err
    stand.push()
    assert stand("fsck").code == 0


def test_a_check_at_a_time(stand: Stand) -> None:
    assert stand.line("slipway fsck status RUNNING-CHECK-ID").code == 0
    ended = stand("fsck")
    assert ended.code == 1
    assert "a check is running" in ended.err


def test_help_of_the_group_lists_its_commands(stand: Stand) -> None:
    ended = stand("fsck", "--help")
    assert ended.code == 0
    assert "undo" in ended.out
