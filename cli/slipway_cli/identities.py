"""The identity that a CI system gives its job: it signs in without any secret, as the robot that trusts it."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

import requests

from slipway_cli.credentials import Credentials
from slipway_cli.failures import Away
from slipway_cli.refusals import reason

_SECONDS: Final = 20
_GOOGLE: Final = "http://{host}/computeMetadata/v1/instance/service-accounts/default/identity"


def find_identity(audience: str) -> Credentials | None:
    """`audience` is the registry's name of itself. SLIPWAY_ROBOT says as which robot, if several trust the job.

    Raises Away if the CI system says that there is one, and doesn't give it.
    """
    robot = os.environ.get("SLIPWAY_ROBOT", "")
    name = f"oidc+{robot}" if robot else "oidc"
    if token := os.environ.get("SLIPWAY_ID_TOKEN"):
        return Credentials("SLIPWAY_ID_TOKEN, the job's identity", name, token)
    if address := os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return Credentials("the identity of this GitHub job", name, _of_github(address, audience))
    if os.environ.get("K_SERVICE") or os.environ.get("CLOUD_RUN_JOB") or os.environ.get("GCE_METADATA_HOST"):
        return Credentials("the identity of this Google service account", name, _of_google(audience))
    return None


def _of_github(address: str, audience: str) -> str:
    bearer = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    answer = _ask(address, {"audience": audience}, {"Authorization": f"Bearer {bearer}"})
    try:
        return str(answer.json()["value"])
    except (ValueError, KeyError, TypeError) as error:
        raise Away(f"{urlsplit(address).netloc} gives something else than the job's identity") from error


def _of_google(audience: str) -> str:
    address = _GOOGLE.format(host=os.environ.get("GCE_METADATA_HOST", "metadata.google.internal"))
    return _ask(address, {"audience": audience, "format": "full"}, {"Metadata-Flavor": "Google"}).text.strip()


def _ask(address: str, parameters: dict[str, str], headers: dict[str, str]) -> requests.Response:
    try:
        answer = requests.get(address, params=parameters, headers=headers, timeout=_SECONDS, allow_redirects=False)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise Away(
            f"the job's identity can't be had at {urlsplit(address).netloc}: {reason(error)}",
            "on GitHub: does the workflow have `permissions: id-token: write`?",
        ) from error
    return answer
