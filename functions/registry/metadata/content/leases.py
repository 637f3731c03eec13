"""When what a HEAD finds has to be renewed, so that a push may rely on it.

Nothing goes before its review is due, and reviews only ever move later: where it is due in more than half a lease, or
where there is none, looking is enough. Otherwise the row is locked and its review put off (docs/gc.md, "What a HEAD
promises").
"""

from __future__ import annotations

from typing import Final

# The half minute is the most that chance adds to half of what `grace('lease')` gives. Without a setting for leases
# every review counts. Stands in the columns of a statement that joins `repositories`, and `review` if there is one.
IS_DUE_SOON: Final = """
    coalesce(review.review_after < now() + (
                 SELECT coalesce(repositories.grace, settings.grace) / 2 + interval '30 seconds'
                   FROM gc_settings AS settings WHERE settings.event = 'lease'),
             review.event IS NOT NULL)
"""
