"""Google's APIs over REST, with nothing but the standard library: who deploys has Python, and no packages yet."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

# A stand-in for Google, on this machine: `http://127.0.0.1:PORT`. Its paths begin with the host that they stand for.
ENDPOINT_VARIABLE: Final = "SLIPWAY_GOOGLE_ENDPOINT"
# What Terraform's provider takes as well.
TOKEN_VARIABLE: Final = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105  # a variable's name
_GCLOUD_SECONDS: Final = 60
_SECONDS: Final = 20
_PAUSES: Final = (1.0, 2.0, 4.0)
_OPERATION_SECONDS: Final = 300
_MOST_BYTES: Final = 4 << 20
_FRESH_SECONDS: Final = 120
_PASSING: Final = (429, 500, 502, 503, 504)
_UNAUTHENTICATED: Final = 401
SERVICE_DISABLED: Final = "SERVICE_DISABLED"


class NotSignedIn(Exception):
    """There is no token, or it is no longer good; the message says what to do."""


class Refused(Exception):
    """An answer that stays the same. `status` is of HTTP, `reason` Google's word for it, such as SERVICE_DISABLED."""

    def __init__(self, status: int, reason: str, message: str, metadata: Mapping[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.metadata = metadata


class Unanswered(Exception):
    """No answer, or none that counts, after several attempts."""


class _Passing(Exception):
    """An attempt without an answer that counts."""


def access_token() -> str:
    """Takes that of the environment, or else that of gcloud. Raises NotSignedIn."""
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token
    try:
        done = subprocess.run(
            ["gcloud", "auth", "print-access-token", "--quiet"],  # noqa: S607  # wherever it is installed
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GCLOUD_SECONDS,
            check=True,
        )
    except FileNotFoundError:
        raise NotSignedIn(
            f"gcloud is not installed: https://cloud.google.com/sdk/docs/install, or put a token into {TOKEN_VARIABLE}"
        ) from None
    except subprocess.TimeoutExpired:
        raise NotSignedIn(f"gcloud gave no token within {_GCLOUD_SECONDS} s") from None
    except subprocess.CalledProcessError as failed:
        said = " ".join(failed.stderr.split())[:300]
        raise NotSignedIn(f"gcloud is not signed in, run `gcloud auth login`. It says: {said}") from None
    return done.stdout.strip()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A token goes nowhere but where it was meant to go."""


class Google:
    """Calls are repeated while the fault may pass; all of them may be. They raise Refused, Unanswered, NotSignedIn."""

    def __init__(
        self, token: str, project: str, *, seconds: float = _SECONDS, pauses: tuple[float, ...] = _PAUSES
    ) -> None:
        self._token = token
        self._project = project
        self._seconds = seconds
        self._pauses = pauses
        self._endpoint = _endpoint()
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._fresh: set[str] = set()
        self._fresh_until = 0.0

    def has_enabled(self, hosts: Iterable[str]) -> None:
        """These APIs are on from now on, and may still say otherwise for a minute or two: they are asked again."""
        self._fresh |= set(hosts)
        self._fresh_until = time.monotonic() + _FRESH_SECONDS

    def get(self, host: str, path: str, *, as_project: bool = True, **query: Any) -> Any:
        """Asks; with `as_project` what it costs in quota counts against the project, whose API has to be enabled for
        it.
        """
        return self._call(host, f"{path}?{urlencode(query, doseq=True)}" if query else path, None, as_project)

    def post(self, host: str, path: str, body: Mapping[str, Any], *, as_project: bool = True) -> Any:
        return self._call(host, path, json.dumps(body).encode(), as_project)

    def finished(self, host: str, version: str, operation: Any) -> Any:
        """Returns what a long-running operation ends with. Raises Refused if that is an error."""
        deadline = time.monotonic() + _OPERATION_SECONDS
        while not operation.get("done"):
            if time.monotonic() > deadline:
                raise Unanswered(f"{host}: not done after {_OPERATION_SECONDS} s")
            time.sleep(min(2.0, *self._pauses))
            operation = self.get(host, f"{version}/{operation['name']}", as_project=False)
        if "error" in operation:
            raise _refused(400, operation)
        return operation.get("response", {})

    def caller(self) -> str:
        """Tells who the token is of: a mail address. Raises NotSignedIn if it is of nobody."""
        body = urlencode({"access_token": self._token}).encode()
        try:
            return str(self._call("oauth2.googleapis.com", "tokeninfo", body, as_project=False, is_form=True)["email"])
        except Refused as refused:
            raise NotSignedIn(f"the token is not good, run `gcloud auth login`. Google says: {refused}") from None
        except KeyError:
            return "YOU"

    def _call(self, host: str, path: str, body: bytes | None, as_project: bool, *, is_form: bool = False) -> Any:
        headers = {"Content-Type": "application/x-www-form-urlencoded" if is_form else "application/json"}
        if not is_form:
            headers["Authorization"] = f"Bearer {self._token}"
        if as_project:
            headers["X-Goog-User-Project"] = self._project
        base = f"{self._endpoint}/{host}" if self._endpoint else f"https://{host}"
        request = urllib.request.Request(f"{base}/{path}", body, headers)  # noqa: S310  # https, or a loopback address
        pauses = iter(self._pauses)
        while True:
            try:
                return self._once(request)
            except _Passing as fault:
                pause = next(pauses, None)
                if pause is None:
                    raise Unanswered(f"{host}: {fault}, {len(self._pauses) + 1} times") from None
            except Refused as refused:
                if (
                    refused.reason != SERVICE_DISABLED
                    or host not in self._fresh
                    or time.monotonic() > self._fresh_until
                ):
                    raise
                pause = max(self._pauses, default=0)
            time.sleep(pause)

    def _once(self, request: urllib.request.Request) -> Any:
        """Raises _Passing for what another attempt may mend."""
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                return json.loads(answer.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                refused = _refused(error.code, _json(error.read(_MOST_BYTES)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _Passing(str(getattr(error, "reason", error)) or type(error).__name__) from None
        if refused.status in _PASSING:
            raise _Passing(f"{refused.status} {refused}")
        if refused.status == _UNAUTHENTICATED:
            raise NotSignedIn("the token is no longer good: run `gcloud auth login`")
        raise refused


def _endpoint() -> str:
    endpoint = os.environ.get(ENDPOINT_VARIABLE, "").rstrip("/")
    if endpoint and urlsplit(endpoint).hostname not in ("127.0.0.1", "::1", "localhost"):
        raise NotSignedIn(f"{ENDPOINT_VARIABLE} has to be an address of this machine: tokens are sent there")
    return endpoint


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return {}


def _refused(status: int, said: Any) -> Refused:
    error = said.get("error", {}) if isinstance(said, dict) else {}
    if not isinstance(error, dict):  # the token endpoint's form
        return Refused(status, str(error), str(said.get("error_description", error)), {})
    details = [one for one in error.get("details", []) if "reason" in one]
    reason = details[0]["reason"] if details else str(error.get("status", ""))
    metadata = details[0].get("metadata", {}) if details else {}
    return Refused(status, reason, " ".join(str(error.get("message", "no message")).split()), metadata)
