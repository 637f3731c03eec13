"""What a browser does at the console: it follows no redirect by itself, and sends forms with their hidden fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final
from unittest import mock

from werkzeug.test import Client, TestResponse

from functions.registry import telemetry
from functions.registry.wiring import Services

OWN_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin"}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append({"action": values.get("action", ""), "method": values.get("method", "get")})
        elif tag in {"input", "button"} and self.found and values.get("name"):
            self.found[-1].setdefault(values["name"], values.get("value", ""))


@dataclass(frozen=True)
class Browser:
    client: Client
    services: Services

    def get(self, path: str, **options: Any) -> TestResponse:
        headers = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", **options.pop("headers", {})}
        return self.client.get(path, headers=headers, **options)

    def page(self, path: str) -> str:
        """The text of a page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    def forms(self, path: str) -> list[dict[str, str]]:
        parser = _Forms()
        parser.feed(self.page(path))
        return parser.found

    def send(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        return self.client.post(path, data=fields, headers=OWN_ORIGIN if headers is None else headers)

    def fill(self, page: str, action: str, **fields: str) -> TestResponse:
        """Sends the form of the page that goes to `action`, with these fields beside its hidden ones."""
        form = next(form for form in self.forms(page) if form["action"] == action and form["method"] == "post")
        hidden = {name: value for name, value in form.items() if name not in {"action", "method"}}
        return self.client.post(action, data={**hidden, **fields}, headers=OWN_ORIGIN)

    def sign_in(self, name: str, secret: str) -> TestResponse:
        return self.send("/console/sign-in", name=name, password=secret, next="/console/")

    def statements(self, path: str) -> list[list[str]]:
        """The names of the statements of each trip to the database that a page makes."""
        trips: list[list[str]] = []
        self.services.schema.require()
        with mock.patch.object(telemetry, "count_statements", lambda names, _: trips.append(list(names))):
            self.page(path)
        return trips


def text_of(html: str) -> str:
    """Without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
