"""The registry itself: its challenge, signing in, limits, and where a pull is sent."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from slipway_cli.checks import Check
from slipway_cli.checks.network import check_host
from slipway_cli.client import Client
from slipway_cli.failures import Failed
from slipway_cli.refusals import reason
from slipway_cli.tokens import Challenge

_SECONDS: Final = 10
_WALL_BYTES: Final = 32 * 2**20


def check_base(client: Client, answer: requests.Response) -> Iterator[Check]:
    """Looks at `/v2/`, asked by nobody."""
    if answer.headers.get("Docker-Distribution-Api-Version") != "registry/2.0":
        advice = "is that the registry's address, or a proxy's page?"
        yield Check("/v2/", "bad", f"{answer.status_code}, and not by a registry", advice)
        return
    challenge = Challenge.of(answer)
    if answer.status_code == requests.codes.ok:
        yield Check("/v2/", "ok", "an open registry: nobody signs in")
    elif answer.status_code == requests.codes.too_many_requests:
        advice = f"wait {answer.headers.get('Retry-After', 'a few')} s"
        yield Check("/v2/", "bad", "429, too many requests from this address", advice)
    elif challenge is None:
        yield Check(
            "/v2/", "bad", f"{answer.status_code} without a challenge", "clients can't sign in: ask its operator"
        )
    else:
        yield Check("/v2/", "ok", "asks to sign in")
        yield _realm(client, challenge)


def _realm(client: Client, challenge: Challenge) -> Check:
    there, here = urlsplit(challenge.realm), urlsplit(client.registry.url)
    if there.scheme != here.scheme:
        advice = "SLIPWAY_TOKEN_REALM is to be https"
        return Check("challenge", "bad", f"sends to {challenge.realm}, by another scheme", advice)
    if there.netloc != here.netloc:
        return Check("challenge", "note", f"tokens come from {there.netloc}", "that host has to be reached as well")
    return Check("challenge", "ok", f"tokens come from {challenge.realm}")


def check_sign_in(client: Client) -> Check:
    try:
        who = client.get("/api/v1/whoami")
    except Failed as failed:
        return Check("sign-in", "bad", str(failed), failed.advice)
    source = client.credentials.source if client.credentials else "nothing that is stored"
    called = f"{who['kind']}:{who['name']}" if who["name"] else who["kind"]
    if who["kind"] == "anonymous":
        advice = f"`docker login {client.registry.host}` or `slipway login {client.registry.host}`"
        return Check("sign-in", "note", f"anonymous, by {source}: what anybody may pull", advice)
    return Check("sign-in", "ok", f"{called}, by {source}")


def check_collection(client: Client) -> Check | None:
    """Returns None for who may not know."""
    try:
        found = client.get("/api/v1/gc")
    except Failed:
        return None
    overdue = sum(queue["overdue"] for queue in found["queues"])
    failing = sum(queue["failing"] for queue in found["queues"]) + len(found["failures"])
    if overdue or failing:
        advice = "`slipway gc status` says what, and why"
        return Check("garbage collection", "note", f"{overdue} overdue for an hour, {failing} failing", advice)
    return Check("garbage collection", "ok", "nothing is overdue or failing")


def check_rate(client: Client) -> Check:
    """Makes a few requests at once: whoever is at the limit sees it now."""
    for _ in range(5):
        answer = client.ask_openly("/v2/")
        if answer.status_code == requests.codes.too_many_requests:
            advice = (
                f"wait {answer.headers.get('Retry-After', 'a few')} s; sign in: who is known has a limit of their own"
            )
            return Check("rate limit", "bad", "429, too many requests from this address", advice)
    return Check("rate limit", "ok", "not reached")


def check_wall(client: Client) -> Check:
    """Announces a body of more than 32 MiB, and sends none of it: whatever stands in front refuses at once."""
    parts = urlsplit(client.registry.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_SECONDS)
    try:
        # An upload that nobody began: where it is let through, nothing is made.
        connection.putrequest("PATCH", f"/v2/doctor/none/blobs/uploads/{uuid.uuid4()}")
        connection.putheader("Content-Length", str(_WALL_BYTES + 1))
        connection.endheaders()
        status = connection.getresponse().status
    except TimeoutError:
        return Check("32 MiB", "ok", "more is waited for")
    except (OSError, http.client.HTTPException) as error:
        return Check("32 MiB", "note", f"not known: {reason(error)}", "a proxy may be in between")
    finally:
        connection.close()
    if status == requests.codes.request_entity_too_large:
        advice = "layers of more have to come in chunks, or over HTTP/2 (docs/deploy.md)"
        return Check("32 MiB", "note", "a request by HTTP/1.1 has at most that", advice)
    return Check("32 MiB", "ok", "larger requests are let through")


def check_pull(client: Client, repository: str | None) -> Iterator[Check]:
    """Asks for a blob's first byte, from wherever it is sent to."""
    try:
        found = _some_blob(client, repository)
        if found is None:
            yield Check("a pull", "note", "there is nothing to try it with", "--repository NAME")
            return
        answer = client.request("GET", found, redirects=True, headers={"Range": "bytes=0-0"})
    except Failed as failed:
        yield Check("a pull", "bad", str(failed), failed.advice)
        return
    if not answer.is_redirect:
        yield Check("a pull", "ok", "blobs come through the registry")
        return
    where = answer.headers["Location"]
    host = urlsplit(where).netloc
    for check in check_host(f"{urlsplit(where).scheme}://{host}", f" of {host}"):
        yield check
        if check.state == "bad":
            return
    try:
        sent = requests.get(where, headers={"Range": "bytes=0-0"}, timeout=_SECONDS, stream=True)
        sent.close()
    except requests.RequestException as error:
        advice = f"a closed network lets pulls through to {host}, or SLIPWAY_BLOB_DELIVERY=streaming is set"
        yield Check("a pull", "bad", f"{host}: {reason(error)}", advice)
        return
    if sent.status_code in {requests.codes.ok, requests.codes.partial_content}:
        yield Check("a pull", "ok", f"a blob's bytes come from {host}")
    else:
        is_lost = sent.status_code == requests.codes.not_found
        lost = "that blob's bytes are lost: push it again; what `make seed` made up never had any"
        advice = lost if is_lost else "its operator looks at the bucket's rights"
        yield Check("a pull", "bad", f"{host} answers {sent.status_code}", advice)


def _some_blob(client: Client, repository: str | None) -> str | None:
    if repository is None:
        listed = client.get("/api/v1/repositories", n=1, sort="-pushed")["repositories"]
        if not listed:
            return None
        repository = listed[0]["name"]
    path = f"/api/v1/repositories/{repository}"
    for tag in client.get(f"{path}/-/tags", n=1, sort="-pushed")["tags"]:
        digest = _blob_of(client, path, client.get(f"{path}/-/tags/{tag['name']}"))
        if digest:
            return f"/v2/{repository}/blobs/{digest}"
    return None


def _blob_of(client: Client, path: str, found: dict[str, Any]) -> str | None:
    """Returns the config, or a layer; of an index that of its first image."""
    for blob in (found.get("config"), *(found.get("layers") or ())):
        if blob:
            return str(blob["digest"])
    for child in found.get("children") or ():
        return _blob_of(client, path, client.get(f"{path}/-/manifests/{child['digest']}"))
    return None
