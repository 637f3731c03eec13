"""Who may do what: every role against every operation, asked of a registry."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from werkzeug.test import TestResponse

from functions.registry.auth import webhook_secrets
from functions.registry.metadata.access import grants, principals
from functions.registry.metadata.checks import checks
from functions.registry.metadata.content import removal
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.retention import plans, policies
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import RepositoryName
from tests.background.building import register
from tests.backups.rows import sealed
from tests.metadata import build
from tests.security.people import ROLES, Guarded
from tests.support import Image, index_of

REPOSITORY: Final = "team/app"
# `admin` is one of the repository alone, `namespace admin` of all its namespace.
PEOPLE: Final = ("anonymous", "no role", *ROLES, "namespace admin", "administrator")
_ALL: Final = f"repository:{REPOSITORY}:pull,push,delete"


@dataclass(frozen=True)
class World:
    """One repository with one of everything, and who asks."""

    registry: Guarded
    image: Image
    blob: Digest
    headers: dict[str, str]

    def ask(self, method: str, rest: str, **options: object) -> TestResponse:
        return self.registry.request(method, f"/v2/{REPOSITORY}/{rest}", headers=self.headers, **options)

    def upload(self) -> str:
        """An upload of the one who asks, or none's."""
        return self.ask("POST", "blobs/uploads/").headers.get(
            "Location", f"/v2/{REPOSITORY}/blobs/uploads/{uuid.uuid4()}"
        )

    def at(self, method: str, path: str, **options: object) -> TestResponse:
        return self.registry.request(method, path, headers=self.headers, **options)

    def add(self, what: str, **document: object) -> TestResponse:
        return self.at("POST", f"/api/v1/{what}", json=document)

    def robot(self, namespace: str) -> str:
        """A new one that belongs to the namespace; its name."""
        return principals.create_robot(self.registry.services.database, _new(), namespace).name

    def migration(self) -> str:
        """Returns the name of one that runs in the background."""
        name = f"new_{uuid.uuid4().hex}"
        register(self.registry.services.database, name=f"'{name}'")
        return name

    def source(self) -> int:
        """A registry that is to be moved in; its id."""
        return sources.add(self.registry.services.database, NewSource("registry", f"https://{_new()}.example.com")).id

    def policy(self) -> str:
        """A new retention policy of the namespace; its name."""
        name = _new()
        new = NewPolicy(name, 1, "team/**", "preview", [{"tags": "*", "keep": {"newest": 1}}], 86_400, 30, 5000)
        policies.put(self.registry.services.database, new, "somebody", 10_000, 0, is_seen=False)
        return name

    def plan(self) -> int:
        """A new plan of the namespace; its id."""
        document = {"name": "tidy", "repositories": "team/**", "position": 1, "rules": [], "new_for": 86_400}
        plan = NewPlan(None, "tidy", "team", 0, document, None)
        return plans.add(self.registry.services.database, plan, "somebody")

    def backup(self) -> int:
        """Makes a backup that is sealed, and returns its id."""
        return sealed(self.registry.services.database)

    def deleted(self, act: str) -> TestResponse:
        """Deletes a repository, which whoever may delete it may then put back or purge."""
        database = self.registry.services.database
        build.set_grace(database, undo=1)
        removal.remove(database, RepositoryName(REPOSITORY))
        return self.at("POST", f"/api/v1/repositories/{REPOSITORY}/-/{act}", json={})

    def subscription(self, repositories: str) -> int:
        """A new one; its id."""
        new = NewSubscription(
            name=_new(),
            repositories=repositories,
            target="https://hooks.example.com",
            created_by="user:somebody",
            secret=webhook_secrets.sealed("", webhook_secrets.make()),
        )
        return subscriptions.add(self.registry.services.database, new)

    def running_check(self) -> int:
        database = self.registry.services.database
        return (checks.running(database) or checks.start(database, None, {})).id

    def check(self) -> int:
        """One that is over; its id. None is running then."""
        running = self.running_check()
        checks.stop(self.registry.services.database, running, "it is over")
        return running

    def start_check(self) -> TestResponse:
        self.check()
        return self.add("checks")

    def grant(self, repositories: str) -> int:
        return grants.add(self.registry.services.database, None, repositories, "reader")


_TIDY: Final = {"rules": [{"tags": "*", "keep": {"newest": 2}}]}


def _new() -> str:
    return f"new-{uuid.uuid4()}"


Operation = Callable[[World], TestResponse]
OPERATIONS: Final[dict[str, Operation]] = {
    "GET /v2/": lambda world: world.at("GET", "/v2/"),
    "GET catalog": lambda world: world.at("GET", "/v2/_catalog"),
    "GET tags": lambda world: world.ask("GET", "tags/list"),
    "GET manifest": lambda world: world.ask("GET", "manifests/v1"),
    "HEAD manifest": lambda world: world.ask("HEAD", f"manifests/{world.image.digest}"),
    "GET blob": lambda world: world.ask("GET", f"blobs/{world.blob}"),
    "HEAD blob": lambda world: world.ask("HEAD", f"blobs/{world.blob}"),
    "GET referrers": lambda world: world.ask("GET", f"referrers/{world.image.digest}"),
    "POST upload": lambda world: world.ask("POST", "blobs/uploads/"),
    "GET upload": lambda world: world.at("GET", world.upload()),
    "PATCH upload": lambda world: world.at("PATCH", world.upload(), data=b"x"),
    "PUT upload": lambda world: world.at("PUT", f"{world.upload()}?digest={Digest.of(b'x')}", data=b"x"),
    "DELETE upload": lambda world: world.at("DELETE", world.upload()),
    "PUT manifest": lambda world: world.ask(
        "PUT",
        "manifests/v2",
        data=index_of(world.image.manifest),
        content_type=OCI_INDEX,
    ),
    "DELETE tag": lambda world: world.ask("DELETE", "manifests/v1"),
    "DELETE manifest": lambda world: world.ask("DELETE", f"manifests/{world.image.digest}"),
    "DELETE blob": lambda world: world.ask("DELETE", f"blobs/{world.blob}"),
    "POST delete-tags": lambda world: world.at(
        "POST", f"/api/v1/repositories/{REPOSITORY}/-/delete-tags", json={"tags": ["v1"]}
    ),
    "DELETE repository": lambda world: world.at("DELETE", f"/api/v1/repositories/{REPOSITORY}"),
    "GET history": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/history"),
    "POST restore": lambda world: world.at(
        "POST", f"/api/v1/repositories/{REPOSITORY}/-/restore", json={"at": "2026-01-31T12:00:00Z", "dry_run": True}
    ),
    "POST purge": lambda world: world.at("POST", f"/api/v1/repositories/{REPOSITORY}/-/purge", json={"all": True}),
    "POST restore-repository": lambda world: world.deleted("restore-repository"),
    "POST purge-repository": lambda world: world.deleted("purge-repository"),
    "GET deleted repositories of the namespace": lambda world: world.at(
        "GET", "/api/v1/deleted/repositories?namespace=team"
    ),
    "GET deleted tags of the namespace": lambda world: world.at("GET", "/api/v1/deleted/tags?namespace=team"),
    "GET all deleted repositories": lambda world: world.at("GET", "/api/v1/deleted/repositories"),
    "PATCH undo of all the namespace": lambda world: world.at(
        "PATCH", "/api/v1/namespaces/team", json={"undo_seconds": 86400}
    ),
    "PATCH repository": lambda world: world.at(
        "PATCH", f"/api/v1/repositories/{REPOSITORY}", json={"keep_untagged": True}
    ),
    "POST move": lambda world: world.at(
        "POST", f"/api/v1/repositories/{REPOSITORY}/-/move", json={"to": "team/moved", "dry_run": True}
    ),
    "PUT quota": lambda world: world.at("PUT", "/api/v1/namespaces/team/quota", json={"bytes": 10**12}),
    "GET quota": lambda world: world.at("GET", "/api/v1/namespaces/team/quota"),
    "DELETE quota": lambda world: world.at("DELETE", "/api/v1/namespaces/team/quota"),
    "GET quotas": lambda world: world.at("GET", "/api/v1/quotas"),
    "GET gc": lambda world: world.at("GET", "/api/v1/gc"),
    "GET gc of a repository": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/gc"),
    "GET repositories with figures": lambda world: world.at("GET", "/api/v1/repositories"),
    "GET figures of a repository": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}"),
    "GET tags with figures": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/tags"),
    "GET figures of a tag": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/tags/v1"),
    "GET figures of a manifest": lambda world: world.at(
        "GET", f"/api/v1/repositories/{REPOSITORY}/-/manifests/{world.image.digest}"
    ),
    "GET config of a manifest": lambda world: world.at(
        "GET", f"/api/v1/repositories/{REPOSITORY}/-/manifests/{world.image.digest}/config"
    ),
    "GET figures of the namespace": lambda world: world.at("GET", "/api/v1/namespaces/team"),
    "GET days of a repository": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/daily"),
    "GET days of a tag": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/tags/v1/daily"),
    "GET days of a manifest": lambda world: world.at(
        "GET", f"/api/v1/repositories/{REPOSITORY}/-/manifests/{world.image.digest}/daily"
    ),
    "GET days of the namespace": lambda world: world.at("GET", "/api/v1/namespaces/team/daily"),
    "GET days of all repositories": lambda world: world.at("GET", "/api/v1/usage/daily"),
    "POST recount of all figures": lambda world: world.add("usage/recount"),
    "GET ranking of the namespace": lambda world: world.at("GET", "/api/v1/rankings/largest?namespace=team"),
    "GET all namespaces": lambda world: world.at("GET", "/api/v1/namespaces"),
    "GET all usage": lambda world: world.at("GET", "/api/v1/usage"),
    "GET ranking of all repositories": lambda world: world.at("GET", "/api/v1/rankings/largest"),
    "GET grants of the namespace": lambda world: world.at("GET", "/api/v1/grants?namespace=team"),
    "POST grant in the namespace": lambda world: world.add(
        "grants", principal=world.robot("other"), repositories="team/x/*", role="admin", namespace="other"
    ),
    "DELETE grant in the namespace": lambda world: world.at("DELETE", f"/api/v1/grants/{world.grant('team/*')}"),
    "GET rules of the namespace": lambda world: world.at("GET", "/api/v1/rules?namespace=team"),
    "POST rule in the namespace": lambda world: world.add(
        "rules", name=_new(), kind="exempt", repositories="team/none", position=1
    ),
    "GET retention policies of the namespace": lambda world: world.at(
        "GET", "/api/v1/retention/policies?namespace=team"
    ),
    "PUT retention policy of the namespace": lambda world: world.at(
        "PUT", f"/api/v1/retention/policies/{_new()}", json={**_TIDY, "repositories": "team/**", "position": 1}
    ),
    "GET retention policy of the namespace": lambda world: world.at(
        "GET", f"/api/v1/retention/policies/{world.policy()}"
    ),
    "DELETE retention policy of the namespace": lambda world: world.at(
        "DELETE", f"/api/v1/retention/policies/{world.policy()}"
    ),
    "POST retention plan of the namespace": lambda world: world.add("retention/plans", policy=world.policy()),
    "GET retention runs of the namespace": lambda world: world.at("GET", "/api/v1/retention/runs?namespace=team"),
    "GET retention run of the namespace": lambda world: world.at("GET", f"/api/v1/retention/runs/{world.plan()}"),
    "GET verdicts of a retention run of the namespace": lambda world: world.at(
        "GET", f"/api/v1/retention/runs/{world.plan()}/verdicts"
    ),
    "POST decision on a retention run of the namespace": lambda world: world.add(f"retention/runs/{world.plan()}/drop"),
    "GET retention of a tag": lambda world: world.at("GET", f"/api/v1/repositories/{REPOSITORY}/-/tags/v1/retention"),
    "GET robots of the namespace": lambda world: world.at("GET", "/api/v1/principals?namespace=team"),
    "POST robot of the namespace": lambda world: world.add(
        "principals", kind="robot", name=f"team+{_new()}", namespace="team"
    ),
    "DELETE robot of the namespace": lambda world: world.at("DELETE", f"/api/v1/principals/{world.robot('team')}"),
    "POST secret of its robot": lambda world: world.add(f"principals/{world.robot('team')}/secrets", name="x"),
    "POST trusted publisher of its robot": lambda world: world.add(
        f"principals/{world.robot('team')}/trusted_publishers", issuer="https://gitlab.com", claims={"project_id": "1"}
    ),
    "GET trail of the namespace": lambda world: world.at("GET", "/api/v1/audit?namespace=team"),
    "GET events of the namespace": lambda world: world.at("GET", "/api/v1/events?namespace=team&after=0"),
    "GET subscriptions of the namespace": lambda world: world.at("GET", "/api/v1/subscriptions?namespace=team"),
    "POST subscription in the namespace": lambda world: world.add(
        "subscriptions", name=_new(), repositories="team/**", target="poll"
    ),
    "GET subscription of the namespace": lambda world: world.at(
        "GET", f"/api/v1/subscriptions/{world.subscription('team/**')}"
    ),
    "PATCH subscription of the namespace": lambda world: world.at(
        "PATCH", f"/api/v1/subscriptions/{world.subscription('team/**')}", json={"tags": "v*"}
    ),
    "POST secret of a subscription of the namespace": lambda world: world.add(
        f"subscriptions/{world.subscription('team/**')}/secret"
    ),
    "POST test of a subscription of the namespace": lambda world: world.add(
        f"subscriptions/{world.subscription('team/**')}/test"
    ),
    "POST redelivery to a subscription of the namespace": lambda world: world.add(
        f"subscriptions/{world.subscription('team/**')}/redeliver", dead=True
    ),
    "GET deliveries to a subscription of the namespace": lambda world: world.at(
        "GET", f"/api/v1/subscriptions/{world.subscription('team/**')}/deliveries"
    ),
    "DELETE subscription of the namespace": lambda world: world.at(
        "DELETE", f"/api/v1/subscriptions/{world.subscription('team/**')}"
    ),
    "POST link to the console": lambda world: world.add("console/links"),
    "GET who asks": lambda world: world.at("GET", "/api/v1/whoami"),
    "GET search": lambda world: world.at("GET", "/api/v1/search?q=app"),
    "GET explanation in the namespace": lambda world: world.at(
        "GET", f"/api/v1/explain?action=push&repository={REPOSITORY}"
    ),
    "GET explanation beyond": lambda world: world.at("GET", "/api/v1/explain?action=push&repository=other/app"),
    "POST run of the collection": lambda world: world.add("gc/runs"),
    "GET all backups": lambda world: world.at("GET", "/api/v1/backups"),
    "POST backup beyond": lambda world: world.add("backups"),
    "GET backup beyond": lambda world: world.at("GET", f"/api/v1/backups/{world.backup()}"),
    "POST drill of a backup beyond": lambda world: world.add(f"backups/{world.backup()}/drills"),
    "GET background migrations": lambda world: world.at("GET", "/api/v1/background-migrations"),
    "GET background migration": lambda world: world.at("GET", "/api/v1/background-migrations/tag_subjects"),
    "POST act on a background migration": lambda world: world.add(f"background-migrations/{world.migration()}/pause"),
    "GET all checks": lambda world: world.at("GET", "/api/v1/checks"),
    "POST check": lambda world: world.start_check(),
    "GET check": lambda world: world.at("GET", f"/api/v1/checks/{world.check()}"),
    "POST stop of a check": lambda world: world.add(f"checks/{world.running_check()}/stop"),
    "POST undo of a check": lambda world: world.add(f"checks/{world.check()}/undo"),
    "GET findings": lambda world: world.at("GET", "/api/v1/findings"),
    "GET all imports": lambda world: world.at("GET", "/api/v1/imports"),
    "POST import beyond": lambda world: world.add("imports", address=f"https://{_new()}.example.com"),
    "GET import beyond": lambda world: world.at("GET", f"/api/v1/imports/{world.source()}"),
    "PATCH import beyond": lambda world: world.at("PATCH", f"/api/v1/imports/{world.source()}", json={"workers": 2}),
    "POST act on an import beyond": lambda world: world.add(f"imports/{world.source()}/pause"),
    "POST events of an import beyond": lambda world: world.add(f"imports/{world.source()}/events", events=[]),
    "GET repositories of an import beyond": lambda world: world.at(
        "GET", f"/api/v1/imports/{world.source()}/repositories"
    ),
    "GET problems of an import beyond": lambda world: world.at("GET", f"/api/v1/imports/{world.source()}/problems"),
    "DELETE import beyond": lambda world: world.at("DELETE", f"/api/v1/imports/{world.source()}"),
    "GET all grants": lambda world: world.at("GET", "/api/v1/grants"),
    "POST grant beyond": lambda world: world.add("grants", principal=None, repositories="t*/**", role="reader"),
    "POST rule beyond": lambda world: world.add(
        "rules", name=_new(), kind="exempt", repositories="**/none", position=1
    ),
    "GET all retention policies": lambda world: world.at("GET", "/api/v1/retention/policies"),
    "PUT retention policy beyond": lambda world: world.at(
        "PUT", f"/api/v1/retention/policies/{_new()}", json={**_TIDY, "repositories": "**", "position": 1}
    ),
    "GET all retention runs": lambda world: world.at("GET", "/api/v1/retention/runs"),
    "GET all events": lambda world: world.at("GET", "/api/v1/events?after=0"),
    "GET all subscriptions": lambda world: world.at("GET", "/api/v1/subscriptions"),
    "POST subscription beyond": lambda world: world.add(
        "subscriptions", name=_new(), repositories="t*/**", target="poll"
    ),
    "POST subscription to a topic beyond": lambda world: world.add(
        "subscriptions", name=_new(), repositories="t*/**", target="projects/a-project/topics/a-topic"
    ),
    "GET subscription beyond": lambda world: world.at("GET", f"/api/v1/subscriptions/{world.subscription('other/**')}"),
    "POST user": lambda world: world.add("principals", kind="user", name=_new()),
    "POST secret of another robot": lambda world: world.add(f"principals/{world.robot('other')}/secrets", name="x"),
    "GET all of the trail": lambda world: world.at("GET", "/api/v1/audit"),
}


def new_world(registry: Guarded, secrets: dict[str, str]) -> World:
    """The repository made anew by an administrator."""
    owner = World(registry, Image(), Digest.of(b"loose"), _headers(registry, secrets, "administrator"))
    for content in (*owner.image.blobs, b"loose"):
        assert owner.ask("POST", f"blobs/uploads/?digest={Digest.of(content)}", data=content).status_code == 201
    pushed = owner.ask("PUT", "manifests/v1", data=owner.image.manifest, content_type=OCI_MANIFEST)
    assert pushed.status_code == 201, pushed.text
    return owner


def seen_by(person: str, world: World, secrets: dict[str, str]) -> World:
    return replace(world, headers=_headers(world.registry, secrets, person))


def outcomes_of(registry: Guarded) -> dict[tuple[str, str], int]:
    """The status of every operation for everybody. What has changed the world is followed by a new one.

    In one world everybody signs in once.
    """
    secrets = people(registry)
    outcomes = {}
    world, seen = new_world(registry, secrets), dict[str, World]()
    for (name, ask), person in itertools.product(OPERATIONS.items(), PEOPLE):
        if person not in seen:
            seen[person] = seen_by(person, world, secrets)
        status = ask(seen[person]).status_code
        outcomes[name, person] = status
        if status < 400 and not name.startswith(("GET", "HEAD")):
            world, seen = new_world(registry, secrets), {}
    return outcomes


def _headers(registry: Guarded, secrets: dict[str, str], person: str) -> dict[str, str]:
    """Makes a token for everything that can be asked for: what isn't granted is missing in it."""
    name = person.replace(" ", "-")
    token = registry.token(name if person in secrets else None, secrets.get(person), _ALL, "registry:catalog:*")
    return registry.as_bearer(token)


def people(registry: Guarded) -> dict[str, str]:
    """Everybody but the anonymous, and their secrets."""
    robots = {role: registry.robot(role, (REPOSITORY, role)) for role in ROLES}
    return {
        **robots,
        "no role": registry.robot("no-role", ("elsewhere/**", "admin")),
        "namespace admin": registry.robot("namespace-admin", ("team/**", "admin")),
        "administrator": registry.robot("administrator", is_admin=True),
    }


def table(outcomes: dict[tuple[str, str], int]) -> Iterator[str]:
    """Writes it as Markdown."""
    yield "| operation | " + " | ".join(PEOPLE) + " |"
    yield "|---|" + "---|" * len(PEOPLE)
    for operation in OPERATIONS:
        cells: Sequence[str] = [str(outcomes[operation, person]) for person in PEOPLE]
        yield f"| {operation} | " + " | ".join(cells) + " |"
