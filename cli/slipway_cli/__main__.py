from __future__ import annotations

from slipway_cli.main import main

main()
