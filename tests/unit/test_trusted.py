"""Which robot an identity may act as, and what a trusted publisher may be."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.federation import BUILDKITE, GITHUB, GITLAB, GOOGLE, Identity
from functions.registry.auth.trusted import choose, comparable, refuse_outside_code, tenants, validate_trusted_publisher
from functions.registry.metadata.access.patterns import is_glob_match


@dataclass(frozen=True)
class Robot:
    name: str = "ci"
    namespace: str | None = None


@dataclass(frozen=True)
class TrustedPublisher:
    """Stands for the database's row."""

    claims: Mapping[str, str]
    principal: Robot = Robot()
    has_role: bool = False


# ---- which robot it may act as

JOB: Final = {
    "repository_owner_id": "1",
    "repository_id": "2",
    "ref": "refs/heads/main",
    "event_name": "push",
    "sub": "repo:octo@1/app@2:ref:refs/heads/main",
}
PIPELINE: Final = {
    "namespace_id": "1",
    "project_id": "2",
    "job_project_id": "2",
    "ref": "main",
    "ref_protected": "true",
    "pipeline_source": "push",
}


def identity(claims: Mapping[str, str] = JOB, issuer: str = GITHUB, **more: str) -> Identity:
    return Identity(issuer, {**claims, **more})


def mismatch(publishers: list[TrustedPublisher], found: Identity) -> str:
    with pytest.raises(TokenRefused) as refused:
        choose(publishers, found, [])
    return str(refused.value)


def test_the_trusted_publisher_whose_claims_all_match_is_found() -> None:
    main = TrustedPublisher({"repository_id": "2", "ref": "refs/heads/main"})
    assert choose([TrustedPublisher({"repository_id": "3"}), main], identity(), []) is main


def test_of_one_namespace_the_trusted_publisher_with_the_most_claims_is_found_then_the_first() -> None:
    wide = TrustedPublisher({"repository_owner_id": "1"}, Robot("wide", "team"))
    first = TrustedPublisher({"repository_owner_id": "1", "ref": "refs/heads/*"}, Robot("first", "team"))
    second = TrustedPublisher({"repository_id": "2", "ref": "refs/heads/main"}, Robot("second", "team"))
    assert choose([wide, first, second], identity(), []) is first


VICTIM: Final = Robot("victim-ci", "victim")
MALLORY: Final = Robot("evil-ci", "evil")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_no_number_of_claims_makes_a_job_somebody_elses(count: int) -> None:
    """The robot with a role in what is asked; else the one of the namespace that is asked for."""
    more = {name: JOB[name] for name in list(JOB)[:count]}
    for has_role in (True, False):
        publishers = [
            TrustedPublisher({"repository_id": "2"}, VICTIM, has_role=has_role),
            TrustedPublisher(more, MALLORY),
        ]
        for each in itertools.permutations(publishers):
            assert choose(list(each), identity(), ["victim/app"]).principal is VICTIM


def test_a_role_in_something_else_that_is_asked_for_is_not_enough() -> None:
    publishers = [
        TrustedPublisher({"repository_id": "2"}, VICTIM, has_role=True),
        TrustedPublisher(JOB, MALLORY, has_role=True),
    ]
    assert choose(publishers, identity(), ["victim/app", "elsewhere/base"]).principal is VICTIM


@pytest.mark.parametrize("asked", [[], ["elsewhere/app"], ["victim/app", "evil/app"]])
def test_between_robots_of_several_namespaces_nobody_chooses(asked: list[str]) -> None:
    publishers = [TrustedPublisher({"repository_id": "2"}, VICTIM), TrustedPublisher(JOB, MALLORY)]
    for each in itertools.permutations(publishers):
        with pytest.raises(TokenRefused, match=r"oidc\+ROBOT"):
            choose(list(each), identity(), asked)


def test_robots_are_found_by_what_names_the_tenant() -> None:
    assert tenants(identity(), {}) == [{"repository_owner_id": "1"}, {"repository_id": "2"}]
    elsewhere = identity(issuer="https://gitlab.corp.example", sub="project_path:a/b", project_id="7")
    assert tenants(elsewhere, {}) == [{"sub": "project_path:a/b"}]
    assert tenants(elsewhere, {"https://gitlab.corp.example": ("project_id", "namespace_id")}) == [{"project_id": "7"}]
    assert tenants(Identity("https://issuer.example", {"sub": "a\0b"}), {}) == []


def test_what_no_trusted_publisher_can_have_is_compared_with_none() -> None:
    """A database takes neither of them."""
    odd = identity(odd="a\0b", long="x" * 256, half="\ud800", good="x")
    assert comparable(odd).keys() == JOB.keys() | {"good", "access_token"}


@pytest.mark.parametrize(
    "claims",
    [
        {"repository_id": "22"},
        {"repository_id": ""},
        {"repository_id": "*"},
        {"repository_id": "2", "ref": "refs/heads/mai"},
        {"repository_id": "2", "ref": "heads/main"},
        {"repository_id": "2", "ref": "*/main/*"},
        {"repository_id": "2", "environment": "*"},
        {"repository_id": "2", "sub": "repo:*"},
        {"repository_id": "2", "unknown": "x"},
    ],
)
def test_a_trusted_publisher_with_any_other_claim_does_not_match(claims: dict[str, str]) -> None:
    assert mismatch([TrustedPublisher(claims)], identity())


@pytest.mark.parametrize("pattern", ["refs/heads/main", "refs/heads/*", "refs/*", "*", "refs/*/main", "*main"])
def test_a_ref_may_be_a_pattern(pattern: str) -> None:
    assert choose([TrustedPublisher({"repository_id": "2", "ref": pattern})], identity(), [])


def test_a_tenant_is_told_which_claim_failed() -> None:
    publishers = [
        TrustedPublisher({"repository_id": "2", "ref": "refs/tags/v*", "environment": "production"}),
        TrustedPublisher({"repository_id": "2", "ref": "refs/heads/release"}),
    ]
    assert mismatch(publishers, identity()) == 'ref is "refs/heads/main", expected refs/heads/release'
    assert mismatch(publishers[:1], identity()) == (
        'ref is "refs/heads/main", expected refs/tags/v*; environment is null, expected production'
    )


def test_a_stranger_is_told_nothing_of_what_others_expect() -> None:
    assert mismatch([], identity()) == (
        f'no robot of this registry trusts repository_id "2", repository_owner_id "1", sub "{JOB["sub"]}" of {GITHUB}'
    )


def test_pull_request_target_is_always_refused() -> None:
    with pytest.raises(TokenRefused, match="pull_request_target"):
        refuse_outside_code(identity(event_name="pull_request_target"))


@pytest.mark.parametrize(
    ("event", "is_read_only"),
    [("push", False), ("release", False), ("pull_request", True), ("pull_request_review", True)],
)
def test_a_pull_request_may_only_look(event: str, *, is_read_only: bool) -> None:
    found = identity(event_name=event)
    assert found.is_read_only is is_read_only


@pytest.mark.parametrize(
    ("source", "is_read_only"),
    [("push", False), ("web", False), ("merge_request_event", True), ("external_pull_request_event", True)],
)
def test_a_merge_request_may_only_look(source: str, *, is_read_only: bool) -> None:
    found = identity(PIPELINE, GITLAB, pipeline_source=source)
    assert found.is_read_only is is_read_only


def test_a_job_that_runs_a_forks_code_is_refused() -> None:
    """The project is the fork's while the job runs in the parent."""
    without = {name: value for name, value in PIPELINE.items() if name != "job_project_id"}
    refuse_outside_code(identity(without, GITLAB))
    for claims in ({**PIPELINE, "project_id": "3"}, {"job_project_id": "2"}):
        with pytest.raises(TokenRefused, match="another project"):
            refuse_outside_code(identity(claims, GITLAB))


def test_an_access_token_opens_only_what_says_so() -> None:
    closed, opened = TrustedPublisher({"sub": "1"}), TrustedPublisher({"sub": "1", "access_token": "true"})
    found = Identity(GOOGLE, {"sub": "1", "access_token": "true"})
    assert mismatch([closed], found) == 'access_token is "true", expected false'
    assert choose([closed, opened], found, []) is opened
    assert choose([closed, opened], Identity(GOOGLE, {"sub": "1"}), []) is closed


# ---- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("**", "a", True),
        ("v?", "v1", False),
        ("v[0-9]", "v1", False),
        ("v.", "v1", False),
        ("a*", "a\nb", True),
        ("a", "a\n", False),
        ("*ab*ab", "ab", False),
        ("*ab*ab", "abab", True),
    ],
)
def test_a_star_is_any_run_and_nothing_else_is_special(pattern: str, text: str, *, is_match: bool) -> None:
    assert is_glob_match(pattern, text) is is_match


@given(st.lists(st.text(alphabet="ab/", max_size=4), min_size=1, max_size=5), st.data())
def test_a_text_made_from_a_pattern_matches_it(parts: list[str], data: st.DataObject) -> None:
    text = parts[0] + "".join(data.draw(st.text(alphabet="ab/", max_size=4)) + part for part in parts[1:])
    assert is_glob_match("*".join(parts), text)


def test_a_hostile_pattern_costs_no_more_than_a_good_one() -> None:
    started = time.thread_time()
    assert not is_glob_match("*a" * 127 + "b", "a" * 8000)
    assert not is_glob_match("*aaaaab" * 36, "a" * 8000)
    assert time.thread_time() - started < 0.05


# ---- what a trusted publisher may be

CONFIGURED: Final = {"https://named.example": ("project-id", "group-id")}
NOBODYS: Final = {"iss": "https://issuer.example", "aud": "slipway", "event_name": "push", "ref_type": "branch"}


@pytest.mark.parametrize(
    ("issuer", "claims"),
    [
        (GITHUB, {"repository_owner_id": "1"}),
        (GITHUB, {"repository_id": "2", "ref": "refs/tags/v*", "environment": "prod*", "repo_property_team": "a"}),
        ("https://github.corp.example/_services/token", {"repository_id": "2"}),
        (GITLAB, {"project_id": "2", "ref_protected": "true"}),
        (GITLAB, {"namespace_id": "2", "ref_path": "refs/heads/*"}),
        ("https://gitlab.corp.example", {"sub": "project_path:a/b:ref_type:branch:ref:main"}),
        ("https://named.example", {"project-id": "a", "ref": "*"}),
        (GOOGLE, {"sub": "103847561029384756102", "access_token": "true"}),
        (BUILDKITE, {"organization_id": "0184990a-477b-4fa8-9968-496074483cee"}),
        ("https://oidc.circleci.com/org/1", {"sub": "org/1/project/2/user/3", "oidc.circleci.com/project-id": "2"}),
    ],
)
def test_a_trusted_publisher_that_names_a_tenant_is_good(issuer: str, claims: dict[str, str]) -> None:
    validate_trusted_publisher(issuer, claims, CONFIGURED)


@pytest.mark.parametrize(
    ("issuer", "claims", "reason"),
    [
        (GITHUB, {}, "1 to 20 claims"),
        (GITHUB, {f"claim{number}": "x" for number in range(21)}, "1 to 20 claims"),
        (GITHUB, {"repository": "octo/app"}, "repository_owner_id or repository_id"),
        (GITHUB, {"sub": "repo:octo/app:ref:refs/heads/main"}, "repository_owner_id or repository_id"),
        (GITHUB, {"project_id": "1"}, "repository_owner_id, repository_visibility"),
        (GITHUB, {"repository_id": "2", "reff": "refs/heads/main"}, "did you mean ref?"),
        (GITHUB, {"repository_id": "2", "ref": "main"}, "a ref as GitHub has it: refs/heads/main"),
        (GITHUB, {"repositoryid": "2"}, "did you mean repository_id?"),
        (GITLAB, {"project_id": "2", "ref-protected": "true"}, "did you mean ref_protected?"),
        (GOOGLE, {"sub": "1", "e-mail": "robot@example.com"}, "did you mean email?"),
        ("https://github.corp.example/_services/token", {"repository": "a/b"}, "repository_owner_id"),
        (GITHUB, {"repository_id": "octo/app"}, "must have a number for repository_id"),
        (GITHUB, {"repository_id": "2", "repository_owner_id": "octo"}, "must have a number for repository_owner_id"),
        (GITHUB, {"repository_id": "*"}, "may have * only in environment, ref, ref_path"),
        (GITHUB, {"repository_id": "2", "job_workflow_ref": "octo/*"}, "may have * only in"),
        (GITLAB, {"job_project_id": "2"}, "namespace_id or project_id"),
        (GITLAB, {"project_id": "٣"}, "must have a number"),
        (GOOGLE, {"email": "robot@example.com"}, "must have sub"),
        (GOOGLE, {"sub": "robot@example.com"}, "must have a number for sub"),
        (BUILDKITE, {"organization_slug": "corp"}, "organization_id or pipeline_id"),
        ("https://gitlab.corp.example", {"ref": "main"}, "must have sub"),
        ("https://gitlab.corp.example", {"ref": "*", "access_token": "true"}, "must have sub"),
        ("https://gitlab.corp.example", NOBODYS, "must have sub"),
        ("https://gitlab.corp.example", {"sub": "project_path:*"}, "may have * only in"),
        ("https://gitlab.corp.example", {"project_id": "1"}, "must have sub"),
        ("https://named.example", {"sub": "a", **NOBODYS}, "project-id or group-id"),
        (GITHUB, {"repository_id": ""}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": "2", "ref": "x" * 256}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": 2}, "texts of 1 to 255"),
        (GITHUB, {"repository_id": "2", "": "x"}, "texts of 1 to 255"),
    ],
)
def test_a_trusted_publisher_that_opens_too_much_is_refused(issuer: str, claims: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=r"must|may|can't have") as refused:
        validate_trusted_publisher(issuer, claims, CONFIGURED)
    assert reason in str(refused.value)
