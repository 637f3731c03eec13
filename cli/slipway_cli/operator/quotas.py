"""`quotas`: how much a namespace may hold."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any, Final

from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota, QuotaReport
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import parse_namespace
from functions.registry.oci.page import LARGEST_SIZE, Page
from slipway_cli.operator.shared import CommandRefused, Desk, add_command, add_subject, number, show

_MOST: Final = 2**63 - 1
_UNITS: Final = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def add_commands(subjects: Any) -> None:
    quota = add_subject(subjects, "quotas", "how many bytes and repositories a namespace may hold")
    add_command(quota, "list", _list_quotas, "by namespace, with what is used")
    command = add_command(quota, "set", _set_quota, "in place of the one there is; what is there already stays")
    command.add_argument("namespace", type=_namespace, help="the first part of repositories' names")
    command.add_argument("--bytes", type=_size, help="manifests, and blobs once each: 500GiB, or a number of bytes")
    command.add_argument("--repositories", type=number(0, _MOST), help="how many there may be")
    command = add_command(quota, "remove", _remove_quota, "it holds no more")
    command.add_argument("namespace", type=_namespace)


def _namespace(text: str) -> str:
    try:
        return parse_namespace(text)
    except NameInvalid as invalid:
        raise argparse.ArgumentTypeError(f"takes {invalid.reason}") from invalid


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})(|KiB|MiB|GiB|TiB)", text)
    size = int(match[1]) * _UNITS[match[2]] if match else _MOST + 1
    if size > _MOST:
        raise argparse.ArgumentTypeError("takes a number of bytes, alone or with KiB, MiB, GiB or TiB: 500GiB")
    return size


def _list_quotas(desk: Desk, _: argparse.Namespace) -> None:
    found = [
        (each.namespace, each.bytes, each.used_bytes, each.repositories, each.used_repositories)
        for each in _every(desk)
    ]
    show(("namespace", "bytes", "used", "repositories", "used"), found)


def _every(desk: Desk) -> Iterator[QuotaReport]:
    last = ""
    while True:
        found = quotas.list_page(desk.database, Page(LARGEST_SIZE, last))
        yield from found[:LARGEST_SIZE]
        if len(found) <= LARGEST_SIZE:
            return
        last = found[LARGEST_SIZE - 1].namespace


def _set_quota(desk: Desk, options: argparse.Namespace) -> None:
    quota = Quota(options.namespace, options.bytes, options.repositories)
    if quota.bytes is None and quota.repositories is None:
        raise CommandRefused("give --bytes, --repositories or both; `quotas remove` takes a quota away")
    quotas.put(desk.database, quota)
    desk.record("quota.set", quota.namespace, quota.namespace, bytes=quota.bytes, repositories=quota.repositories)
    print(f"the quota of {quota.namespace} holds")


def _remove_quota(desk: Desk, options: argparse.Namespace) -> None:
    if not quotas.remove(desk.database, options.namespace):
        raise CommandRefused(f"{options.namespace} has no quota: `quotas list` shows which there are")
    desk.record("quota.remove", options.namespace, options.namespace)
    print(f"the quota of {options.namespace} is gone")
