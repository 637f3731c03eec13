"""What becomes of one tag by retention, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response

from functions.api.v1.retention import routes
from functions.api.web.context import Context
from functions.api.web.responses import answer
from functions.registry.metadata.content import repositories
from functions.registry.oci.errors import ManifestUnknown, NameUnknown
from functions.registry.retention import explaining, judging
from functions.registry.retention.explaining import Explanation
from functions.registry.retention.verdicts import SECOND

_NO_POLICY = "no retention policy decides about this repository"
_FOLLOWED = "the registry that the repository is imported from decides about it"


def explain_tag(context: Context, route: routes.ExplainTag) -> Response:
    database = context.services.database
    leeway = judging.leeway(context.services.settings.pulls_and_pushes_interval_seconds)
    found = explaining.explain(database, route.repository, route.tag, leeway)
    if found is None:
        if not repositories.exists(database, route.repository):
            raise NameUnknown(name=route.repository)
        raise ManifestUnknown(reference=str(route.tag))
    return answer({"repository": route.repository, "tag": route.tag, **_shown(found)})


def _shown(found: Explanation) -> dict[str, Any]:
    tag, verdict, policy = found.known.facts, found.verdict, found.policy
    return {
        "digest": found.known.digest,
        "policy": None if policy is None else policy.name,
        "mode": None if policy is None else policy.mode,
        "verdict": "remove" if verdict is not None and verdict.removes else "keep",
        "reason": None if verdict is None else verdict.reason,
        "rule": None if verdict is None else verdict.rule,
        "why": verdict.why if verdict is not None else _FOLLOWED if found.is_followed else _NO_POLICY,
        "may_change_at": None if verdict is None or verdict.again_at is None else _moment(verdict.again_at),
        "pushed_at": _moment(tag.pushed_at),
        "pulled_at": None if tag.pulled_at is None else _moment(tag.pulled_at),
        "size": tag.size,
    }


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / SECOND, UTC).isoformat()
