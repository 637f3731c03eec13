"""`operator`: the door with the database, for what can't be asked of a registry."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.tree import Group, Later

_IN: Final = "slipway_cli.operator"
COMMANDS: Final = {
    "add-administrator": Later(f"{_IN}.administrators", "add_administrator", "The first administrator, or another."),
    "unlock": Later(f"{_IN}.administrators", "unlock", "Let somebody in again who is locked out."),
    "migrate": Later(f"{_IN}.migrating", "migrate", "The schema: how it stands, and its two lines."),
    "migrations": Later(f"{_IN}.background", "migrations", "Large tables that are changed in the background."),
    "recount": Later(f"{_IN}.figures", "recount", "Count all figures anew, with all the time it takes."),
    "grace": Later(f"{_IN}.figures", "grace", "How long garbage is kept, by what made it."),
    "restore-backup": Later(f"{_IN}.restoring", "restore_backup", "Bring a registry back from a backup."),
    "after-recovery": Later(
        f"{_IN}.restoring", "after_recovery", "A database that went back in time: put off what is due."
    ),
    "rotate": Later(f"{_IN}.rotating", "rotate", "Change the signing key or the pepper, in three steps."),
}


@click.group("operator", cls=Group, later=COMMANDS)
def operator() -> None:
    """For whoever has the database: SLIPWAY_DATABASE names it, and SLIPWAY_PEPPER is as the api has it.

    With a `make up` nearby both are known. Nobody signs in here: whoever has the database administers the registry. All
    else, `slipway` asks of the registry itself.
    """
