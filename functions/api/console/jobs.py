"""What a CI job needs to sign in as a robot without a secret, as it is pasted into its file (docs/clients.md)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from functions.registry.auth.federation import GITHUB, GITLAB

_GITHUB: Final = """permissions:
  id-token: write
  contents: read
steps:
  - run: |
      curl -sSf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \\
        "$ACTIONS_ID_TOKEN_REQUEST_URL&audience={service}" |
        jq -r .value | docker login -u oidc+{robot} --password-stdin {host}
"""
_GITLAB: Final = """push:
  id_tokens:
    IDENTITY:
      aud: {service}
  script:
    - echo "$IDENTITY" | docker login -u oidc+{robot} --password-stdin {host}
"""
_OF: Final = {GITHUB: ("GitHub Actions", _GITHUB), GITLAB: ("GitLab CI", _GITLAB)}


def shown(issuers: Collection[str], robot: str, host: str, service: str) -> list[tuple[str, str]]:
    """Returns the CI systems among the issuers, each with what stands in a job's file."""
    found = [told for issuer, told in _OF.items() if issuer in issuers]
    return [(name, text.format(robot=robot, host=host, service=service)) for name, text in found]
