"""The forms in which events are sent: what reads CloudEvents, Distribution's envelope or signed webhooks reads ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from cloudevents.http import from_http

from functions.registry.auth import webhook_secrets
from functions.registry.events import forms
from functions.registry.events.forms import KINDS_OF, Reader
from functions.registry.metadata.events import subscriptions
from functions.registry.oci.media_type import DOCKER_MANIFEST
from tests.events import gitlab
from tests.events.conftest import PEPPER, deliver, subscribe
from tests.events.gitlab import Effect
from tests.events.receiver import Receiver
from tests.metadata.build import query
from tests.support import Image, Registry

# What version 2.8.2 of Docker's registry sent of a push by tag, the same again, one of another manifest by that tag and
# by its digest, and of a deletion by digest.
THEIRS: Final = json.loads((Path(__file__).parent / "fixtures" / "distribution-2.8.2.json").read_text())


def docker_image(layer: bytes) -> Image:
    return Image(b"{}", (layer,), {"mediaType": DOCKER_MANIFEST})


def shape(document: Any) -> Any:
    """The fields, and of what they are; not what they say."""
    if isinstance(document, dict):
        return {name: shape(inner) for name, inner in document.items()}
    return [shape(each) for each in document] if isinstance(document, list) else type(document).__name__


def _steps_of_the_fixture(registry: Registry) -> tuple[Image, Image]:
    """What was done to the other registry when it sent that."""
    first, second = docker_image(b"layer"), docker_image(b"layer2")
    registry.push_image("team/app", "1.0", first)
    registry.put_manifest("team/app", "1.0", first.manifest)
    registry.push_image("team/app", "1.0", second)
    registry.put_manifest("team/app", second.digest, second.manifest)
    registry.request("DELETE", f"/v2/team/app/manifests/{second.digest}")
    return first, second


@pytest.mark.parametrize("form", ["distribution", "distribution-v1"])
def test_the_envelope_is_that_of_a_real_distribution(registry: Registry, receiver: Receiver, form: Any) -> None:
    """The same clients' steps: the same actions, with the same fields."""
    kinds = list(KINDS_OF[form])
    subscribe(registry.services, receiver.address, format=form, kinds=kinds, shows_request=True)
    first, _ = _steps_of_the_fixture(registry)
    asked = {"id": "x", "address": "192.0.2.1", "host": "registry.example.com", "method": "PUT", "agent": "crane"}
    query(registry.services.database, "UPDATE events SET request = :request", request=json.dumps(asked))
    deliver(registry.services)
    ours = [event for each in receiver.documents for event in each["events"]]
    theirs = [event for each in THEIRS for event in each["body"]["events"]]
    # Ours takes tags away before what they name.
    theirs[-2:] = theirs[:-3:-1]
    for mine, real in zip(ours, theirs, strict=True):
        assert mine["action"] == real["action"]
        assert mine.keys() == real.keys()
        assert shape({**mine, "actor": {}}) == shape(real)
        assert set(shape(mine["actor"]).values()) <= {"str"}
        assert datetime.fromisoformat(mine["timestamp"]).tzinfo is not None
        assert mine["target"]["repository"] == real["target"]["repository"]
        assert mine["target"].get("tag") == real["target"].get("tag")
    expected = {"distribution": "application/vnd.docker.distribution.events.v2+json"}.get(
        form, THEIRS[0]["content_type"]
    )
    assert {each.headers["Content-Type"] for each in receiver.received} == {expected}
    push = ours[0]["target"]
    assert (push["digest"], push["size"], push["length"]) == (
        str(first.digest),
        len(first.manifest),
        len(first.manifest),
    )
    assert push["url"] == f"https://registry.example.com/v2/team/app/manifests/{first.digest}"


def test_gitlab_makes_of_it_what_it_makes_of_a_real_distribution(registry: Registry, receiver: Receiver) -> None:
    header = webhook_secrets.sealed_header(PEPPER, "secret_token")
    kinds = list(KINDS_OF["distribution-v1"])
    subscribe(registry.services, receiver.address, format="distribution-v1", header=header, kinds=kinds)
    _steps_of_the_fixture(registry)
    deliver(registry.services)
    known = {"team/app"}

    def read(headers: Any, body: bytes) -> Counter[Effect]:
        return Counter(gitlab.receive(headers, body, "secret_token", known))

    ours = sum((read(each.headers, each.body) for each in receiver.received), Counter())
    theirs = sum(
        (
            read(
                {"Content-Type": each["content_type"], "Authorization": "secret_token"},
                json.dumps(each["body"]).encode(),
            )
            for each in THEIRS
        ),
        Counter(),
    )
    assert ours == theirs
    assert ours == {
        Effect("push_tag", "team/app"): 3,
        Effect("push_repository", None): 1,
        Effect("delete_manifest", "team/app"): 1,
        Effect("delete_tag", "team/app"): 1,
    }


def test_gitlab_reads_all_that_is_told_and_a_test(registry: Registry, receiver: Receiver) -> None:
    """A deletion of a tag alone, of a repository, and what comes back."""
    header = webhook_secrets.sealed_header(PEPPER, "secret_token")
    kinds = list(KINDS_OF["distribution-v1"])
    made = subscribe(registry.services, receiver.address, format="distribution-v1", header=header, kinds=kinds)
    registry.push_image("team/app", "1")
    registry.request("DELETE", "/v2/team/app/manifests/1")
    registry.request("POST", "/api/v1/repositories/team/app/-/restore", json={"tag": "1"})
    registry.request("DELETE", "/api/v1/repositories/team/app")
    assert subscriptions.test(registry.services.database, made, "user:admin")
    deliver(registry.services)
    read = [gitlab.receive(each.headers, each.body, "secret_token", {"team/app"}) for each in receiver.received]
    assert [effect.counted for effects in read for effect in effects] == [
        "push_tag",
        "delete_tag",
        "push_tag",
        "delete_tag",
        "delete_manifest",
        "delete_repository",
    ]
    assert len(read) == 7, "a test has no event"


@pytest.mark.parametrize(
    ("form", "secret", "status"), [("distribution-v1", "other", 401), ("gar", "secret_token", 400)]
)
def test_gitlab_refuses_what_is_not_for_it(
    registry: Registry, receiver: Receiver, form: Any, secret: str, status: int
) -> None:
    header = webhook_secrets.sealed_header(PEPPER, "secret_token")
    subscribe(registry.services, receiver.address, format=form, header=header, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    deliver(registry.services)
    [received] = receiver.received
    with pytest.raises(gitlab.Refused, match=str(status)):
        gitlab.receive(received.headers, received.body, secret, set())


def test_the_sdk_of_cloudevents_reads_each(registry: Registry, receiver: Receiver) -> None:
    subscribe(registry.services, receiver.address)
    registry.push_image("team/app", "1")
    registry.request("DELETE", "/v2/team/app/manifests/1")
    registry.request("DELETE", "/api/v1/repositories/team/app")
    deliver(registry.services)
    read = [from_http(dict(each.headers), each.body) for each in receiver.received]
    assert [event["type"] for event in read] == [
        f"dev.slipway.{kind}.v1"
        for kind in (
            "repository.created",
            "manifest.pushed",
            "tag.created",
            "tag.deleted",
            "manifest.deleted",
            "repository.deleted",
        )
    ]
    assert {event["source"] for event in read} == {"//registry.example.com/team/app"}
    assert read[2]["subject"] == "team/app:1"
    assert [event["sequence"] for event in read] == sorted(event["sequence"] for event in read)
    assert read[2].data["reference"].startswith("registry.example.com/team/app@sha256:")
    assert "reference" not in read[3].data


def test_artifact_registrys_message(registry: Registry, receiver: Receiver) -> None:
    subscribe(registry.services, receiver.address, format="gar", kinds=list(KINDS_OF["gar"]))
    image = registry.push_image("team/app", "1")
    registry.put_manifest("team/app", image.digest, image.manifest)
    registry.request("DELETE", f"/v2/team/app/manifests/{image.digest}")
    deliver(registry.services)
    digest, tag = f"registry.example.com/team/app@{image.digest}", "registry.example.com/team/app:1"
    assert receiver.documents == [
        {"action": "INSERT", "digest": digest, "tag": tag},
        {"action": "INSERT", "digest": digest},
        {"action": "DELETE", "tag": tag},
        {"action": "DELETE", "digest": digest},
    ]


def test_a_push_of_several_tags_is_told_once_for_each(registry: Registry, receiver: Receiver) -> None:
    subscribe(registry.services, receiver.address, format="gar", kinds=list(KINDS_OF["gar"]))
    image = Image()
    for blob in image.blobs:
        registry.push_blob("team/app", blob)
    assert registry.put_manifest("team/app", f"{image.digest}?tag=a&tag=b", image.manifest).status_code == 201
    deliver(registry.services)
    assert [each["tag"].rpartition(":")[2] for each in receiver.documents] == ["a", "b"]


# ---- signatures


def test_a_signature_is_that_of_the_specification() -> None:
    """The specification's own example."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = webhook_secrets.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def is_signed_by(secret: str, headers: Any, body: bytes) -> bool:
    """Checks it as a receiver's library does."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(given, f"v1,{expected}") for given in str(headers["webhook-signature"]).split(" "))


def test_while_a_secret_is_replaced_both_sign(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    old, new = webhook_secrets.make(), webhook_secrets.make()
    made = subscribe(services, receiver.address, kinds=["tag.created"], secret=webhook_secrets.sealed(PEPPER, old))
    registry.push_image("team/app", "1")
    deliver(services)
    assert subscriptions.replace_secret(services.database, made, webhook_secrets.sealed(PEPPER, new)) is not None
    registry.push_image("team/app", "2")
    deliver(services)
    query(services.database, "UPDATE subscriptions SET previous_until = now()")
    registry.push_image("team/app", "3")
    deliver(services)
    signed = [[is_signed_by(secret, each.headers, each.body) for secret in (old, new)] for each in receiver.received]
    assert signed == [[True, False], [True, True], [False, True]]


def test_a_secret_whose_pepper_is_gone_is_told_in_the_log(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    lost = webhook_secrets.sealed("another pepper", webhook_secrets.make())
    subscribe(services, receiver.address, kinds=["tag.created"], secret=lost)
    registry.push_image("team/app", "1")
    assert deliver(services) == 0
    assert not receiver.received
    [[answer]] = query(services.database, "SELECT answer FROM deliveries")
    assert "make a new one" in answer


# ---- who is shown what


def event(**more: Any) -> dict[str, Any]:
    named = dict.fromkeys(("former", "tag", "digest", "previous", "media_type", "size", "actor", "cause", "request"))
    return {"id": 1, "at": "2026-11-30T12:00:00+00:00", "kind": "repository.moved", "repository_id": 7, **named, **more}


def test_of_another_namespace_neither_the_old_name_nor_the_new_one_is_told() -> None:
    moved = event(repository="secret/app", former="team/app")
    told = forms.body("cloudevents", moved, Reader("host", "team")).decode()
    assert "secret" not in told
    assert json.loads(told)["data"] == {"repository": "team/app"}
    told = forms.body("cloudevents", event(repository="team/app", former="secret/app"), Reader("host", "team")).decode()
    assert "secret" not in told
    both = json.loads(forms.body("cloudevents", moved, Reader("host")))
    assert both["data"] == {"repository": "secret/app", "former": "team/app"}


@pytest.mark.parametrize("form", ["cloudevents", "distribution", "gar"])
def test_whose_address_it_was_is_shown_to_the_registrys_administrators_alone(form: Any) -> None:
    asked = json.dumps({"address": "192.0.2.7", "agent": "crane/1"})
    pushed = event(kind="tag.moved", repository="team/app", tag="1", digest="sha256:0", request=asked)
    assert b"192.0.2.7" not in forms.body(form, pushed, Reader("host", "team"))
    assert (b"192.0.2.7" in forms.body(form, pushed, Reader("host", shows_request=True))) == (form != "gar")


def test_a_request_that_cannot_be_read_is_left_out() -> None:
    for odd in ("{", "[]", "", '"x"'):
        pushed = event(kind="tag.moved", repository="team/app", tag="1", digest="sha256:0", request=odd)
        assert json.loads(forms.body("distribution", pushed, Reader("host", shows_request=True)))
