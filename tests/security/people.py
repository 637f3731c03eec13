"""Who comes to a guarded registry: robots with a role each, who sign in as clients do."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from werkzeug.test import TestResponse

from functions.registry.auth.secrets import Peppers, make_secret
from functions.registry.metadata.access import credentials, grants, principals
from tests.support import Registry

ROLES: Final = ("reader", "writer", "maintainer", "admin")


@dataclass(frozen=True)
class Guarded(Registry):
    """A registry in token mode."""

    def robot(self, name: str, *granted: tuple[str, str], is_admin: bool = False) -> str:
        """A principal with (pattern, role) grants; its secret."""
        database = self.services.database
        principal = (
            principals.create_user(database, name, is_admin=True)
            if is_admin
            else principals.create_robot(database, name)
        )
        for pattern, role in granted:
            grants.add(database, principal.id, pattern, role)
        return self.secret_of(principal.id)

    def secret_of(self, principal_id: int, **more: Any) -> str:
        secret = make_secret()
        hashed = Peppers(self.services.settings.pepper).hash(secret.text)
        credentials.add_secret(self.services.database, principal_id, "test", secret.id, hashed, **more)
        return secret.text

    def ask_token(self, name: str | None, secret: str | None, *scopes: str, **more: str) -> TestResponse:
        query = urlencode([("service", "slipway"), *(("scope", scope) for scope in scopes), *more.items()])
        headers = {"Authorization": basic(name, secret)} if name is not None and secret is not None else {}
        return self.get(f"/token?{query}", headers=headers)

    def token(self, name: str | None, secret: str | None, *scopes: str) -> str:
        response = self.ask_token(name, secret, *scopes)
        assert response.status_code == 200, response.text
        token: str = response.get_json()["token"]
        return token

    def as_bearer(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def claims(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    body = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded
