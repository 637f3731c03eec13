"""What tags reach in a repository, found out at once for all its manifests, outside the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

# Pairs of which the first holds the second: an index holds what it lists, and a subject its referrers.
HOLDING: Final = """
        SELECT parent_id AS above, child_id AS below
          FROM manifests JOIN manifest_children ON parent_id = manifests.id
         WHERE manifests.repository_id = :repository_id
         UNION ALL
        SELECT listed.manifest_id, child.id
          FROM sparse_references AS listed
          JOIN manifests AS child ON child.repository_id = listed.repository_id AND child.digest = listed.digest
         WHERE listed.repository_id = :repository_id
         UNION ALL
        SELECT subject.id, referrer.id
          FROM manifests AS referrer
          JOIN manifests AS subject
            ON subject.repository_id = referrer.repository_id AND subject.digest = referrer.subject
         WHERE referrer.repository_id = :repository_id AND referrer.subject IS NOT NULL
"""


def reached(tagged: Iterable[int], above: Iterable[int], below: Iterable[int]) -> set[int]:
    """Finds what is_reached finds upwards from one manifest, downwards from the tags and for all at once."""
    holding: dict[int, list[int]] = defaultdict(list)
    for one, other in zip(above, below, strict=True):
        holding[one].append(other)
    found = set(tagged)
    left = list(found)
    while left:
        for other in holding.get(left.pop(), ()):
            if other not in found:
                found.add(other)
                left.append(other)
    return found
