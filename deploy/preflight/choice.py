"""What is going to be deployed, as far as the project matters: terraform's variables, as flags of the same names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SIZES: Final = ("tiny", "team", "large")
GITHUB: Final = "github"
CLOUD_BUILD: Final = "cloud-build"
PIPELINES: Final = (GITHUB, CLOUD_BUILD)
# As terraform/variables*.tf have them.
_PROJECT: Final = r"[a-z][a-z0-9-]{4,28}[a-z0-9]"
_REGION: Final = r"[a-z]+-[a-z]+[0-9]{1,2}"
_NAME: Final = r"[a-z][a-z0-9-]{4,18}[a-z0-9]"


@dataclass(frozen=True, slots=True)
class Choice:
    """`subnetwork` is (project, region, name) of an existing one, `existing_database` (project, region, instance)."""

    project: str
    region: str
    size: str
    name: str = "slipway"
    existing_database: tuple[str, str, str] | None = None
    subnetwork: tuple[str, str, str] | None = None
    private_database: bool = True
    http2: bool = True
    has_domain: bool = False
    kms_key: str | None = None
    budget: str | None = None
    pipelines: frozenset[str] = frozenset()

    @property
    def makes_network(self) -> bool:
        return self.private_database and self.subnetwork is None

    @property
    def foreign_network(self) -> tuple[str, str, str] | None:
        """Names the network if it is another project's."""
        return self.subnetwork if self.subnetwork and self.subnetwork[0] != self.project else None

    @property
    def database_project(self) -> str:
        return self.existing_database[0] if self.existing_database else self.project


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", required=True, type=_matching(_PROJECT, "a project's id"))
    parser.add_argument("--region", required=True, type=_matching(_REGION, "a region like europe-west1"))
    parser.add_argument("--size", choices=SIZES, default="tiny", help="terraform's `size` (default: tiny)")
    parser.add_argument("--name", default="slipway", type=_matching(_NAME, "a name of 6 to 20 letters, digits and -"))
    parser.add_argument(
        "--existing-database",
        type=_parts(rf"({_PROJECT}):({_REGION}):([a-z][a-z0-9-]{{0,96}})", "PROJECT:REGION:INSTANCE"),
        metavar="PROJECT:REGION:INSTANCE",
        help="`existing_database`: its connection_name",
    )
    parser.add_argument(
        "--subnetwork",
        type=_parts(rf"projects/({_PROJECT})/regions/({_REGION})/subnetworks/([a-z0-9-]+)", "a subnetwork's id"),
        metavar="projects/P/regions/R/subnetworks/S",
        help="`network`: its subnetwork",
    )
    parser.add_argument("--public-database", action="store_true", help="`private_database = false`")
    parser.add_argument("--no-http2", action="store_true", help="`http2 = false`")
    parser.add_argument("--domain", action="store_true", help="`domain` is set")
    parser.add_argument(
        "--kms-key",
        type=_matching(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+", "a key's name"),
        help="`kms_key`",
    )
    parser.add_argument(
        "--budget",
        type=_matching(r"[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}", "a billing account like 012345-6789AB-CDEF01"),
        metavar="BILLING_ACCOUNT",
        help="`budget`: its billing_account",
    )
    parser.add_argument(
        "--pipeline",
        choices=PIPELINES,
        action="append",
        default=[],
        help="`pipeline` is set, for this; may be given twice",
    )


def choice_of(options: argparse.Namespace) -> Choice:
    return Choice(
        project=options.project,
        region=options.region,
        size=options.size,
        name=options.name,
        existing_database=options.existing_database,
        subnetwork=options.subnetwork,
        private_database=not options.public_database,
        http2=not options.no_http2,
        has_domain=options.domain,
        kms_key=options.kms_key,
        budget=options.budget,
        pipelines=frozenset(options.pipeline),
    )


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        return _match(pattern, wanted, text)[0]

    return parse


def _parts(pattern: str, wanted: str) -> Callable[[str], Sequence[str]]:
    def parse(text: str) -> Sequence[str]:
        return _match(pattern, wanted, text).groups()

    return parse


def _match(pattern: str, wanted: str, text: str) -> re.Match[str]:
    found = re.fullmatch(pattern, text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return found
