"""In the place of Google's services: a real PostgreSQL with the roles that Terraform grants, and the fakes of local/.

Programs are told what the plan tells them; only the addresses of these services are put in the place of Google's. Each
instance has a way of its own to the database. One service has no stand-in, the one that signs in an account's name:
URLs are signed with a key of the fake store instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import grpc
import requests
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage, PushConfig, Subscription

from functions.registry.events import trigger
from functions.registry.metadata.driver import Connection
from local import programs
from local.access import make_access_secrets
from local.guard import HOST, choose_port
from local.postgres import Postgres
from local.processes import Children
from local.programs import SIGNER, Data, Ports, base_environment
from tests.forgetful import Network as Way
from tests.forgetful import forgetful
from tests.rehearsal.secret_manager import SecretManager
from tests.terraform.deployment import Deployment

_DATABASE: Final = "registry"
_READY_SECONDS: Final = 60
TOKEN_KEYS: Final = "slipway-token-keys"  # the secret's name
_ADMIN_SECRET: Final = "slipway-admin-secret"  # as above


@dataclass
class Network:
    """Ways that are opened from now on lead nowhere for `closed_seconds`, and forget what was idle `idle_seconds`."""

    target: str
    ways: ExitStack
    closed_seconds: float = 0
    idle_seconds: float = math.inf
    opened: list[Way] = field(default_factory=list)

    def way(self) -> int:
        """The port of another one."""
        way = forgetful(self.target, idle_seconds=self.idle_seconds, closed_seconds=self.closed_seconds)
        self.opened.append(self.ways.enter_context(way))
        return self.opened[-1].port


@dataclass(frozen=True, slots=True)
class Cloud:
    """The services, running; `ports.api` and `ports.gc` are where the registry and garbage collection will be."""

    postgres: Postgres
    ports: Ports
    data: Data
    secrets: SecretManager
    network: Network
    channel: grpc.Channel

    @property
    def administrator(self) -> tuple[str, str]:
        newest = str(self.secrets.newest(_ADMIN_SECRET))
        return "admin", self.secrets.access(_ADMIN_SECRET, newest)

    @property
    def realm(self) -> str:
        return f"http://{HOST}:{self.ports.api}/token"

    def environment(self, deployment: Deployment, program: str) -> dict[str, str]:
        """What an instance of the program that starts now is told."""
        plain = deployment.environment(program)
        mounted = self.secrets.mounted(deployment, program)
        environment = {name: value for name, value in base_environment().items() if name != "PYTHONPATH"}
        environment |= {name: mounted.get(value, value) for name, value in plain.items()}
        environment |= self.secrets.variables(deployment, program)
        environment |= {
            "STORAGE_EMULATOR_HOST": f"http://{HOST}:{self.ports.storage}",
            "PUBSUB_EMULATOR_HOST": f"{HOST}:{self.ports.pubsub}",
            "GOOGLE_CLOUD_PROJECT": "example-registry",
            "SLIPWAY_DATABASE": self._database(urlsplit(plain["SLIPWAY_DATABASE"]).username or ""),
            # What the platform says of itself.
            "K_SERVICE": "slipway",
        }
        if "SLIPWAY_SIGNER" in plain:
            environment |= {
                "SLIPWAY_SIGNER": "hmac",
                "SLIPWAY_SIGNER_IDENTITY": SIGNER,
                "SLIPWAY_SIGNER_SECRET": self.data.signing_secret(),
                "SLIPWAY_SIGNED_URL_BASE": f"http://localhost:{self.ports.storage}",
                "SLIPWAY_TOKEN_REALM": self.realm,
            }
        return environment

    def choose_administrator(self) -> None:
        """A version of one's own, as docs/deploy.md has it: before migrate is called, and after it is deployed."""
        self.secrets.add(_ADMIN_SECRET, make_access_secrets()["SLIPWAY_ADMIN_SECRET"])

    def prepare(self, deployment: Deployment) -> None:
        """The bucket, the secrets, the topic and its push subscription, the database, the roles: all as planned."""
        made = make_access_secrets()
        self.secrets.add("slipway-pepper", made["SLIPWAY_PEPPER"])
        self.secrets.add(TOKEN_KEYS, made["SLIPWAY_TOKEN_KEYS"])
        placeholder = deployment.one("google_secret_manager_secret_version", "admin_placeholder").values
        self.secrets.add(_ADMIN_SECRET, placeholder["secret_data"])
        bucket = deployment.outputs["blob_bucket"]
        address = f"http://{HOST}:{self.ports.storage}/storage/v1/b?project=example-registry"
        requests.post(address, json={"name": bucket}, timeout=10).raise_for_status()
        topic = deployment.environment("registry")["SLIPWAY_TOPIC"]
        self._publisher().create_topic(name=topic)
        self._subscribe(deployment.one("google_pubsub_subscription", "trigger", "gc").values, topic)
        self._administer("CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB")
        for user in deployment.all("google_sql_user"):
            roles = user.values["database_roles"] or []
            self._administer(
                f'CREATE ROLE "{user.values["name"]}" LOGIN {"IN ROLE " + ", ".join(roles) if roles else ""}'
            )
        self._administer(f"CREATE DATABASE {_DATABASE} OWNER cloudsqlsuperuser")

    def publish(self, topic: str) -> None:
        """A trigger message, as the clock sends one."""
        message = PubsubMessage(data=trigger.encode(), attributes={"kind": "schedule"})
        self._publisher().publish(topic=topic, messages=[message])

    def rows(self, sql: str) -> list[list[Any]]:
        """Asks as the database's owner of everything."""
        connection = Connection(self.postgres.url(_DATABASE))
        try:
            return connection.run([(sql, {})])[0].rows
        finally:
            connection.close()

    def objects(self, bucket: str) -> set[str]:
        """The names of all that the bucket holds."""
        address = f"http://{HOST}:{self.ports.storage}/storage/v1/b/{bucket}/o"
        answer = requests.get(address, timeout=10)
        answer.raise_for_status()
        return {item["name"] for item in answer.json().get("items", [])}

    def _subscribe(self, planned: Mapping[str, Any], topic: str) -> None:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self.channel))
        endpoint = f"http://{HOST}:{self.ports.gc}/"
        subscriber.create_subscription(
            Subscription(
                name=f"{topic.rpartition('/topics/')[0]}/subscriptions/{planned['name']}",
                topic=topic,
                ack_deadline_seconds=planned["ack_deadline_seconds"],
                push_config=PushConfig(push_endpoint=endpoint),
            )
        )

    def _publisher(self) -> PublisherClient:
        return PublisherClient(transport=PublisherGrpcTransport(channel=self.channel))

    def _database(self, user: str) -> str:
        return f"postgresql://{quote(unquote(user))}@{HOST}:{self.network.way()}/{_DATABASE}"

    def _administer(self, sql: str) -> None:
        connection = Connection(self.postgres.url())
        connection.simple(sql)
        connection.close()


@contextmanager
def running_cloud(folder: Path, connections: int) -> Iterator[Cloud]:
    """Runs it with a database that takes as many connections as the planned one."""
    data = Data(folder)
    ports = Ports(*(choose_port(0) for _ in fields(Ports)))
    postgres = Postgres(data.postgres, ephemeral=True, connections=connections)
    data.signing_secret()
    children = Children()
    try:
        database = children.start(postgres.prepare())
        storage = children.start(programs.storage(data, ports))
        pubsub = children.start(programs.pubsub(data, ports))
        children.wait_until(database, postgres.is_ready, _READY_SECONDS)
        children.wait_until(storage, lambda: _answers(ports.storage), _READY_SECONDS)
        children.wait_until(pubsub, lambda: "ready" in data.log("pubsub").read_text(), _READY_SECONDS)
        with grpc.insecure_channel(f"{HOST}:{ports.pubsub}") as channel, ExitStack() as ways:
            network = Network(f"{postgres.socket_folder}/.s.PGSQL.5432", ways)
            yield Cloud(postgres, ports, data, SecretManager(folder / "secrets"), network, channel)
    finally:
        children.stop()


def most_connections(deployment: Deployment) -> int:
    """Returns what the planned database takes."""
    flags = deployment.one("google_sql_database_instance").block("settings")["database_flags"]
    return int(next(flag["value"] for flag in flags if flag["name"] == "max_connections"))


def _answers(port: int) -> bool:
    try:
        requests.get(f"http://{HOST}:{port}/", timeout=5)
    except requests.ConnectionError:
        return False
    return True


def log_lines(log: Path, message: str) -> list[dict[str, Any]]:
    """The JSON lines of a program's log that say `message`."""
    lines = (json.loads(line) for line in log.read_text(errors="replace").splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("message") == message]
