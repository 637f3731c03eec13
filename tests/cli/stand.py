"""A registry behind a socket, stocked with what the examples of the help name, and the command line beside it."""

from __future__ import annotations

import base64
import io
import json
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from functions.registry.auth import accounts, webhook_secrets
from functions.registry.auth.accounts import AddedSecret, NewAccount
from functions.registry.auth.federation import GITHUB
from functions.registry.metadata.access import grants, rules
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.checks import checks
from functions.registry.metadata.content import removal
from functions.registry.metadata.db import Database
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.retention import plans, policies, progress
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.retention import applying, planning
from slipway_cli.main import run
from tests.background.building import register
from tests.backups.rows import sealed
from tests.conftest import ROOT
from tests.metadata import build
from tests.security.people import Guarded
from tests.statements import of_tests
from tests.support import Image, descriptor

APP: Final = Image(config=b"{}", layers=(b"a layer of some bytes",))
SIGNATURE: Final = Image(b"{}", (), {"subject": descriptor(APP.manifest, OCI_MANIFEST)})
RUNNING_CHECK: Final = "RUNNING-CHECK-ID"
PASSWORD: Final = "correct horse battery"


@dataclass
class Server:
    """What was asked of it is in `asked`: method, path, status."""

    address: str = ""
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Nothing: tests look at `asked`."""


@contextmanager
def serve(application: Callable[..., Iterable[bytes]]) -> Iterator[Server]:
    server = Server()

    def recording(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def started(status: str, *rest: Any) -> Any:
            server.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], int(status[:3])))
            return start(status, *rest)

        return application(environ, started)

    listening = make_server("127.0.0.1", 0, recording, threaded=True, request_handler=_Quiet)
    server.address = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)


@dataclass(frozen=True)
class Stocked:
    """What stands for ids that nobody knows before, the administrator's secret, and the files at home."""

    names: dict[str, str]
    admin_secret: str = field(repr=False)
    files: dict[str, bytes] = field(repr=False)


@dataclass
class Stand:
    registry: Guarded
    server: Server
    home: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    # What stands in the examples for ids that nobody knows before.
    names: dict[str, str] = field(default_factory=dict)
    admin_secret: str = field(default="", repr=False)

    def __call__(self, *arguments: str, given: str = "") -> Ended:
        """Runs `slipway` with these arguments, in this process."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(given))
        self.capsys.readouterr()
        code = run(list(arguments))
        said = self.capsys.readouterr()
        # The function answers from this process too, and logs its requests to stdout.
        out = "".join(line for line in said.out.splitlines(keepends=True) if not line.startswith('{"severity"'))
        return Ended(code, out, said.err)

    def line(self, example: str, *more: str) -> Ended:
        """Runs a line as it is typed, with `<` and `>`."""
        if RUNNING_CHECK in example:
            self.names[RUNNING_CHECK] = str(checks.start(self.registry.services.database, None, {}).id)
        words = [self.names.get(word, word) for word in shlex.split(example)]
        assert words[0] == "slipway"
        given, target = "", None
        if "<" in words:
            given = (self.home / words[words.index("<") + 1]).read_text()
            del words[words.index("<") :]
        if ">" in words:
            target = self.home / words[words.index(">") + 1]
            del words[words.index(">") :]
        ended = self(*words[1:], *more, given=given)
        if target is not None:
            target.write_text(ended.out)
        return ended

    def sign_in(self, name: str, secret: str) -> None:
        """Stores the secret as `docker login` does."""
        auth = base64.b64encode(f"{name}:{secret}".encode()).decode()
        folder = self.home / ".docker"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"auths": {self.server.host: {"auth": auth}}}))

    def sign_in_as_admin(self) -> None:
        self.sign_in("admin", self.admin_secret)

    def sign_out(self) -> None:
        (self.home / ".docker" / "config.json").unlink()

    def add_secret(self, principal: Principal) -> AddedSecret:
        services = self.registry.services
        return accounts.add_secret(services.database, principal, "runner", services.settings.pepper)

    def stock(self) -> None:
        """What the examples name."""
        services = self.registry.services
        database = services.database
        admin = accounts.create(database, NewAccount("user", "admin", is_admin=True))
        self.admin_secret = self.add_secret(admin).text
        self.sign_in_as_admin()
        accounts.create(database, NewAccount("user", "alice", password=PASSWORD))
        robot = accounts.create(database, NewAccount("robot", "ci"))
        secret = self.add_secret(robot)
        publisher = accounts.add_trusted_publisher(database, robot, GITHUB, {"repository_id": "42"}, services.settings)
        self.names = {
            "HOST": self.server.host,
            "team/app@DIGEST": f"team/app@{APP.digest}",
            "SECRET-ID": secret.id,
            "PUBLISHER-ID": str(publisher),
            "GRANT-ID": str(grants.add(database, robot.id, "team/*", "maintainer")),
            "RULE-ID": str(rules.add(database, NewRule("releases-of-others", 1, "immutable", "others/*"))),
        }
        register(database, name="'split_names'")
        register(database, name="'failed_names'", state="'failed'")
        self.names |= {"IMPORT-ID": str(_moved_in(database)), "NEW-IMPORT-ID": str(_named(database))}
        self.names["BACKUP-ID"] = str(sealed(database))
        deployer = NewSubscription(
            name="deployer",
            repositories="team/**",
            target="https://hooks.example.com/deploy",
            created_by="user:admin",
            secret=webhook_secrets.sealed(services.settings.pepper, webhook_secrets.make()),
        )
        subscriptions.add(database, deployer)
        self.names["CHECK-ID"] = _checked(database)
        grants.add(database, None, "**", "reader")
        grants.add(database, accounts.create(database, NewAccount("user", "dave")).id, "others/**", "admin")
        quotas.put(database, Quota("team", 10**12, None))
        policies.put(database, _TIDY, "user:admin", 10, 0, is_seen=True)
        self.names |= {"RETENTION-RUN": str(_planned(database)), "RETENTION-PLAN": str(_planned(database))}
        self.names["RETENTION-DONE"] = str(_planned(database))
        assert progress.begin(database, int(self.names["RETENTION-DONE"]), "user:admin")
        assert applying.apply_until(database, 60, int(self.names["RETENTION-DONE"]), time.monotonic() + 60)
        loaded = {"name": "others", "repositories": "others/**", "rules": _TIDY.rules}
        (self.home / "retention.json").write_text(json.dumps({"policies": [loaded]}))
        page = (ROOT / "docs" / "lifecycle.md").read_text()
        (self.home / "retention.toml").write_text(page.split("```toml\n")[1].split("```")[0])
        (self.home / "secret.txt").write_text(f"{secret.text}\n")
        (self.home / "header.txt").write_text("a token that the receiver knows\n")
        (self.home / "password.txt").write_text("another good password\n")

    def stocked(self) -> Stocked:
        """All that has been made so far, beside what is in the registry."""
        files = {str(each.relative_to(self.home)): each.read_bytes() for each in self.home.rglob("*") if each.is_file()}
        return Stocked(self.names, self.admin_secret, files)

    def put_back(self, stocked: Stocked) -> None:
        self.names, self.admin_secret = stocked.names, stocked.admin_secret
        for name, content in stocked.files.items():
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_bytes(content)

    def push(self) -> None:
        """Repositories with tags, a signature, and something that no tag names."""
        headers = self.registry.as_bearer(self._token("team/app", "team/old"))
        for repository, tags in {"team/app": ("v1", "v2", "old", "older"), "team/old": ("1",)}.items():
            for blob in APP.blobs:
                self._put("POST", f"/v2/{repository}/blobs/uploads/", blob, headers)
            for tag in tags:
                self._put("PUT", f"/v2/{repository}/manifests/{tag}", APP.manifest, headers)
        self._put("PUT", f"/v2/team/app/manifests/{SIGNATURE.digest}", SIGNATURE.manifest, headers)
        self._delete()

    def _delete(self) -> None:
        """A tag and a repository that can be put back."""
        database = self.registry.services.database
        build.set_grace(database, undo=168)
        for gone in (RepositoryName("team/gone"), RepositoryName("team/mistake")):
            for blob in APP.blobs:
                build.push_blob(database, gone, blob)
            build.put(database, gone, APP.manifest, "1")
            removal.remove(database, gone)
        build.put(database, RepositoryName("team/app"), APP.manifest, "gone")
        removal.delete_tags(database, RepositoryName("team/app"), [Tag("gone")])

    def _put(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> None:
        if method == "POST":
            answer = self.registry.request(method, f"{path}?digest={Digest.of(content)}", data=content, headers=headers)
        else:
            answer = self.registry.request(method, path, data=content, content_type=OCI_MANIFEST, headers=headers)
        assert answer.status_code == 201, answer.text

    def _token(self, *repositories: str) -> str:
        auth = json.loads((self.home / ".docker" / "config.json").read_text())["auths"][self.server.host]["auth"]
        name, _, secret = base64.b64decode(auth).decode().partition(":")
        return self.registry.token(name, secret, *(f"repository:{each}:pull,push" for each in repositories))


def _moved_in(database: Database) -> int:
    """An import that all is here of, and whose tags are all this registry's to decide about."""
    source = sources.add(database, NewSource("layout", "gs://older-bucket"))
    sources.open_up(database, source.id)
    sources.set_mode(database, source.id, "lead")
    database.count(_ALL_HERE(id=source.id))
    database.count(_OF_IT(id=source.id))
    return source.id


def _planned(database: Database) -> int:
    """A plan that is ready; it finds nothing, for what is there is new."""
    document = {"name": "tidy", "repositories": "team/**", "position": 1, "rules": _TIDY.rules, "new_for": 3600}
    known = policies.get(database, "tidy")
    assert known is not None
    plan = plans.add(database, NewPlan(known.id, "tidy", "team", known.revision, document, None), "user:admin")
    assert planning.make(database, 60, time.monotonic() + 60, plan)
    return plan


def _checked(database: Database) -> str:
    check = checks.start(database, None, {})
    checks.stop(database, check.id, "it is over")
    return str(check.id)


def _named(database: Database) -> int:
    return sources.add(database, NewSource("registry", "https://older.example.com")).id


_TIDY: Final = NewPolicy("tidy", 1, "team/**", "enforce", [{"tags": "*", "keep": {"newest": 1}}], 3600, 30, 5000)
_ALL_HERE: Final = of_tests(
    "tests_all_here", int, "UPDATE import_sources SET state = 'open', listed_at = now() WHERE id = :id"
)
_OF_IT: Final = of_tests(
    "tests_of_it",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, state, imported_at)
    VALUES (:id, 'others/moved', 'others/moved', 'imported', now())
    """,
)
