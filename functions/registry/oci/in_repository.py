"""What every route within one repository shares. In a room of its own, for all lists of routes stand on it."""

from __future__ import annotations

from dataclasses import dataclass

from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class InRepository:
    repository: RepositoryName
