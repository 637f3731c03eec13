"""Who may do what: people and robots, grants, rules, and whether somebody may do something."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotAllowed, Visit
from functions.api.route import Query
from functions.api.v1.access.grants_and_rules import after
from functions.api.web.pages import cut
from functions.registry.auth.roles import Role
from functions.registry.metadata.access import grants, principals, rules
from functions.registry.metadata.db import Call
from functions.registry.oci.errors import OciError
from functions.registry.oci.page import Page as Part

_SIZE: Final = 100
_NAMESPACE: Final = re.compile(r"[a-z0-9._-]{1,255}")
ROLES: Final = tuple(role.label for role in Role)
_ACTIONS: Final = ("pull", "push", "delete")


def show_principals(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace, last = namespace_of(query), (query.get("last") or "").replace("\0", "")
    [rows] = ask(visit, namespace, [principals.listing(Part(_SIZE, last), namespace)])
    shown, more = cut(rows, _SIZE)
    following = urlencode({**_asked(namespace), "last": shown[-1].name}) if more else ""
    values = {"found": shown, "following": following, "namespace": namespace, "tab": "principals"}
    return Page(
        "access.html", "Access", "access", values=values, json="/api/v1/principals", command="slipway user list"
    )


def show_grants(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace = namespace_of(query)
    [rows] = ask(visit, namespace, [grants.listing(_SIZE, after(query.get("last") or ""), None, namespace)])
    shown, more = cut(rows, _SIZE)
    last = f"{shown[-1].pattern}:{shown[-1].id}" if more else ""
    following = urlencode({**_asked(namespace), "last": last}) if more else ""
    values = {"found": shown, "following": following, "namespace": namespace, "tab": "grants", "roles": ROLES}
    said = {"said": said_in(visit, query), "error": ""}
    return Page(
        "grants.html",
        "Grants",
        "access",
        values={**values, **said},
        json="/api/v1/grants",
        command="slipway grant list",
    )


def change_grants(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    try:
        if form.get("do") == "remove":
            requests.request(visit, "DELETE", f"/api/v1/grants/{form.get('grant', '')}")
            return _back(visit, "grants", form, "The grant is gone.")
        pattern, role = form.get("repositories", ""), form.get("role", "")
        fields = {"principal": form.get("principal") or None, "repositories": pattern, "role": role}
        requests.request(visit, "POST", "/api/v1/grants", **fields)
    except OciError as error:
        return _refused(show_grants(visit, match, _query(form)), error)
    return _back(visit, "grants", form, f"{form.get('principal') or 'Anyone'} is {role} in {pattern} now.")


def show_rules(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace = namespace_of(query)
    [rows] = ask(visit, namespace, [rules.listing(namespace)])
    values = {"found": rows, "namespace": namespace, "tab": "rules", "roles": ROLES, "kinds": rules.KINDS}
    said = {"said": said_in(visit, query), "error": ""}
    return Page(
        "rules.html", "Rules", "access", values={**values, **said}, json="/api/v1/rules", command="slipway rule list"
    )


def change_rules(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    try:
        if form.get("do") == "remove":
            requests.request(visit, "DELETE", f"/api/v1/rules/{form.get('rule', '')}")
            return _back(visit, "rules", form, "The rule is gone.")
        fields: dict[str, Any] = {name: form.get(name, "") for name in ("name", "kind", "repositories")}
        if form.get("tags"):
            fields["tags"] = form["tags"]
        if form.get("role"):
            fields["role"] = form["role"]
        requests.request(visit, "POST", "/api/v1/rules", **fields)
    except OciError as error:
        return _refused(show_rules(visit, match, _query(form)), error)
    return _back(visit, "rules", form, f"The rule “{fields['name']}” holds from now on.")


def show_may(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    """Shows the answer of the API, which asks what decides when it is done."""
    ask(visit, namespace_of(query), [], needs_namespace=False)
    asked = {name: (query.get(name) or "").strip() for name in ("principal", "action", "repository", "tag")}
    answer, error = None, ""
    if asked["repository"]:
        wanted = {name: value for name, value in asked.items() if value}
        try:
            answer = requests.request(visit, "GET", f"/api/v1/explain?{urlencode(wanted)}")
        except OciError as refused:
            error = refused.reason or refused.message
    values = {"asked": asked, "answer": answer, "error": error, "actions": _ACTIONS, "tab": "may", "namespace": None}
    command = "slipway explain {principal} {action} {repository}".format_map(
        {name: value or name.upper() for name, value in asked.items()}
    )
    return Page("may.html", "May somebody do something?", "access", values=values, command=command)


def ask(
    visit: Visit, namespace: str | None, calls: list[Call[Any]], *, needs_namespace: bool = True
) -> list[list[Any]]:
    """Returns rows as Visit.ask. Raises NotAllowed for who administers nothing, or not that namespace."""
    read = visit.ask(calls)
    if not visit.authority.is_some:
        raise NotAllowed("This page is for administrators of the registry or of a namespace.")
    if needs_namespace and not visit.authority.over(namespace):
        names = ", ".join(visit.authority.namespaces)
        raise NotAllowed(f"You administer {names}: add ?namespace=NAME to the address, with one of these.")
    return read


def namespace_of(query: Query) -> str | None:
    text = (query.get("namespace") or "").strip()
    return text if _NAMESPACE.fullmatch(text) else None


def _asked(namespace: str | None) -> dict[str, str]:
    return {} if namespace is None else {"namespace": namespace}


def _query(form: Form) -> Query:
    return Query([("namespace", form.get("namespace", ""))])


def _back(visit: Visit, page: str, form: Form, said: str) -> Answer:
    namespace = form.get("namespace", "")
    return redirect_saying(
        visit, f"/console/access/{page}" + (f"?namespace={quote(namespace)}" if namespace else ""), said
    )


def _refused(page: Answer, error: OciError) -> Answer:
    """Shows the page again, with what is wrong."""
    if isinstance(page, Page):
        page.values["error"] = error.reason or error.message
    return page
