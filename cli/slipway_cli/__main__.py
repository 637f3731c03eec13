from __future__ import annotations

from slipway_cli.start import main

main()
