"""Looking at a GC run from outside: the store with its faults, the rows, the log."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import requests

from functions.registry.metadata.driver import Connection
from tests.support import Registry


def select(registry: Registry, sql: str) -> list[list[Any]]:
    connection = Connection(registry.services.settings.database)
    outcome = connection.run([(sql, {})])[0].rows
    connection.close()
    return outcome


class Store:
    """The fake, with faults to plan for this test's bucket."""

    def __init__(self, address: str, bucket: str) -> None:
        self._address, self._bucket = address, bucket

    def fail(self, match: str, action: str = "status", **fault: object) -> None:
        planned = {"match": match, "action": action, "count": 1000, **fault}
        requests.post(f"{self._address}/_faults", json=planned, timeout=10).raise_for_status()

    def fail_object(self, name: str, status: int) -> None:
        self.fail(f"DELETE .*/b/{self._bucket}/o/{quote(name, safe='')}", status=status)

    def recover(self) -> None:
        requests.delete(f"{self._address}/_faults", timeout=10).raise_for_status()

    def objects(self) -> set[str]:
        answer = requests.get(f"{self._address}/storage/v1/b/{self._bucket}/o", timeout=10)
        return {entry["name"] for entry in answer.json().get("items", [])}

    def delete(self, name: str) -> None:
        path = f"/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
        requests.delete(f"{self._address}{path}", timeout=10).raise_for_status()


def logged(capsys: pytest.CaptureFixture[str], message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]
