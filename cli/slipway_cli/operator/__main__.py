"""For operators: users, robots, their secrets and grants, rules for tags, quotas, the audit trail, and what there is.

Run as `python -m slipway_cli.operator`, with SLIPWAY_DATABASE naming the database and SLIPWAY_PEPPER as the api has it;
on one machine, `make access ARGS="users list"`. It needs no administrator: whoever has the database is one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from functions.registry.auth.accounts import AccountRefused
from functions.registry.config import SettingInvalid, Settings
from functions.registry.metadata.access.grants import GrantRefused
from functions.registry.metadata.access.patterns import PatternInvalid
from functions.registry.metadata.access.principals import LastAdministrator, PrincipalExists
from functions.registry.metadata.access.rules import RuleRefused
from functions.registry.metadata.db import Database, MetadataUnavailable
from slipway_cli.operator import accounts, credentials, lists, quotas, rules
from slipway_cli.operator.shared import CommandRefused, Desk

_REFUSALS = (
    AccountRefused,
    CommandRefused,
    GrantRefused,
    LastAdministrator,
    PatternInvalid,
    PrincipalExists,
    RuleRefused,
)


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        # No blob is touched here: whoever asks need not know where they are.
        settings = Settings.from_environment({"SLIPWAY_BUCKET": "none", **environment})
    except SettingInvalid as invalid:
        print(f"slipway: {invalid}: give it as the api function has it", file=sys.stderr)
        return 2
    database = Database(settings.database, size=1)
    try:
        options.run(Desk(settings, database), options)
    except _REFUSALS as refused:
        print(f"slipway: {refused}", file=sys.stderr)
        return 1
    except MetadataUnavailable as error:
        print(f"slipway: {error}: is the database up and migrated, and SLIPWAY_DATABASE right?", file=sys.stderr)
        return 1
    finally:
        database.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slipway_cli.operator", description=__doc__)
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for subject in (accounts, credentials, rules, quotas, lists):
        subject.add_commands(subjects)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
