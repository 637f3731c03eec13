"""What another issuer's token forbids, in the push itself: GitLab keeps its patterns of tags there, for RE2 to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from functions.registry.metadata.db import Call, Statement
from functions.registry.oci.name import RepositoryName, Tag

# Without such a tag the text is NULL, and nothing is refused.
_UNLESS_TAGGED: Final = Statement(
    "limits_unless_tagged",
    str,
    """
    SELECT refuse((
           SELECT 'the token makes tag ' || min(tags.name) || ' immutable'
             FROM repositories
            CROSS JOIN unnest(CAST(:tags AS text[])) AS pushed (name)
             JOIN tags ON tags.repository_id = repositories.id AND tags.name = pushed.name
            WHERE repositories.name = :repository))
    """,
    is_hot=True,
)


def unless_tagged(repository: RepositoryName, tags: Sequence[Tag]) -> Call[str]:
    """Returns what to put behind `begin_push`, which locks the tags, and before the rest of a push: none of them may be
    there.

    It raises ChangeRefused.
    """
    return _UNLESS_TAGGED(repository=repository, tags=list(tags))
