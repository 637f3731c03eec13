"""The first administrator: the user `admin`, with the secret that the deployment generated."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from functions.registry.auth.secrets import Peppers, parse_secret
from functions.registry.config import Settings
from functions.registry.metadata.access import principals
from functions.registry.metadata.db import Database

NAME: Final = "admin"


class AdministratorRefused(Exception):
    """The message says what to change; it has nothing of the secret."""


def make_administrator(settings: Settings) -> None:
    """Does nothing without a secret, and nothing twice. Raises AdministratorRefused."""
    secret = _secret(settings)
    if not secret:
        return
    peppers = Peppers(settings.pepper)
    if not peppers:
        raise AdministratorRefused("SLIPWAY_ADMIN_SECRET needs SLIPWAY_PEPPER, which its hash is made with")
    parsed = parse_secret(secret)
    if parsed is None:
        raise AdministratorRefused("SLIPWAY_ADMIN_SECRET is no secret of the form slp_...: generate one")
    database = Database(settings.database, size=1)
    try:
        if not principals.ensure_admin(database, NAME, parsed[0], peppers.hash(secret)):
            raise AdministratorRefused(f"there is a {NAME} already who is no administrator")
    finally:
        database.close()


def _secret(settings: Settings) -> str:
    """A file is read each time: what the environment holds is as old as the instance."""
    if not settings.admin_secret_file:
        return settings.admin_secret
    try:
        return Path(settings.admin_secret_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AdministratorRefused(f"SLIPWAY_ADMIN_SECRET_FILE can't be read: {error}") from error
