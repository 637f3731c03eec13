"""Protection of tags that came with an external issuer's token: GitLab's, which keeps its rules there.

Our own rules are in the database, where the statement that writes obeys them.
"""

from __future__ import annotations

from collections.abc import Sequence

from functions.api.web.context import Context
from functions.registry.auth.tag_limits import PatternRefused, RepositoryLimits
from functions.registry.oci.errors import Denied
from functions.registry.oci.name import Reference, RepositoryName, Tag


def require_pushable(context: Context, repository: RepositoryName, tags: Sequence[Tag]) -> list[Tag]:
    """Refuses tags that the token protects, and returns those that must not be there yet: at them the push itself
    looks. Raises Denied.
    """
    limits = _limits(context, repository)
    if limits is None:
        return []
    try:
        for tag in tags:
            if limits.denies_push(tag):
                raise Denied(f"the token protects tag {tag} against pushes")
        return [tag for tag in tags if limits.is_immutable(tag)]
    except PatternRefused as refused:
        raise Denied(str(refused)) from refused


def require_deletable(context: Context, repository: RepositoryName, reference: Reference) -> None:
    """Raises Denied. By digest nothing is deleted while any pattern is there: some of its tags might be protected."""
    limits = _limits(context, repository)
    if limits is None:
        return
    try:
        if not isinstance(reference, Tag):
            if limits.keeps_manifests:
                raise Denied("the token protects tags: delete by tag")
        elif limits.denies_delete(reference) or limits.is_immutable(reference):
            raise Denied(f"the token protects tag {reference} against deletion")
    except PatternRefused as refused:
        raise Denied(str(refused)) from refused


def require_removable(context: Context, repository: RepositoryName) -> None:
    """Requires that the repository with all its tags may be deleted. Raises Denied."""
    limits = _limits(context, repository)
    if limits is not None and limits.keeps_manifests:
        raise Denied("the token protects tags: delete them by name")


def _limits(context: Context, repository: RepositoryName) -> RepositoryLimits | None:
    return context.caller.limits.of(repository) if context.caller.limits else None
