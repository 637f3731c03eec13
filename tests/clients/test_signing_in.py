"""Every client against a registry in token mode: it signs in, pushes, pulls, and is refused what it may not do.

Clients connect straight to the registry: the token endpoint's address is the registry's own.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.clients.command import Client, CommandFailedError, isolated_environment
from tests.clients.content import MIB, Layout, digest_of, make_archive, make_image
from tests.clients.engine import containerd_engine, docker_engine, require_root, temporary_folder
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.server import Registry, admin_secret, start_registry
from tests.clients.test_helm import package
from tests.clients.wire import wire_to

pytestmark = [pytest.mark.clients, pytest.mark.operations("login", "push", "pull", "refused push")]

_SECONDS: Final = 30
# In the words of one client or another.
_REFUSED: Final = r"(?i)denied|unauthorized|authentication required|request for authentication|forbidden|40[13]"


@dataclass(frozen=True, slots=True)
class Account:
    """A robot and its secret; `reference` is the repository that the test works in, `tag` what it pushes and pulls."""

    name: str
    secret: str
    reference: str
    tag: str = "one"

    @property
    def address(self) -> str:
        return self.reference.partition("/")[0]

    @property
    def repository(self) -> Repository:
        return Repository(self.address, self.reference.partition("/")[2])

    @property
    def credentials(self) -> str:
        return f"{self.name}:{self.secret}"


@pytest.fixture(scope="session")
def guarded() -> Iterator[tuple[Registry, str]]:
    """A registry in token mode and its administrator's secret."""
    with (
        temporary_folder() as folder,
        start_registry("redirect", folder / "data", {"SLIPWAY_ACCESS": "token"}) as started,
    ):
        yield started, admin_secret(folder / "data")


@pytest.fixture
def accounts(guarded: tuple[Registry, str], request: pytest.FixtureRequest) -> tuple[Account, Account]:
    """One who may push and one who may only pull."""
    registry, secret = guarded
    space = f"signed-{secrets.token_hex(4)}"

    def administer(path: str, document: dict[str, object]) -> dict[str, str]:
        answer = requests.post(
            f"http://{registry.address}/api/v1/{path}", json=document, auth=("admin", secret), timeout=_SECONDS
        )
        assert answer.status_code == 201, answer.text
        made: dict[str, str] = answer.json()
        return made

    def account(role: str) -> Account:
        name = f"{role}-{space}"
        administer("principals", {"kind": "robot", "name": name})
        administer("grants", {"principal": name, "repositories": f"{space}/**", "role": role})
        made = administer(f"principals/{name}/secrets", {"name": request.node.name[:60]})
        return Account(name, made["secret"], f"{registry.address}/{space}/app")

    return account("writer"), account("reader")


def check(
    accounts: tuple[Account, Account], push: Callable[[Account], object], pull: Callable[[Account], object]
) -> None:
    """Who may write pushes; who may read pulls that, and is told why it can't push."""
    writer, reader = accounts
    push(writer)
    pull(reader)
    with pytest.raises(CommandFailedError, match=_REFUSED):
        # To another tag: some clients see that the first is what they would push, and do nothing.
        push(replace(reader, tag="two"))
    stranger = replace(writer, secret=f"{writer.secret[:-6]}000000")
    with pytest.raises(CommandFailedError):
        pull(stranger)


def token_of(account: Account) -> str:
    """Asks for a token in the name of a client that can't do it itself."""
    query = {"service": "slipway", "scope": f"repository:{account.repository.name}:pull,push"}
    answer = requests.get(
        f"http://{account.address}/token", query, auth=(account.name, account.secret), timeout=_SECONDS
    )
    token: str = answer.json().get("token", "none")
    return token


def home(environment: dict[str, str], folder: Path, account: Account) -> dict[str, str]:
    """A home of the account's own: logins are kept there."""
    return {**environment, **isolated_environment(folder / account.name / account.secret[-6:])}


@pytest.mark.client("docker")
def test_docker(accounts: tuple[Account, Account], layout: Layout, folder: Path) -> None:
    image = make_image(layout)
    with docker_engine() as docker:

        def sign_in(account: Account) -> Client:
            client = Client(docker.program, home(dict(docker.environment), folder, account), docker.always)
            client.run(
                "login",
                f"--username={account.name}",
                "--password-stdin",
                account.address,
                given=account.secret.encode(),
            )
            return client

        def push(account: Account) -> None:
            name = f"{account.reference}:{account.tag}"
            archive = make_archive(layout, image, name, folder / "archive.tar")
            docker.run("load", "--input", archive)
            sign_in(account).run("push", name)
            docker.run("rmi", "--force", name)

        def pull(account: Account) -> None:
            sign_in(account).run("pull", f"{account.reference}:{account.tag}")

        check(accounts, push, pull)


@pytest.mark.client("ctr")
def test_containerd(accounts: tuple[Account, Account], layout: Layout, folder: Path) -> None:
    image = make_image(layout)
    with containerd_engine() as ctr:

        def push(account: Account) -> None:
            archive = make_archive(layout, image, f"{account.reference}:one", folder / "archive.tar")
            ctr.run("images", "import", "--no-unpack", f"--base-name={account.reference}", archive)
            if account.tag != "one":
                ctr.run("images", "tag", "--force", f"{account.reference}:one", f"{account.reference}:{account.tag}")
            ctr.run(
                "images", "push", "--plain-http", f"--user={account.credentials}", f"{account.reference}:{account.tag}"
            )

        def pull(account: Account) -> None:
            ctr.run("images", "rm", "--sync", f"{account.reference}:{account.tag}")
            ctr.run(
                "images", "pull", "--plain-http", f"--user={account.credentials}", f"{account.reference}:{account.tag}"
            )

        check(accounts, push, pull)


@pytest.mark.client("podman")
def test_podman(accounts: tuple[Account, Account], layout: Layout, folder: Path, environment: dict[str, str]) -> None:
    require_root()
    make_image(layout)
    own = (f"--root={folder}/root", f"--runroot={folder}/run", "--cgroup-manager=cgroupfs")
    podman = Client(require_program("podman"), environment, own)
    identity = podman.run("pull", "--quiet", layout.reference("one")).strip()

    def sign_in(account: Account) -> None:
        podman.run(
            "login", "--tls-verify=false", f"--username={account.name}", "--password-stdin", account.address,
            given=account.secret.encode(),
        )  # fmt: skip

    def push(account: Account) -> None:
        sign_in(account)
        podman.run("push", "--tls-verify=false", identity, f"docker://{account.reference}:{account.tag}")

    def pull(account: Account) -> None:
        sign_in(account)
        podman.run("pull", "--tls-verify=false", f"docker://{account.reference}:{account.tag}")

    check(accounts, push, pull)


@pytest.mark.client("buildah")
def test_buildah(accounts: tuple[Account, Account], layout: Layout, folder: Path, environment: dict[str, str]) -> None:
    require_root()
    make_image(layout)
    buildah = Client(require_program("buildah"), environment, (f"--root={folder}/root", f"--runroot={folder}/run"))
    identity = buildah.run("pull", "--quiet", layout.reference("one")).strip()

    def push(account: Account) -> None:
        target = f"docker://{account.reference}:{account.tag}"
        buildah.run("push", "--tls-verify=false", f"--creds={account.credentials}", identity, target)

    def pull(account: Account) -> None:
        source = f"docker://{account.reference}:{account.tag}"
        buildah.run("pull", "--tls-verify=false", "--policy=always", f"--creds={account.credentials}", source)

    check(accounts, push, pull)


@pytest.mark.client("skopeo")
def test_skopeo(accounts: tuple[Account, Account], layout: Layout, folder: Path, skopeo: Client) -> None:
    make_image(layout)

    def push(account: Account) -> None:
        where = (layout.reference("one"), f"docker://{account.reference}:{account.tag}")
        skopeo.run("copy", "--dest-tls-verify=false", f"--dest-creds={account.credentials}", *where)

    def pull(account: Account) -> None:
        where = (f"docker://{account.reference}:{account.tag}", f"oci:{folder}/back:one")
        skopeo.run("copy", "--src-tls-verify=false", f"--src-creds={account.credentials}", *where)

    check(accounts, push, pull)


@pytest.mark.client("crane")
def test_crane(accounts: tuple[Account, Account], layout: Layout, folder: Path, environment: dict[str, str]) -> None:
    make_image(layout)

    def sign_in(account: Account) -> Client:
        crane = Client(require_program("crane"), home(environment, folder, account), ("--insecure",))
        crane.run("auth", "login", account.address, f"--username={account.name}", f"--password={account.secret}")
        return crane

    def push(account: Account) -> None:
        sign_in(account).run("push", layout.folder, f"{account.reference}:{account.tag}")

    def pull(account: Account) -> None:
        sign_in(account).run("pull", "--format=oci", f"{account.reference}:{account.tag}", folder / "back")

    check(accounts, push, pull)


@pytest.mark.client("regctl")
def test_regctl(accounts: tuple[Account, Account], layout: Layout, folder: Path, environment: dict[str, str]) -> None:
    make_image(layout)

    def sign_in(account: Account) -> Client:
        given = f"reg={account.address},tls=disabled,user={account.name},pass={account.secret}"
        return Client(require_program("regctl"), home(environment, folder, account), ("--host", given))

    def push(account: Account) -> None:
        sign_in(account).run("image", "copy", f"ocidir://{layout.folder}:one", f"{account.reference}:{account.tag}")

    def pull(account: Account) -> None:
        sign_in(account).run("image", "copy", f"{account.reference}:{account.tag}", f"ocidir://{folder}/back:one")

    check(accounts, push, pull)


@pytest.mark.client("regctl")
def test_regctl_deletes_no_tag_of_a_kept_repository(
    accounts: tuple[Account, Account],
    guarded: tuple[Registry, str],
    layout: Layout,
    folder: Path,
    environment: dict[str, str],
) -> None:
    """Where DELETE is refused it pushes an empty image over the tag, and deletes that: the push is refused too."""
    image, (writer, _) = make_image(layout), accounts
    registry, secret = guarded
    given = f"reg={writer.address},tls=disabled,user={writer.name},pass={writer.secret}"
    regctl = Client(require_program("regctl"), home(environment, folder, writer), ("--host", given))
    name = f"{writer.reference}:{writer.tag}"
    regctl.run("image", "copy", f"ocidir://{layout.folder}:one", name)
    rule = {"name": writer.name, "kind": "delete_protected", "repositories": writer.repository.name, "role": "admin"}
    answer = requests.post(
        f"http://{registry.address}/api/v1/rules", json=rule, auth=("admin", secret), timeout=_SECONDS
    )
    assert answer.status_code == 201, answer.text
    with pytest.raises(CommandFailedError, match=_REFUSED):
        regctl.run("tag", "delete", name)
    assert regctl.run("image", "digest", name).strip() == image.digest


@pytest.mark.client("crane")
def test_crane_reads_why_a_large_upload_was_refused(
    accounts: tuple[Account, Account], layout: Layout, folder: Path, environment: dict[str, str]
) -> None:
    """The token ends before 30 MiB are under way: the answer comes although nobody reads them, and it asks for another
    one. What it then sends it has read to the end already: whether it goes on is its own affair.
    """
    make_image(layout, [30 * MIB])
    writer, _ = accounts
    with wire_to(writer.address) as wire:
        crane = Client(require_program("crane"), home(environment, folder, writer), ("--insecure",))
        crane.run("auth", "login", wire.address, f"--username={writer.name}", f"--password={writer.secret}")
        wire.spoil_next_upload()
        name = f"{wire.address}/{writer.repository.name}:{writer.tag}"
        with suppress(CommandFailedError):
            crane.run("push", layout.folder, name)
        assert wire.has_spoiled
        seen = [(exchange.method, exchange.status) for exchange in wire.exchanges]
        refused = seen.index(("PATCH", 401))
        assert wire.exchanges[refused].sent > 29 * MIB
        # Beside it crane sends the config, whose answers come in between.
        assert any(exchange.target.startswith("/token") for exchange in wire.exchanges[refused + 1 :])


@pytest.mark.client("docker")
def test_docker_reads_why_a_large_upload_was_refused(
    accounts: tuple[Account, Account], layout: Layout, folder: Path
) -> None:
    """It goes on with another token, or says that this one was refused: no connection breaks."""
    image, (writer, _) = make_image(layout, [30 * MIB]), accounts
    with docker_engine() as docker, wire_to(writer.address) as wire:
        name = f"{wire.address}/{writer.repository.name}:{writer.tag}"
        docker.run("load", "--input", make_archive(layout, image, name, folder / "archive.tar"))
        client = Client(docker.program, home(dict(docker.environment), folder, writer), docker.always)
        login = ("login", f"--username={writer.name}", "--password-stdin", wire.address)
        client.run(*login, given=writer.secret.encode())
        wire.spoil_next_upload()
        try:
            client.run("push", name)
        except CommandFailedError as failed:
            assert re.search(_REFUSED, str(failed)), failed  # noqa: PT017  # it may also succeed
        assert wire.has_spoiled
        docker.run("rmi", "--force", name)


@pytest.mark.client("oras")
def test_oras(accounts: tuple[Account, Account], folder: Path, environment: dict[str, str]) -> None:
    (folder / "report.txt").write_text(secrets.token_hex())

    def sign_in(account: Account) -> Client:
        oras = Client(require_program("oras"), home(environment, folder, account), folder=folder)
        name = f"--username={account.name}"
        oras.run("login", "--plain-http", name, "--password-stdin", account.address, given=account.secret.encode())
        return oras

    def push(account: Account) -> None:
        sign_in(account).run("push", "--plain-http", f"{account.reference}:{account.tag}", "report.txt")

    def pull(account: Account) -> None:
        sign_in(account).run("pull", "--plain-http", f"--output={folder}/back", f"{account.reference}:{account.tag}")

    check(accounts, push, pull)


@pytest.mark.client("oras-py")
def test_oras_py(accounts: tuple[Account, Account], folder: Path, environment: dict[str, str]) -> None:
    """It asks for a token once, for what it does first, which in a push is to look: so to push it is given one."""
    steps = str(Path(__file__).with_name("oras_py_steps.py"))
    (folder / "report.txt").write_text(secrets.token_hex())

    def client(account: Account, **given: str) -> Client:
        own = {**home(environment, folder, account), **given}
        return Client(require_program("oras-py"), own, (steps,), folder=folder)

    def push(account: Account) -> None:
        given = client(account, ORAS_TOKEN=token_of(account))
        given.run("push", f"{account.reference}:{account.tag}", "report.txt")

    def pull(account: Account) -> None:
        signed_in = client(account, ORAS_USER=account.name, ORAS_PASSWORD=account.secret)
        signed_in.run("pull", f"{account.reference}:{account.tag}", folder / "back")

    check(accounts, push, pull)


@pytest.mark.client("umoci")
def test_umoci(accounts: tuple[Account, Account], folder: Path, environment: dict[str, str], skopeo: Client) -> None:
    """It has no network: skopeo carries its images, logged in by a file that holds the credentials."""
    require_root()
    umoci = Client(require_program("umoci"), environment, folder=folder)
    umoci.run("init", "--layout=made")
    umoci.run("new", "--image=made:one")

    def sign_in(account: Account) -> str:
        file = folder / f"{account.name}-{account.secret[-6:]}.json"
        skopeo.run(
            "login", "--tls-verify=false", f"--authfile={file}", f"--username={account.name}", "--password-stdin",
            account.address, given=account.secret.encode(),
        )  # fmt: skip
        return f"--authfile={file}"

    def push(account: Account) -> None:
        target = f"docker://{account.reference}:{account.tag}"
        skopeo.run("copy", sign_in(account), "--dest-tls-verify=false", f"oci:{folder}/made:one", target)

    def pull(account: Account) -> None:
        source, back = f"docker://{account.reference}:{account.tag}", f"{folder}/{account.name}:one"
        skopeo.run("copy", sign_in(account), "--src-tls-verify=false", source, f"oci:{back}")
        umoci.run("unpack", f"--image={back}", f"{account.name}-bundle")

    check(accounts, push, pull)


@pytest.mark.client("regshape")
def test_regshape(accounts: tuple[Account, Account], folder: Path, environment: dict[str, str]) -> None:
    data = secrets.token_bytes(10_000)
    (folder / "blob.bin").write_bytes(data)
    digest = f"--digest={digest_of(data)}"

    def sign_in(account: Account) -> Client:
        program = require_program("regshape").with_name("regshape")
        regshape = Client(program, home(environment, folder, account), ("--insecure",))
        where = (f"--registry={account.address}", f"--username={account.name}")
        regshape.run("auth", "login", *where, "--password-stdin", given=account.secret.encode())
        return regshape

    def push(account: Account) -> None:
        regshape, repository = sign_in(account), f"--repo={account.reference}"
        regshape.run("blob", "upload", repository, f"--file={folder}/blob.bin", digest)

    def pull(account: Account) -> None:
        sign_in(account).run("blob", "get", f"--repo={account.reference}", digest, f"--output={folder}/back.bin")
        assert (folder / "back.bin").read_bytes() == data

    check(accounts, push, pull)


@pytest.mark.parametrize(
    "version", [pytest.param(name, marks=pytest.mark.client(name)) for name in ("helm 3", "helm 4")]
)
def test_helm(version: str, accounts: tuple[Account, Account], folder: Path, environment: dict[str, str]) -> None:
    program = require_program(version)

    def sign_in(account: Account) -> Client:
        helm = Client(program, home(environment, folder, account), folder=folder)
        name = f"--username={account.name}"
        insecure = "--plain-http" if version == "helm 4" else "--insecure"
        given = account.secret.encode()
        helm.run("registry", "login", insecure, name, "--password-stdin", account.address, given=given)
        return helm

    def push(account: Account) -> None:
        number = "1.0.0" if account.tag == "one" else "2.0.0"
        chart = package(Client(program, environment, folder=folder), folder, account.repository, number)
        sign_in(account).run("push", "--plain-http", chart, f"oci://{account.reference}")

    def pull(account: Account) -> None:
        chart = f"oci://{account.reference}/harbour"
        sign_in(account).run("pull", "--plain-http", "--version=1.0.0", f"--destination={folder}", chart)

    check(accounts, push, pull)


@pytest.mark.client("dxf")
def test_dxf(accounts: tuple[Account, Account], folder: Path, environment: dict[str, str]) -> None:
    """It sends no password over plain HTTP, so it is given a token."""

    def sign_in(account: Account) -> Client:
        token = token_of(account)
        given = {"DXF_HOST": account.address, "DXF_INSECURE": "1", "DXF_PROGRESS": "0", "DXF_TOKEN": token}
        program = require_program("dxf").with_name("dxf")
        return Client(program, {**home(environment, folder, account), **given})

    def push(account: Account) -> None:
        (folder / account.tag).write_bytes(secrets.token_bytes(10_000))
        sign_in(account).run("push-blob", account.repository.name, folder / account.tag, f"@{account.tag}")

    def pull(account: Account) -> None:
        sign_in(account).run("pull-blob", account.repository.name, f"@{account.tag}")

    check(accounts, push, pull)
