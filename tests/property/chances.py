"""What chance has to choose from."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from tests.property.client import Way
from tests.property.interruption import GC_STEPS, PUSH_STEPS, Point
from tests.property.model import CONTENTS, REPOSITORIES, TAGS

REPOSITORY: Final = st.sampled_from(REPOSITORIES)
TAG: Final = st.sampled_from(TAGS)
TAG_OR_NONE: Final = st.none() | st.none() | TAG
CONTENT: Final = st.sampled_from(CONTENTS)
CONFIG: Final = st.integers(0, 1)
# Most clients ask first.
WAY: Final = st.just(Way.CHECKING) | st.sampled_from(Way)
HOURS: Final = st.sampled_from([0.0, 0.5, 1.5, 11.0, 13.0, 25.0, 25.0, 49.0])
COLLECTORS: Final = st.integers(1, 3)
PUSH_POINT: Final = st.builds(Point, st.sampled_from(PUSH_STEPS), st.booleans(), st.integers(1, 3))
GC_POINT: Final = st.builds(Point, st.sampled_from(GC_STEPS), st.booleans(), st.integers(1, 3))
