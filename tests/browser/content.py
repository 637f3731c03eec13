"""What the browser finds: the images of `make seed`, a list of more tags than a page shows, and what waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from local.showcase import show
from local.showcase_content import Program, Pusher

TAGS: Final = 60
_ETL: Final = Program("data/etl", ("run",), "python3", ("amd64",))


def fill(data: Path, secret: str) -> None:
    """Fills a registry whose data lies in that folder."""
    told = json.loads((data / "run.json").read_text())
    show(told["registry"], secret, told["database"])
    pusher = Pusher(told["registry"], secret)
    image = json.loads(pusher.image(_ETL, "build-000", "1", "amd64"))
    for number in range(1, TAGS):
        pusher.manifest(_ETL.repository, f"build-{number:03}", image)
    subscription = {"name": "deploys", "repositories": "shop/**", "target": "https://hooks.example.com/slipway"}
    pusher.ask("POST", "/api/v1/subscriptions", json=subscription)
    pusher.ask("POST", "/api/v1/imports", json={"address": "https://old-registry.example.com"})
