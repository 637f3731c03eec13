"""A new user or robot in one form: who it is, what it may do, and how it signs in."""

from __future__ import annotations

import re
from typing import Final

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.pages.access import ROLES, ask, namespace_of
from functions.api.console.pages.person import add_secret, page_of, path_of
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.registry.auth.federation import GITHUB, GITLAB, GOOGLE
from functions.registry.oci.errors import OciError

_DAYS: Final = "90"
# Of each kind of job: the issuer, and which claims its form has.
_ISSUERS: Final = {
    "github": (GITHUB, ("repository_id", "ref")),
    "gitlab": (GITLAB, ("project_id", "ref")),
    "google": (GOOGLE, ("sub",)),
}
# Without these anybody's jobs would fit.
_NEEDED: Final = {
    "github": ("repository_id", "The repository's number"),
    "gitlab": ("project_id", "The project's number"),
    "google": ("sub", "The account's unique number"),
}


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    ask(visit, namespace_of(query), [], needs_namespace=False)
    return _new_page({"kind": "robot", "role": "writer", "way": "github", "days": _DAYS})


def make(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Makes the principal, its grant and what it signs in with; nothing, if one of these is refused."""
    name, kind = form.get("name", ""), form.get("kind", "robot")
    namespace = form.get("namespace") or None if kind == "robot" else None
    of_namespace = {"namespace": namespace} if namespace else {}
    if refusal := _refusal(namespace, form):
        return _new_page(form, refusal)
    try:
        requests.request(visit, "POST", "/api/v1/principals", kind=kind, name=name, **of_namespace)
    except OciError as error:
        return _new_page(form, error.reason or error.message)
    try:
        _grant(visit, name, form)
        said, secret = _sign_in_of(visit, name, form)
    except OciError as error:
        # The steps before it are taken back, so that the form can be sent again as it is shown: put right.
        requests.request(visit, "DELETE", path_of(name))
        return _new_page(form, error.reason or error.message)
    return page_of(visit, name, said=said, secret=secret)


def _refusal(namespace: str | None, form: Form) -> str:
    """Returns what a person has to put right before anything is made; "" for nothing. The API refuses the rest."""
    pattern, way = form.get("repositories", ""), form.get("way", "secret")
    if namespace and pattern and not pattern.startswith(f"{namespace}/"):
        return (
            f"A robot of the namespace {namespace} works in its repositories: write {namespace}/** for all of them, "
            f"or {namespace}/app for one, not {pattern}."
        )
    needed = _NEEDED.get(way) if form.get("kind") != "user" else None
    if needed and not form.get(f"{way}-{needed[0]}"):
        return f"{needed[1]} is missing: give it, or choose another way to sign in."
    return ""


def _grant(visit: Visit, name: str, form: Form) -> None:
    if pattern := form.get("repositories"):
        fields = {"principal": name, "repositories": pattern, "role": form.get("role")}
        requests.request(visit, "POST", "/api/v1/grants", **fields)


def _sign_in_of(visit: Visit, name: str, form: Form) -> tuple[str, str]:
    way = form.get("way", "secret")
    if form.get("kind") == "user" or way == "secret":
        return add_secret(visit, path_of(name), {"label": "first", "days": form.get("days", "")})
    claims = (
        {claim: form[f"{way}-{claim}"] for claim in _ISSUERS[way][1] if form.get(f"{way}-{claim}")}
        if (way in _ISSUERS)
        else {}
    )
    issuer = _ISSUERS[way][0] if way in _ISSUERS else form.get("issuer", "")
    requests.request(visit, "POST", f"{path_of(name)}/trusted_publishers", issuer=issuer, claims=claims)
    return f"{name} is there: jobs of that kind sign in as it, without a secret.", ""


def _new_page(form: Form, error: str = "") -> Page:
    values = {"form": form, "error": error, "roles": ROLES, "tab": "new", "namespace": None}
    return Page("new_person.html", "New robot or user", "access", status=400 if error else 200, values=values)
