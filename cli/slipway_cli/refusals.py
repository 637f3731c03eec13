"""What an answer that is no success means: which failure it is, in whose words, and what to do."""

from __future__ import annotations

import re
from typing import Any, Final

import requests

from slipway_cli.contexts import Registry
from slipway_cli.credentials import Credentials
from slipway_cli.failures import Away, Failed, NoRight, NotThere
from slipway_cli.printable import printable

# Answers that are another one a little later.
PASSING: Final = frozenset({429, 502, 503, 504})
_LONGEST: Final = 1000


def refusal(registry: Registry, credentials: Credentials | None, answer: requests.Response) -> Failed:
    """Makes the failure of an answer from 300 on."""
    said, host, codes = _said(answer), registry.host, requests.codes
    match answer.status_code:
        case codes.unauthorized:
            found: Failed = _not_signed_in(host, credentials, said)
        case codes.forbidden:
            found = NoRight(said)
        case codes.not_found if _code(answer) == "UNSUPPORTED":
            found = Failed(f"{host} has no such endpoint: {said}", "is it of an older release than this command line?")
        case codes.not_found if not _code(answer):
            found = no_slipway(host, f"{answer.status_code} ({said})")
        case codes.not_found:
            found = NotThere(said, said=_code(answer))
        case codes.too_many_requests:
            found = Away(f"{host}: {said}", f"again in {answer.headers.get('Retry-After', 'a few')} s")
        case status if status < codes.bad_request:
            where = answer.headers.get("Location", "elsewhere")
            found = Away(f"{host} sends to {where} instead of answering", "is that the registry's address?")
        case status if status >= codes.internal_server_error:
            advice = "trying again later helps" if status in PASSING else "trying again won't help: its log tells more"
            found = Away(f"{host} answers {status}: {said}", advice)
        case _:
            found = Failed(said, said=_code(answer))
    return found


def _not_signed_in(host: str, credentials: Credentials | None, said: str) -> NoRight:
    if credentials is None:
        return NoRight(said, f"`slipway login {host}` or `docker login {host}`")
    return NoRight(f"{said} (signed in by {credentials.source})", f"`slipway login {host}` signs in anew")


def no_slipway(host: str, answer: str) -> Away:
    """Makes the failure of what answers otherwise than a Slipway does, such as another registry, or the web server in
    front of one.
    """
    return Away(f"{host} answers {answer}: is that a Slipway?", f"`slipway doctor {host}` looks at what is there")


def away(registry: Registry, error: requests.RequestException) -> Away:
    """Says in words that say what to look at."""
    host = registry.host
    if isinstance(error, requests.exceptions.SSLError):
        return Away(
            f"{host}: its certificate is refused, or it speaks no TLS: {reason(error)}",
            "a certificate authority of your own: REQUESTS_CA_BUNDLE=FILE; plain HTTP: --registry http://HOST",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return Away(f"{host}: the proxy refuses: {reason(error)}", "look at HTTPS_PROXY and NO_PROXY")
    if isinstance(error, requests.Timeout):
        return Away(f"{host} doesn't answer in time", "trying again may help")
    return Away(f"{host} can't be reached: {reason(error)}", f"`slipway doctor {host}` looks at what lies between")


def reason(error: BaseException) -> str:
    """Returns the innermost one: what stands around it are names of classes."""
    text = str(error)
    if match := re.search(r"\[Errno -?\d+\] ([^'\")]+)", text):
        return match[1].strip()
    if match := re.search(r"\[SSL[^\]]*\] ([^('\"]+)", text):
        return match[1].strip()
    return text.rpartition(": ")[2].strip("'\")( ")[:200] or type(error).__name__


def _error(answer: requests.Response) -> dict[str, Any]:
    try:
        first = answer.json()["errors"][0]
    except (ValueError, LookupError, TypeError):
        return {}
    return first if isinstance(first, dict) else {}


def _code(answer: requests.Response) -> str:
    return str(_error(answer).get("code", ""))


def _said(answer: requests.Response) -> str:
    error = _error(answer)
    detail = error.get("detail")
    what = ": " + ", ".join(str(value) for value in detail.values()) if isinstance(detail, dict) and detail else ""
    text = f"{error['message']}{what}" if error.get("message") else answer.reason or str(answer.status_code)
    return printable(text)[:_LONGEST]
