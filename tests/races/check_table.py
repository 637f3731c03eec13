"""Writes docs/check-races.md: what comes of the steps of a check, a repair and a backup, and all that they may meet.

python -m tests.races.check_table [ORDERS] > docs/check-races.md
"""

from __future__ import annotations

import sys
from typing import Final

from tests.races.check_pairs import CHECK_PAIRS, CheckArena
from tests.races.check_scenes import CHECK_SCENES
from tests.races.table import drawn, server_url

_ORDERS: Final = 8
_INTRODUCTION: Final = """\
# Races of checks and backups

Written by `python -m tests.races.check_table > docs/check-races.md`, as [gc-races.md](gc-races.md) is: two operations
stop before each statement, each COMMIT and each look at the store, and take their steps in turns. Of each pair in each
scene {orders} orders are run: the two that do not interleave, and others drawn evenly; {total} in all. Besides what is
checked there, after each of them

- nothing was found that is not so: no object was taken for missing, unknown or somebody else's, no row for a leak;
- nothing is marked as damaged that is whole: no blob, no manifest;
- what the other was told still holds: a push, a mount, a deletion, a step of an import, a restore;
- a backup that is sealed has copied every object that its rows name, but for those that were lost before;
- an object that was kept by `slipway fsck undo` is not deleted.

*Compare* is what a check does with objects, manifests, repositories, blobs and figures. *Repair* does whatever is to be
done about what a check has found in the scene, and *backup* takes its hold, reads the rows, copies each object, and
seals. Deletions are due at once here, so that what is collected while a backup is made would be gone.

## Scenes

"""
_WORDS: Final = """
## Outcomes

Outcomes are those of the first / those of the second, with the number of orders that led to each.

| First | Second | Scene | Orders | Outcomes |
|---|---|---|---|---|
"""


def main(orders: int) -> None:
    with server_url() as url, CheckArena(url) as arena:
        rows, total = drawn(arena, CHECK_PAIRS, orders)
    scenes = "\n".join(f"- *{scene.name}*: {scene.told}." for scene in CHECK_SCENES.values())
    introduction = _INTRODUCTION.format(orders=orders, total=total)
    sys.stdout.write(introduction + scenes + "\n" + _WORDS + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ORDERS)
