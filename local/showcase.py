"""A few repositories as a company has them, in a registry that runs: so that its pages have something to show.

Everything comes over the registry's own API but the past: when things were pushed, and how often they were pulled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import requests

from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.usage import pulls_and_pushes
from functions.registry.metadata.usage.pulls_and_pushes import Counts
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from local.showcase_content import Program, Pusher

_DAY: Final = 86_400
_DAYS: Final = 60
_NOT_FOUND: Final = 404

GATEWAY: Final = Program(
    "payments/gateway", ("serve", "--port", "8080"), "ca-certificates tzdata", ("amd64", "arm64", "riscv64"),
    ("LANG=C.UTF-8", "LEDGER_URL=http://ledger:8080", "DB_PASSWORD=example"),
)  # fmt: skip
_STOREFRONT: Final = Program("shop/storefront", ("node", "server.js"), "nodejs")
_CATALOG: Final = Program("shop/catalog", ("serve",), "ca-certificates")
_LOGIN: Final = Program("identity/login", ("run",), "ca-certificates openssl", ("amd64",))
_PYTHON: Final = Program("base/python", ("python3",), "python3 python3-venv")
# Of each: its releases, the oldest first, the last of which is also called latest; and how often that is pulled a day.
_RELEASES: Final = (
    (GATEWAY, ("1.11.0", "1.11.1", "1.12.0", "1.12.1", "1.13.0", "1.13.1", "1.13.2"), 140),
    (_STOREFRONT, ("2.6.0", "2.6.1", "2.7.0", "2.8.0", "2.8.1"), 90),
    (_CATALOG, ("0.30.0", "0.31.0", "0.31.1"), 35),
    (_LOGIN, ("5.0.2", "5.1.0", "5.1.1"), 60),
    (_PYTHON, ("3.12", "3.13", "3.14"), 260),
)
_REQUESTS: Final = tuple(f"pr-{number}" for number in (471, 474, 478, 482, 485, 491))
_CHART: Final = "platform/ingress"
_CHARTS: Final = ("0.4.0", "0.5.0", "0.6.0")
_DELETED: Final = ("payments/gateway", "1.12.1")
_POLICY: Final = "pull-requests"
_RULES: Final[dict[str, Any]] = {
    "repositories": "shop/**",
    "mode": "preview",
    "rules": [
        {"tags": "pr-*", "keep": {"newest": 2, "pushed_within": "14d"}},
        {"tags": "*", "keep": "all"},
    ],
}


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a tag names, and how many days ago it is to have been pushed."""

    digest: Digest
    days: float


# By repository and tag.
Pushes = dict[str, dict[str, Pushed]]

# Nothing else is to be told of a past that is made up.
_BEGIN: Final = "BEGIN; SET LOCAL session_replication_role = replica"

# Of one repository: each tag as old as its place says, with what it names, and the repository as old as its newest.
_AGE: Final = """
    WITH aged AS (
        UPDATE tags SET created_at = now() - make_interval(secs => age.days * 86400),
                        updated_at = now() - make_interval(secs => age.days * 86400)
          FROM repositories, unnest(CAST(:tags AS text[]), CAST(:days AS float[])) AS age (tag, days)
         WHERE repositories.name = :repository AND tags.repository_id = repositories.id AND tags.name = age.tag
        RETURNING tags.repository_id, tags.manifest_id, tags.updated_at
    ), manifests_aged AS (
        UPDATE manifests SET pushed_at = aged.updated_at
          FROM aged WHERE manifests.id = aged.manifest_id
    )
    UPDATE repository_usage AS usage SET pushed_at = newest.at
      FROM (SELECT repository_id, max(updated_at) AS at FROM aged GROUP BY 1) AS newest
     WHERE usage.repository_id = newest.repository_id
"""

# It had less in it on each day before, and so had its namespace.
_GROW: Final = """
    WITH stored AS MATERIALIZED (
        SELECT repositories.id, repositories.namespace_id, current_date - age AS day, 1 - age / 90.0 AS share,
               usage.blob_bytes AS bytes
          FROM repositories JOIN repository_usage AS usage ON usage.repository_id = repositories.id,
               generate_series(1, CAST(:days AS int)) AS age
         WHERE repositories.name = :repository
    ), of_repository AS (
        INSERT INTO repository_days AS total (repository_id, day, bytes) SELECT id, day, bytes * share FROM stored
        ON CONFLICT (repository_id, day) DO UPDATE SET bytes = excluded.bytes
    )
    INSERT INTO namespace_days AS total (namespace_id, day, bytes)
    SELECT namespace_id, day,
           share * (SELECT sum(size) FROM namespace_blobs WHERE namespace_blobs.namespace_id = stored.namespace_id)
      FROM stored
    ON CONFLICT (namespace_id, day) DO UPDATE SET bytes = excluded.bytes
"""

# So had the registry, unless it has a past.
_GROW_REGISTRY: Final = """
    INSERT INTO registry_days AS total (day, bytes)
    SELECT current_date - age, (1 - age / 90.0) * (SELECT sum(size) FROM blobs)
      FROM generate_series(1, CAST(:days AS int)) AS age
     WHERE NOT EXISTS (SELECT FROM registry_days WHERE bytes IS NOT NULL AND day < current_date)
    ON CONFLICT (day) DO UPDATE SET bytes = excluded.bytes
"""


def show(address: str, secret: str | None, database: str) -> bool:
    """Fills a running registry; False if it was filled before. Raises requests.RequestException."""
    pusher = Pusher(address, secret)
    if _is_there(pusher):
        return False
    chance = random.Random("showcase")  # noqa: S311  # contents, not secrets
    pushed = _push(pusher)
    connection, counted = Connection(database), Database(database, 1)
    try:
        connection.simple(_BEGIN)
        for repository, tags in pushed.items():
            named = {"repository": repository, "tags": list(tags), "days": [each.days for each in tags.values()]}
            connection.run([(_AGE, named)])
            connection.run([(_GROW, {"repository": repository, "days": _DAYS})])
        connection.run([(_GROW_REGISTRY, {"days": _DAYS})])
        connection.simple("COMMIT")
        pulls_and_pushes.add(counted, [*_pulls(pushed, chance), *_pushes(pushed)])
    finally:
        connection.close()
        counted.close()
    pusher.ask("DELETE", f"/v2/{_DELETED[0]}/manifests/{_DELETED[1]}", _DELETED[0])
    pusher.ask("PUT", f"/api/v1/retention/policies/{_POLICY}", json=_RULES)
    pusher.ask("POST", "/api/v1/retention/plans", json={"policy": _POLICY})
    return True


def _is_there(pusher: Pusher) -> bool:
    repository, tag = GATEWAY.repository, "latest"
    try:
        pusher.ask("HEAD", f"/v2/{repository}/manifests/{tag}", repository)
    except requests.HTTPError as error:
        if error.response.status_code == _NOT_FOUND:
            return False
        raise
    return True


def _push(pusher: Pusher) -> Pushes:
    """Pushes all of it, and returns what each tag names and how old it is to be."""
    pushed: Pushes = {}
    for program, versions, _ in _RELEASES:
        youngest = 5.3 + len(pushed)
        found = pushed.setdefault(program.repository, {})
        for number, version in enumerate(reversed(versions)):
            index = pusher.index(program, version, version)
            found[version] = Pushed(Digest.of(index), youngest + number * 9)
            pusher.refer(program.repository, index, "signature")
            if program is GATEWAY:
                pusher.refer(program.repository, index, "sbom")
        pusher.index(program, "latest", versions[-1])
        found["latest"] = found[versions[-1]]
    for number, tag in enumerate(reversed(_REQUESTS)):
        image = pusher.image(_STOREFRONT, tag, tag, "amd64")
        pushed[_STOREFRONT.repository][tag] = Pushed(Digest.of(image), number * 7 + 0.1)
    for number, version in enumerate(reversed(_CHARTS)):
        chart = pusher.chart(_CHART, version)
        pushed.setdefault(_CHART, {})[version] = Pushed(Digest.of(chart), number * 14 + 2)
    return pushed


def _pulls(pushed: Pushes, chance: random.Random) -> list[Counts]:
    """Counts what was pulled on each day: the newest of that day the most, and little at weekends."""
    found = []
    for program, versions, most in _RELEASES:
        name = RepositoryName.parse(program.repository)
        tags = pushed[program.repository]
        for days_ago in range(_DAYS):
            there = [version for version in versions if tags[version].days >= days_ago]
            quiet = 0.3 if days_ago % 7 in {1, 2} else 1.0
            shares = [("latest", 0.6), *zip(reversed(there), (1.0, 0.2, 0.05), strict=False)]
            for tag, share in shares if there else []:
                pulls = int(most * share * quiet * chance.uniform(0.7, 1.2) * (1 - days_ago / 150))
                if pulls:
                    age = days_ago * _DAY + chance.uniform(60, 3600)
                    found.append(Counts(name, Tag.parse(tag), None, pulls, 0, age))
    return found


def _pushes(pushed: Pushes) -> list[Counts]:
    """Counts a push of each tag on the day on which it is to have been pushed."""
    return [
        Counts(RepositoryName.parse(repository), Tag.parse(tag), each.digest, 0, 1, each.days * _DAY)
        for repository, tags in pushed.items()
        for tag, each in tags.items()
    ]
