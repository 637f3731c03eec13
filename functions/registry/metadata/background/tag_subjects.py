"""The background migration `tag_subjects`: tags from before the column say as well what they belong to."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.background.keys import Key
from functions.registry.metadata.db import Session, Statement, compose

_KEY: Final = Key("tags", (("repository_id", "bigint"), ("name", "text")))

PART: Final = _KEY.part("background_part_of_tags")

# In the order of their keys, which an UPDATE alone would not keep to.
_LOCK: Final = Statement(
    "background_lock_tags_without_subject",
    int,
    compose(
        """
    SELECT 1 FROM tags
     WHERE $between AND subject IS DISTINCT FROM tag_subject(name)
     ORDER BY repository_id, name
       FOR NO KEY UPDATE
    """,
        between=_KEY.between(),
    ),
)

_FILL: Final = Statement(
    "background_fill_tag_subjects",
    int,
    compose(
        """
    UPDATE tags SET subject = tag_subject(name)
     WHERE $between AND subject IS DISTINCT FROM tag_subject(name)
    """,
        between=_KEY.between(),
    ),
)


def fill(session: Session, after: str, upto: str) -> None:
    """Fills those behind `after`, as far as `upto`. Most tags belong to nothing, and are not written."""
    session.batch([_LOCK(after=after, upto=upto), _FILL(after=after, upto=upto)])
