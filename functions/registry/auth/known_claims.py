"""The claims that the large issuers' identities have, as their documentation lists them.

A trusted publisher with a misspelt claim is no danger, for no identity ever has it; but its author waits for a job that
is let in by it, and is told nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from functions.registry.auth.federation import GITHUB, GITLAB, GOOGLE

_STANDARD: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    GITHUB: _STANDARD
    | {
        "actor", "actor_id", "base_ref", "check_run_id", "enterprise", "enterprise_id", "environment",
        "environment_node_id", "event_name", "head_ref", "issuer_scope", "job_workflow_ref", "job_workflow_sha", "ref",
        "ref_protected", "ref_type", "repository", "repository_id", "repository_owner", "repository_owner_id",
        "repository_visibility", "run_attempt", "run_id", "run_number", "runner_environment", "sha", "workflow",
        "workflow_ref", "workflow_sha",
    },
    GITLAB: _STANDARD
    | {
        "ci_config_ref_uri", "ci_config_sha", "deployment_action", "deployment_tier", "environment",
        "environment_action", "environment_protected", "job_id", "job_namespace_id", "job_namespace_path",
        "job_policy_ref_sha", "job_policy_ref_uri", "job_project_id", "job_project_path", "job_source", "namespace_id",
        "namespace_path", "pipeline_id", "pipeline_source", "project_id", "project_path", "project_visibility", "ref",
        "ref_path", "ref_protected", "ref_type", "runner_environment", "runner_id", "sha", "user_access_level",
        "user_email", "user_id", "user_login",
    },
    # `access_token` is ours: it says that a Google access token will do as well.
    GOOGLE: _STANDARD
    | {
        "access_token", "at_hash", "azp", "email", "email_verified", "family_name", "given_name", "hd", "locale",
        "name", "nonce", "picture",
    },
}  # fmt: skip
# From which on a word is taken for another one that is misspelt.
_LEAST_LIKENESS: Final = 0.75
# An organisation's own properties of its repositories.
_OWN: Final[Mapping[str, str]] = {GITHUB: "repo_property_"}


def require_known(issuer: str, name: str) -> None:
    """Raises ValueError, with the nearest claim that there is. Of an issuer that isn't listed here all claims pass."""
    known = _KNOWN.get(issuer)
    own = _OWN.get(issuer)
    if known is None or name in known or (own is not None and name.startswith(own)):
        return
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_LEAST_LIKENESS)
    advice = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known - _STANDARD))}"
    raise ValueError(f"can't have {name}, which no identity of {issuer} has: {advice}")
