"""`make migrate-demo`: Debian's docker-registry, filled by real clients, is moved in while somebody pulls and pushes.

Prints what it did, and ends with 1 if a request failed, something differs, or a conflict was not told of.
"""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from local.programs import BUCKET
from local.stack import Options, Stack
from tests.clients.command import Client, CommandFailedError, isolated_environment
from tests.clients.content import Layout, make_image
from tests.clients.programs import PROGRAMS
from tests.imports import debian
from tests.support import Image

_REPOSITORIES: Final = 60
_TAGS: Final = 5
_PLANTED: Final = ("both-0", "both-1", "both-2")
_MEASURED: Final = 150
# How long a process may not know yet that something is being moved in.
_KNOWN_SECONDS: Final = 31.0
_PATIENCE_SECONDS: Final = 150.0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    if shutil.which("docker-registry") is None:
        say("docker-registry is not installed: apt-get install docker-registry, or .ci/install-clients")
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-migrate-demo-") as name:
        folder = Path(name)
        old = folder / "old"
        old.mkdir()
        with debian.serve(old) as address:
            used = fill(address, folder)
        say(f"docker-registry filled by {', '.join(used)}")
        with Stack(Options(0, folder / "data", ephemeral=True, access="open")) as stack:
            good = move_in(stack, old)
    say(f"took: {time.monotonic() - started:.0f} s")
    return 0 if good else 1


def fill(address: str, folder: Path) -> list[str]:
    """Fills it with whatever clients are installed, and with plain requests for the crowd. Returns who took part."""
    environment = isolated_environment(folder / "home")
    layout = Layout(folder / "layout")
    for tag in ("first", "second"):
        make_image(layout, tag=tag)
    used = []
    for name, push in _CLIENTS.items():
        program = PROGRAMS[name].find()
        if program is None:
            continue
        try:
            push(Client(program, environment, folder=folder), address, layout)
        except CommandFailedError as failed:
            say(f"{name} could not push: {str(failed).splitlines()[0]}")
        else:
            used.append(name)
    crowd(address)
    return [*used, "plain requests"]


def _skopeo(client: Client, address: str, layout: Layout) -> None:
    for tag in ("first", "second"):
        source, target = f"oci:{layout.folder}:{tag}", f"docker://{address}/team/by-skopeo:{tag}"
        client.run("--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", source, target)
        docker = ("--format", "v2s2", source, f"docker://{address}/team/by-skopeo:{tag}-docker")
        client.run("--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *docker)


def _crane(client: Client, address: str, _: Layout) -> None:
    source = f"{address}/team/by-skopeo"
    client.run("--insecure", "copy", f"{source}:first", f"{address}/team/by-crane:1")
    client.run("--insecure", "copy", f"{source}:second", f"{address}/team/by-crane:2")
    client.run("--insecure", "tag", f"{address}/team/by-crane:1", "latest")
    listed = ("-m", f"{address}/team/by-crane:1", "-m", f"{address}/team/by-crane:2")
    client.run("--insecure", "index", "append", *listed, "-t", f"{address}/team/by-crane:both")


def _oras(client: Client, address: str, _: Layout) -> None:
    assert client.folder is not None
    (client.folder / "note.txt").write_text("a note\n")
    what = ("--artifact-type", "application/vnd.example.note", "note.txt:text/plain")
    client.run("push", "--plain-http", f"{address}/team/by-oras:note", *what)
    client.run("attach", "--plain-http", f"{address}/team/by-oras:note", *what)


def _regctl(client: Client, address: str, _: Layout) -> None:
    client.run("registry", "set", address, "--tls", "disabled")
    client.run("image", "copy", f"{address}/team/by-skopeo:first", f"{address}/team/by-regctl:1")


def _helm(client: Client, address: str, _: Layout) -> None:
    client.run("create", "web")
    client.run("package", "web")
    client.run("push", "web-0.1.0.tgz", f"oci://{address}/charts", "--plain-http")


_CLIENTS: Final[dict[str, Callable[[Client, str, Layout], None]]] = {
    "skopeo": _skopeo,
    "crane": _crane,
    "oras": _oras,
    "regctl": _regctl,
    "helm 4": _helm,
}


def crowd(address: str) -> None:
    """Many repositories with many tags; some tags move, and one image has no tag."""
    for number in range(_REPOSITORIES):
        repository = f"crowd/r{number:03d}"
        images = [Image(layers=(os.urandom(300),)) for _ in range(2)]
        for image in images:
            push(address, repository, image)
        for tag in range(_TAGS):
            put(address, repository, f"v{tag}", images[tag % 2])
        put(address, repository, "v0", images[1])
    for planted in _PLANTED:
        push(address, "team/planted", Image(layers=()), planted)


def push(address: str, repository: str, image: Image, *tags: str, token: str = "") -> None:
    """Raises for any answer that is no success."""
    for content in image.blobs:
        begun = _asked("POST", address, f"/v2/{repository}/blobs/uploads/", headers=_bearing(token))
        location = begun.headers["Location"]
        url = location if location.startswith("http") else f"http://{address}{location}"
        joint = "&" if "?" in url else "?"
        sent = requests.put(
            f"{url}{joint}digest={Digest.of(content)}",
            data=content,
            headers={"Content-Type": "application/octet-stream", **_bearing(token)},
            timeout=30,
        )
        sent.raise_for_status()
    for tag in tags or (str(image.digest),):
        put(address, repository, tag, image, token=token)


def put(address: str, repository: str, reference: str, image: Image, *, token: str = "") -> None:
    headers = {"Content-Type": OCI_MANIFEST, **_bearing(token)}
    _asked("PUT", address, f"/v2/{repository}/manifests/{reference}", data=image.manifest, headers=headers)


def _bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _asked(method: str, address: str, path: str, **more: Any) -> requests.Response:
    answer = requests.request(method, f"http://{address}{path}", timeout=30, **more)
    answer.raise_for_status()
    return answer


@dataclass
class Truth:
    """What each tag of a registry names: the bytes of its manifest."""

    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)


def truth_of(address: str) -> Truth:
    truth = Truth()
    for repository in listed(address, "/v2/_catalog?n=1000", "repositories"):
        for tag in listed(address, f"/v2/{repository}/tags/list", "tags"):
            answer = debian.manifest(address, repository, tag)
            answer.raise_for_status()
            truth.manifests[repository, tag] = answer.content
    return truth


def listed(address: str, path: str, key: str) -> Iterator[str]:
    while path:
        answer = _asked("GET", address, path)
        yield from answer.json().get(key) or ()
        path = answer.links.get("next", {}).get("url", "")


@dataclass
class Busy:
    """Somebody who pulls and pushes all the time; `failed` says what went wrong, `pulls` has how long each took."""

    address: str
    truth: Truth
    failed: list[str] = field(default_factory=list)
    pulls: dict[str, list[float]] = field(default_factory=dict)
    pushed: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: int = 0
    phase: str = "before"

    def pull_own(self) -> None:
        """Pulls an image that was never anywhere else: how long it takes is measured."""
        begun = time.monotonic()
        self.ask("/v2/own/app/manifests/v1")
        self.pulls.setdefault(self.phase, []).append(time.monotonic() - begun)

    def pull_old(self) -> None:
        (repository, tag), payload = secrets.choice(list(self.truth.manifests.items()))
        answer = self.ask(f"/v2/{repository}/manifests/{tag}")
        if answer is not None and answer.content != payload:
            self.failed.append(f"{repository}:{tag} is another image")
        document = answer.json() if answer is not None else {}
        for part in [document["config"], *document["layers"]] if "config" in document else ():
            blob = self.ask(f"/v2/{repository}/blobs/{part['digest']}")
            if blob is not None and str(Digest.of(blob.content)) != part["digest"]:
                self.failed.append(f"{part['digest']} has other bytes")

    def push_old(self) -> None:
        """Into a repository of the older registry, imported by then or not."""
        repository, image = f"crowd/r{secrets.randbelow(_REPOSITORIES):03d}", Image(layers=(os.urandom(200),))
        tag = f"new-{len(self.pushed)}"
        try:
            push(self.address, repository, image, tag)
        except requests.RequestException as error:
            self.failed.append(f"push to {repository}: {error}")
        else:
            self.pushed[repository, tag] = image.manifest
        self.asked += 2 * len(image.blobs) + 1

    def ask(self, path: str) -> requests.Response | None:
        self.asked += 1
        try:
            answer = requests.get(f"http://{self.address}{path}", headers={"Accept": debian.ACCEPT}, timeout=30)
            answer.raise_for_status()
        except requests.RequestException as error:
            self.failed.append(f"GET {path}: {error}")
            return None
        return answer

    def p99(self, phase: str) -> str:
        times = sorted(self.pulls.get(phase, ()))
        if not times:
            return "-"
        worst = times[min(len(times) - 1, int(len(times) * 0.99))]
        return f"{worst * 1000:.0f} ms ({len(times)} pulls, median {statistics.median(times) * 1000:.0f} ms)"


@contextmanager
def busy_beside(client: Busy) -> Iterator[None]:
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            for _ in range(5):
                client.pull_own()
            client.pull_old()
            client.push_old()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def move_in(stack: Stack, old: Path) -> bool:
    address, storage = stack.address, f"http://127.0.0.1:{stack.ports.storage}"
    with debian.serve(old) as theirs:
        truth = truth_of(theirs)
    known = debian.upload(old, storage, BUCKET)
    tags, repositories = len(truth.manifests), len({repository for repository, _ in truth.manifests})
    say(f"{tags} tags in {repositories} repositories, {len(known)} objects, in the bucket")

    client = Busy(address, truth)
    push(address, "own/app", Image(), "v1")
    number = _asked("POST", address, "/api/v1/imports", json={"address": f"gs://{BUCKET}"}).json()["id"]
    act(address, number, "lead")
    act(address, number, "start")
    act(address, number, "pause")
    told = time.monotonic()
    for _ in range(_MEASURED):
        client.pull_own()
    time.sleep(max(0.0, told + _KNOWN_SECONDS - time.monotonic()))
    act(address, number, "resume")
    wait(address, number, lambda found: found["state"] in ("listing", "open"))
    client.phase = "during"
    began = time.monotonic()
    with busy_beside(client):
        wait(address, number, lambda found: found["state"] == "open" and is_all_here(found))
        imported = time.monotonic() - began
        planted = plant(address, number, Store(old, storage, known), client)
    client.phase = "after"
    for _ in range(_MEASURED):
        client.pull_own()

    conflicts = problems(address, number)
    differences = compare(address, truth, client, planted)
    for line in [*client.failed[:5], *differences[:5]]:
        say(f"  {line}")
    say(f"imported in: {imported:.1f} s, beside {client.asked} requests")
    say(f"failed requests: {len(client.failed)}")
    say(f"differences: {len(differences)}")
    say(f"conflicts: {', '.join(conflicts)} (planted: {', '.join(_PLANTED)})")
    for phase in ("before", "during", "after"):
        say(f"p99 of pulls {phase}: {client.p99(phase)}")
    return not client.failed and not differences and tuple(conflicts) == _PLANTED


@dataclass(frozen=True)
class Store:
    """The older registry's folder, and the bucket that has the same; `known` is what was taken over to it, and when."""

    folder: Path
    address: str
    known: dict[Path, int]

    def catch_up(self) -> None:
        self.known.update(debian.upload(self.folder, self.address, BUCKET, self.known))


def plant(address: str, number: int, store: Store, client: Busy) -> dict[tuple[str, str], bytes]:
    """Changes the same tags here and there, and one there alone; then what changed there is brought.

    Returns what the tags should name.
    """
    expected = {}
    with debian.serve(store.folder) as theirs:
        for tag in _PLANTED:
            push(theirs, "team/planted", Image(layers=()), tag)
            ours = Image(layers=())
            push(address, "team/planted", ours, tag)
            expected["team/planted", tag] = ours.manifest
        moved = Image(layers=())
        push(theirs, "crowd/r000", moved, "v1")
    expected["crowd/r000", "v1"] = moved.manifest
    client.truth = Truth({key: value for key, value in client.truth.manifests.items() if key not in expected})
    store.catch_up()
    act(address, number, "start")
    wait(address, number, lambda _: has_followed(address, expected))
    return expected


def has_followed(address: str, expected: dict[tuple[str, str], bytes]) -> bool:
    is_here = debian.manifest(address, "crowd/r000", "v1").content == expected["crowd/r000", "v1"]
    return is_here and len(problems(address, 0)) >= len(_PLANTED)


def compare(address: str, truth: Truth, client: Busy, planted: dict[tuple[str, str], bytes]) -> list[str]:
    """Each tag as it should be, with the bytes of all that it leads to."""
    differences = []
    whole: set[tuple[str, str]] = set()
    for (repository, tag), payload in {**truth.manifests, **client.pushed, **planted}.items():
        answer = debian.manifest(address, repository, tag)
        if answer.status_code != 200 or answer.content != payload:
            differences.append(f"{repository}:{tag}: {answer.status_code}")
            continue
        document = answer.json()
        for part in [document["config"], *document["layers"]] if "config" in document else ():
            if (repository, part["digest"]) in whole:
                continue
            whole.add((repository, part["digest"]))
            blob = debian.blob(address, repository, part["digest"])
            if blob.status_code != 200 or str(Digest.of(blob.content)) != part["digest"]:
                differences.append(f"{repository}: {part['digest']}: {blob.status_code}")
        differences += [
            f"{repository}: {child['digest']}"
            for child in document.get("manifests", ())
            if debian.manifest(address, repository, child["digest"]).status_code != 200
        ]
    return differences


def act(address: str, number: int, what: str) -> None:
    _asked("POST", address, f"/api/v1/imports/{number}/{what}", json={})


def wait(address: str, number: int, is_so: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so(found := _asked("GET", address, f"/api/v1/imports/{number}").json()):
        if time.monotonic() > deadline:
            raise SystemExit(f"it takes too long: {found}")
        time.sleep(0.2)


def is_all_here(found: dict[str, Any]) -> bool:
    states = found["repositories"]
    return found["listed_at"] is not None and not states.get("listed") and not states.get("importing")


def problems(address: str, number: int) -> list[str]:
    """The tags about which both sides have a mind of their own."""
    number = number or _asked("GET", address, "/api/v1/imports").json()["imports"][-1]["id"]
    found = _asked("GET", address, f"/api/v1/imports/{number}/problems?reason=conflict").json()["problems"]
    return sorted(each["key"] for each in found)


if __name__ == "__main__":
    sys.exit(main())
