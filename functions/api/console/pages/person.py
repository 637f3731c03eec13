"""One user or robot: what it signs in with and what it may do; and a new one, in one form."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.pages.access import ROLES, ask, namespace_of
from functions.api.console.rendering import Page, redirect
from functions.api.console.route import Answer
from functions.api.console.visitor import NotAllowed, NotShown, Visit
from functions.api.route import Query
from functions.api.web.errors import ParameterInvalid
from functions.registry.auth.federation import GITHUB, GITLAB, GOOGLE
from functions.registry.metadata.access import principals
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.console import people
from functions.registry.oci.errors import OciError

_DAYS: Final = "90"
# Of each kind of job: the issuer, and which claims its form has.
_ISSUERS: Final = {
    "github": (GITHUB, ("repository_id", "ref")),
    "gitlab": (GITLAB, ("project_id", "ref")),
    "google": (GOOGLE, ("sub",)),
}


def show(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _page(visit, match["principal"], said=query.get("said") or "")


def change(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    name = match["principal"]
    do = _CHANGES.get(form.get("do", ""))
    if do is None:
        raise ParameterInvalid("This form asks for nothing that can be done")
    try:
        said, secret = do(visit, _path(name), form)
    except OciError as error:
        return _page(visit, name, error=error.reason or error.message)
    if form["do"] == "remove":
        return redirect("/console/access")
    if secret:
        # Shown in the answer itself and nowhere else: no address leads to it, and no browser keeps it.
        return _page(visit, name, said=said, secret=secret)
    return redirect(f"/console/access/principals/{quote(name)}?said={quote(said)}")


def show_new(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    ask(visit, namespace_of(query), [], needs_namespace=False)
    return _new_page({"kind": "robot", "role": "writer", "way": "github", "days": _DAYS})


def make(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Makes the principal, its grant and what it signs in with. What was made before a refusal stays, and is said."""
    name, kind = form.get("name", ""), form.get("kind", "robot")
    try:
        namespace = form.get("namespace") or None if kind == "robot" else None
        requests.request(
            visit, "POST", "/api/v1/principals", kind=kind, name=name, **({"namespace": namespace} if namespace else {})
        )
    except OciError as error:
        return _new_page(form, error.reason or error.message)
    try:
        if form.get("repositories"):
            requests.request(
                visit,
                "POST",
                "/api/v1/grants",
                principal=name,
                repositories=form["repositories"],
                role=form.get("role"),
            )
        said, secret = _sign_in_of(visit, name, form)
    except OciError as error:
        return _page(visit, name, error=f"{name} was made, but not all of it: {error.reason or error.message}")
    return _page(visit, name, said=said, secret=secret)


def _sign_in_of(visit: Visit, name: str, form: Form) -> tuple[str, str]:
    way = form.get("way", "secret")
    if form.get("kind") == "user" or way == "secret":
        return _add_secret(visit, _path(name), {"label": "first", "days": form.get("days", "")})
    claims = (
        {claim: form[f"{way}-{claim}"] for claim in _ISSUERS[way][1] if form.get(f"{way}-{claim}")}
        if (way in _ISSUERS)
        else {}
    )
    issuer = _ISSUERS[way][0] if way in _ISSUERS else form.get("issuer", "")
    requests.request(visit, "POST", f"{_path(name)}/trusted_publishers", issuer=issuer, claims=claims)
    return f"{name} is there: jobs of that kind sign in as it, without a secret.", ""


def _add_secret(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    fields: dict[str, Any] = {"name": form.get("label", "")}
    if form.get("days"):
        if not re.fullmatch(r"[0-9]{1,4}", form["days"]):
            raise ParameterInvalid("the days are a number, such as 90; leave them out for a secret without an end")
        fields["expires_in_days"] = int(form["days"])
    made = requests.request(visit, "POST", f"{path}/secrets", **fields)
    return "This is the secret. It is shown now, and never again.", str(made["secret"])


def _revoke_secret(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    requests.request(visit, "DELETE", f"{path}/secrets/{quote(form.get('secret', ''), safe='')}")
    return "The secret is revoked.", ""


def _add_publisher(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    pairs = [line.partition("=") for line in form.get("claims", "").splitlines() if line.strip()]
    claims = {name.strip(): value.strip() for name, _, value in pairs}
    requests.request(visit, "POST", f"{path}/trusted_publishers", issuer=form.get("issuer", ""), claims=claims)
    return "Jobs with these claims sign in as it from now on.", ""


def _remove_publisher(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    publisher = quote(form.get("publisher", ""), safe="")
    requests.request(visit, "DELETE", f"{path}/trusted_publishers/{publisher}")
    return "It is trusted no more.", ""


def _add_grant(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    name, pattern, role = path.rpartition("/")[2], form.get("repositories", ""), form.get("role", "")
    requests.request(visit, "POST", "/api/v1/grants", principal=name, repositories=pattern, role=role)
    return f"It is {role} in {pattern} now.", ""


def _remove_grant(visit: Visit, _: str, form: Form) -> tuple[str, str]:
    requests.request(visit, "DELETE", f"/api/v1/grants/{quote(form.get('grant', ''), safe='')}")
    return "The grant is gone.", ""


def _disable(visit: Visit, path: str, _: Form) -> tuple[str, str]:
    requests.request(visit, "PATCH", path, disabled=True)
    return "Nothing signs it in any more, until it is enabled.", ""


def _enable(visit: Visit, path: str, _: Form) -> tuple[str, str]:
    requests.request(visit, "PATCH", path, disabled=False)
    return "It can sign in again.", ""


def _remove(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    name = path.rpartition("/")[2]
    if form.get("typed") != name:
        raise ParameterInvalid(f"nothing was deleted: type {name} into the field, to say who is meant")
    requests.request(visit, "DELETE", path)
    return "", ""


_CHANGES: Final = {
    "add-secret": _add_secret,
    "revoke-secret": _revoke_secret,
    "add-publisher": _add_publisher,
    "remove-publisher": _remove_publisher,
    "add-grant": _add_grant,
    "remove-grant": _remove_grant,
    "disable": _disable,
    "enable": _enable,
    "remove": _remove,
}


def _path(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9._@+-]{1,128}", name):
        raise ParameterInvalid("a name has 1 to 128 small letters, digits and . _ @ + -")
    return f"/api/v1/principals/{name}"


def _page(visit: Visit, name: str, said: str = "", error: str = "", secret: str = "") -> Page:
    read = ask(visit, None, [principals.reading(name), *people.asking(name)], needs_namespace=False)
    found: Principal | None = read[0][0] if read[0] else None
    if found is None or not visit.authority.over(found.namespace):
        if not visit.authority.over_all:
            raise NotAllowed(f"You administer no robot called {name}.")
        raise NotShown(f"There is no user and no robot called {name}.")
    values = {"found": found, "secrets": read[1], "publishers": read[2], "grants": read[3], "roles": ROLES}
    said_of = {"said": said, "error": error, "secret": secret, "namespace": found.namespace}
    kind = f"slipway {found.kind} show {name}"
    issuers = visit.services.settings.oidc_issuers
    address = f"/api/v1/principals/{name}"
    every = {**values, **said_of, "issuers": issuers, "tab": "principals"}
    return Page("person.html", name, "access", values=every, json=address, command=kind)


def _new_page(form: Form, error: str = "") -> Page:
    values = {"form": form, "error": error, "roles": ROLES, "tab": "new", "namespace": None}
    return Page("new_person.html", "New robot or user", "access", status=400 if error else 200, values=values)
