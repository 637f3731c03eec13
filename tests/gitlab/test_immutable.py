"""A tag that GitLab's tokens make immutable is made once, however many push it at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from werkzeug.test import TestResponse

from functions.registry.metadata.content import pushes
from functions.registry.oci.media_type import OCI_INDEX
from tests.gitlab.rails import Rails, access, token
from tests.metadata.build import APP, OpenTransaction, push_image, value, wait_until_blocked
from tests.support import Registry, index_of

PATIENCE: Final = 30
META: Final = {"project_path": "team/app", "tag_immutable_patterns": ["^v[0-9]"]}


def push(registry: Registry, payload: bytes, tag: str = "v1", **meta: Any) -> TestResponse:
    rails = Rails(registry, token(access("team/app", "pull", "push", **(meta or META))))
    return rails.ask("PUT", f"/v2/team/app/manifests/{tag}", data=payload, content_type=OCI_INDEX)


def at_once(registry: Registry, database_url: str, payloads: list[bytes], tag: str = "v1") -> list[TestResponse]:
    """All of them have begun, and wait for the tag, before the first goes on."""
    database = registry.services.database
    with OpenTransaction(database_url) as other, ThreadPoolExecutor(len(payloads)) as pool:
        other.batch([pushes._BEGIN(repository=APP, tags=[tag], rank="0")])
        waiting = [pool.submit(push, registry, payload, tag) for payload in payloads]
        wait_until_blocked(database, len(payloads))
        other.rollback()
        return [each.result(PATIENCE) for each in waiting]


def test_of_two_pushes_of_an_immutable_tag_at_once_one_is_refused(external: Registry, database_url: str) -> None:
    push_image(external.services.database, APP, "another")
    payloads = [index_of(annotations={"n": n}) for n in "12"]
    answers = at_once(external, database_url, payloads)
    assert sorted(answer.status_code for answer in answers) == [201, 403]
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert external.error_code(refused) == "DENIED"
    assert "the token makes tag v1 immutable" in refused.get_json()["errors"][0]["message"]
    winner = next(payload for payload, answer in zip(payloads, answers, strict=True) if answer.status_code == 201)
    pulled = Rails(external, token(access("team/app", "pull"))).ask("GET", "/v2/team/app/manifests/v1")
    assert pulled.data == winner
    assert value(external.services.database, "SELECT count(*) FROM manifests WHERE annotations ? 'n'") == 1
    assert push(external, winner).status_code == 403, "not even as it is"


def test_of_two_pushes_of_another_tag_at_once_both_succeed(external: Registry, database_url: str) -> None:
    push_image(external.services.database, APP, "another")
    payloads = [index_of(annotations={"n": n}) for n in "12"]
    answers = at_once(external, database_url, payloads, "latest")
    assert [answer.status_code for answer in answers] == [201, 201]
