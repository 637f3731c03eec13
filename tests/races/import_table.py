"""Writes docs/import-races.md: what comes of each step of an import and everything that it may meet.

python -m tests.races.import_table [ORDERS] > docs/import-races.md
"""

from __future__ import annotations

import sys
from typing import Final

from tests.races.import_pairs import DISTURBED_PAIRS, IMPORT_PAIRS, ImportArena
from tests.races.old_layout import IMPORT_SCENES
from tests.races.table import drawn, server_url

_ORDERS: Final = 8
_INTRODUCTION: Final = """\
# Races of an import

Written by `python -m tests.races.import_table > docs/import-races.md`, as [gc-races.md](gc-races.md) is: two operations
stop before each statement and each COMMIT, and take their steps in turns. Of each pair in each scene {orders} orders
are run: the two that do not interleave, and others drawn evenly; {total} in all. Besides what is checked there,
something is fetched and imported once more after each of them, and then

- nothing that was deleted here is back: no tag, no manifest, no repository;
- a tag that was pushed here names what was pushed;
- whatever is tagged can be pulled with all its blobs.

The older registry holds an image under two tags, an index that lists it and an artifact that refers to it. This
registry decides. *delta, moved* compares with a tag that was moved there since, *delta, deleted* with one that was
deleted. Of one that is *killed* the process dies in front of a statement or a COMMIT, another one in each order; one
that is *overslept* has lost its claim once it has listed what there is, so that the other takes it over, and goes on
all the same. Two that are alike are a message that came twice. After each that dies or sleeps another one comes, when
all claims are over: what nobody changed here is then as it is there.

## Scenes

"""
_WORDS: Final = """
## Outcomes

Outcomes are those of the first / those of the second, with the number of orders that led to each.

| First | Second | Scene | Orders | Outcomes |
|---|---|---|---|---|
"""


def main(orders: int) -> None:
    with server_url() as url, ImportArena(url) as arena:
        rows, total = drawn(arena, (*IMPORT_PAIRS, *DISTURBED_PAIRS), orders)
    scenes = "\n".join(f"- *{scene.name}*: {scene.told}." for scene in IMPORT_SCENES.values())
    introduction = _INTRODUCTION.format(orders=orders, total=total)
    sys.stdout.write(introduction + scenes + "\n" + _WORDS + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ORDERS)
