"""One user or robot: what it signs in with and what it may do."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from functions.api.console import jobs, requests
from functions.api.console.forms import Form
from functions.api.console.pages.access import ROLES, ask
from functions.api.console.rendering import Page, host, redirect
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotAllowed, NotShown, Visit
from functions.api.route import Query
from functions.api.web.errors import ParameterInvalid
from functions.registry.metadata.access import identities, principals
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.console import people
from functions.registry.metadata.db import Call
from functions.registry.oci.errors import OciError


def show(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return page_of(visit, match["principal"], said=said_in(visit, query))


def change(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    name = match["principal"]
    do = _CHANGES.get(form.get("do", ""))
    if do is None:
        raise ParameterInvalid("This form asks for nothing that can be done")
    try:
        said, secret = do(visit, path_of(name), form)
    except OciError as error:
        return page_of(visit, name, error=error.reason or error.message)
    if form["do"] == "remove":
        return redirect("/console/access")
    if secret:
        # Shown in the answer itself and nowhere else: no address leads to it, and no browser keeps it.
        return page_of(visit, name, said=said, secret=secret)
    return redirect_saying(visit, f"/console/access/principals/{quote(name)}", said)


def add_secret(visit: Visit, path: str, form: Form) -> tuple[str, str]:
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


def _set_identity(visit: Visit, path: str, form: Form) -> tuple[str, str]:
    requests.request(visit, "PATCH", path, subject=form.get("subject", ""))
    return "It signs in to the console by that identity from now on.", ""


def _remove_identity(visit: Visit, path: str, _: Form) -> tuple[str, str]:
    requests.request(visit, "PATCH", path, subject=None)
    return "That identity signs it in no more.", ""


_CHANGES: Final = {
    "set-identity": _set_identity,
    "remove-identity": _remove_identity,
    "add-secret": add_secret,
    "revoke-secret": _revoke_secret,
    "add-publisher": _add_publisher,
    "remove-publisher": _remove_publisher,
    "add-grant": _add_grant,
    "remove-grant": _remove_grant,
    "disable": _disable,
    "enable": _enable,
    "remove": _remove,
}


def path_of(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9._@+-]{1,128}", name):
        raise ParameterInvalid("a name has 1 to 128 small letters, digits and . _ @ + -")
    return f"/api/v1/principals/{name}"


def page_of(visit: Visit, name: str, said: str = "", error: str = "", secret: str = "") -> Page:
    settings = visit.services.settings
    issuer = settings.console_issuer
    calls: list[Call[Any]] = [principals.reading(name), *people.asking(name), identities.reading(name)]
    of_issuer: list[Call[Any]] = [people.unknown_identities(issuer)] if issuer else []
    read = ask(visit, None, [*calls, *of_issuer], needs_namespace=False)
    found: Principal | None = read[0][0] if read[0] else None
    if found is None or not visit.authority.over(found.namespace):
        if not visit.authority.over_all:
            raise NotAllowed(f"You administer no robot called {name}.")
        raise NotShown(f"There is no user and no robot called {name}.")
    values = {
        "found": found,
        "secrets": read[1],
        "publishers": read[2],
        "grants": read[3],
        "identity": read[4][0] if read[4] else None,
        "unknown": read[5] if issuer else [],
        "issuer": issuer,
        "jobs": jobs.shown({each.issuer for each in read[2]}, name, host(visit), settings.service),
        "issuers": settings.oidc_issuers,
        "roles": ROLES,
        "said": said,
        "error": error,
        "secret": secret,
        "namespace": found.namespace,
        "tab": "principals",
    }
    command = f"slipway {found.kind} show {name}"
    return Page("person.html", name, "access", values=values, json=f"/api/v1/principals/{name}", command=command)
