"""`python -m tests.conformance.all`: the new suite and the classic one, in every version, mode and order."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from tests.conformance import classic, classic_suite, run
from tests.conformance.run import report, say

MODES: Final = {
    "open": {"SLIPWAY_ACCESS": "open", "SLIPWAY_BLOB_DELIVERY": "redirect"},
    "streaming": {"SLIPWAY_ACCESS": "open", "SLIPWAY_BLOB_DELIVERY": "streaming"},
    "token": {"SLIPWAY_ACCESS": "token", "SLIPWAY_BLOB_DELIVERY": "redirect"},
}


def main() -> int:
    code = run.main()
    for version in classic.VERSIONS:
        if reason := classic_suite.build(version):
            say(f"classic {version}: our own table of its requests is asked instead: {reason}")
    try:
        with ProcessPoolExecutor(len(MODES), get_context("spawn")) as pool:
            runs = [pool.submit(classic.run_all, mode, settings) for mode, settings in MODES.items()]
            return max(code, report([outcome for one in runs for outcome in one.result()]))
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main())
