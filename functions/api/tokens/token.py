"""The token endpoint: who asks, for what, and what is granted of it.

GET is Docker's token protocol, POST OAuth 2.0 (RFC 6749), with a federated identity by token exchange (RFC 8693).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

from flask import Response

from functions.api.basic_auth import BASIC_CHALLENGE, refusing
from functions.api.tokens.routes import GetKeySet, GetToken, PostToken
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.responses import json_response
from functions.registry import telemetry
from functions.registry.auth.caller import Caller, TokenRefused
from functions.registry.auth.credentials_header import basic
from functions.registry.auth.scopes import Scope, format_scopes, parse_scopes, repositories
from functions.registry.metadata.access.credentials import SignedIn
from functions.registry.oci.errors import EndpointUnknown, Unauthorized

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_LARGEST_FORM: Final = 16 * 1024
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKENS: Final = ("urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt")
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a type's name


def get(context: Context, route: GetToken) -> Response:
    """Gives a token; without credentials it is an anonymous one, for what anybody may do."""
    _require_issuer(context)
    _require_service(context, route.service)
    headers = context.request.headers.getlist("Authorization")
    if not headers and not route.scopes:
        raise Unauthorized("sign in: no credentials came, and nothing was asked for", BASIC_CHALLENGE)
    signed_in, scopes = None, parse_scopes(route.scopes)
    if headers:
        try:
            name, password = basic(headers)
        except TokenRefused as refused:
            raise Unauthorized(str(refused), BASIC_CHALLENGE) from refused
        telemetry.note(account=name)
        if route.account not in {None, "", name}:
            raise ParameterInvalid("account differs from the name of the credentials")
        asked = repositories(scopes)
        signed_in = refusing(context.services, lambda sign_in: sign_in.sign_in(name, password, context.address, asked))
    caller = context.services.guard.grant(signed_in, scopes)
    answer = _answer(context, caller, signed_in)
    if route.wants_refresh and signed_in:
        answer["refresh_token"] = context.services.guard.sign_in.remember(signed_in)
    return json_response(answer, **_NOT_KEPT)


def post(context: Context, _: PostToken) -> Response:
    _require_issuer(context)
    form = _form(context)
    _require_service(context, form.get("service") or form.get("audience", ""))
    scopes = parse_scopes([form.get("scope", "")])
    signed_in = _by_grant(context, form, repositories(scopes))
    caller = context.services.guard.grant(signed_in, scopes)
    answer = _answer(context, caller, signed_in)
    granted = [Scope("repository", each.name, each.actions) for each in caller.access.values()]
    answer |= {"token_type": "Bearer", "scope": format_scopes(granted)}
    if form["grant_type"] == _EXCHANGE:
        answer["issued_token_type"] = _ACCESS_TOKEN
    elif form["grant_type"] == "refresh_token":
        answer["refresh_token"] = form["refresh_token"]
    elif form.get("access_type") == "offline":
        answer["refresh_token"] = context.services.guard.sign_in.remember(signed_in)
    return json_response(answer, **_NOT_KEPT)


def key_set(context: Context, _: GetKeySet) -> Response:
    _require_issuer(context)
    return json_response(context.services.guard.tokens.key_set(), **{"Cache-Control": "public, max-age=300"})


def _by_grant(context: Context, form: dict[str, str], asked: list[str]) -> SignedIn:
    match form.get("grant_type"):
        case "password":
            name, password = _field(form, "username"), _field(form, "password")
            telemetry.note(account=name)
            return refusing(context.services, lambda sign_in: sign_in.sign_in(name, password, context.address, asked))
        case "refresh_token":
            token = _field(form, "refresh_token")
            return refusing(context.services, lambda sign_in: sign_in.again(token))
        case grant_type if grant_type == _EXCHANGE:
            if form.get("subject_token_type") not in {*_ID_TOKENS, _ACCESS_TOKEN}:
                raise ParameterInvalid(f"subject_token_type must be one of {', '.join([*_ID_TOKENS, _ACCESS_TOKEN])}")
            is_access_token = form["subject_token_type"] == _ACCESS_TOKEN
            token, robot = _field(form, "subject_token"), form.get("robot", "")
            return refusing(
                context.services,
                lambda sign_in: sign_in.exchange(
                    token, context.address, is_access_token=is_access_token, robot=robot, asked=asked
                ),
            )
    raise ParameterInvalid(f"grant_type must be one of password, refresh_token, {_EXCHANGE}")


def _answer(context: Context, caller: Caller, signed_in: SignedIn | None) -> dict[str, Any]:
    telemetry.note(principal=caller.label)
    life = signed_in.token_seconds if signed_in else None
    issued = context.services.guard.tokens.issue(caller, life)
    return {
        # Both names are in use for the same.
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": f"{issued.issued_at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _require_issuer(context: Context) -> None:
    if context.services.settings.access != "token":
        raise EndpointUnknown("this registry issues no tokens")


def _require_service(context: Context, service: str) -> None:
    """A token for another service would be good there: this registry issues none."""
    if service not in {"", context.services.settings.service}:
        raise ParameterInvalid(f"service is {context.services.settings.service}")


def _form(context: Context) -> dict[str, str]:
    if context.request.mimetype != "application/x-www-form-urlencoded":
        raise ParameterInvalid("the body is a form: Content-Type: application/x-www-form-urlencoded")
    body = context.body.read(_LARGEST_FORM)
    if body is None or context.body.is_cut:
        raise ParameterInvalid(f"the form has at most {_LARGEST_FORM} bytes")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError as error:
        raise ParameterInvalid("the form can't be read") from error
    return {name: " ".join(values) if name == "scope" else values[0] for name, values in fields.items()}


def _field(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise ParameterInvalid(f"{name} is missing")
    return form[name]
