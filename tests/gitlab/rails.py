"""GitLab as a registry sees it: its tokens, how it reads a Link header, and what its client asks."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt
from werkzeug.test import TestResponse

from functions.registry.auth.keys import VerificationKey
from tests.issuer import rsa_key
from tests.support import Registry

KEY: Final = rsa_key()
ISSUER: Final = "omnibus-gitlab-issuer"
SERVICE: Final = "container_registry"
_LONGEST_LINK: Final = 500


def links(response: TestResponse) -> dict[str, dict[str, str]]:
    """`next` and `previous` → the link's query. A link that Rails can't read is none: its listing would end early."""
    found = {}
    for part in response.headers.get("Link", "").split(","):
        match = re.fullmatch(r'\s*<([^>]+)>; rel="(next|previous)"\s*', part)
        if match and len(match[1]) <= _LONGEST_LINK:
            found[match[2]] = {name: values[0] for name, values in parse_qs(urlsplit(match[1]).query).items()}
    return found


def access(name: str, *actions: str, **meta: Any) -> dict[str, Any]:
    kind = "registry" if name in {"catalog", "statistics", "background-migrations"} else "repository"
    return {"type": kind, "name": name, "actions": list(actions), **({"meta": meta} if meta else {})}


def token(*granted: dict[str, Any], audience: Any = SERVICE, **claims: Any) -> str:
    """Makes one as JWT::Builder of GitLab's token service does: RS256, libtrust's key id, a signed user inside."""
    now, kid = int(time.time()), VerificationKey.of(KEY.public_key()).fingerprint
    user = jwt.encode({"user_info": {"username": "root"}}, "a secret of GitLab's own, of 32 bytes or more")
    document = {
        "access": list(granted),
        "jti": str(uuid.uuid4()),
        "aud": audience,
        "iss": ISSUER,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
        "sub": "root",
        "auth_type": "gitlab_or_ldap",
        "user": user,
        **claims,
    }
    return jwt.encode(document, KEY, algorithm="RS256", headers={"kid": kid})


@dataclass
class Rails:
    """The client of GitLab's application, with one token for all that it asks."""

    registry: Registry
    token: str

    def ask(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {
            "Authorization": f"bearer {self.token}",
            "User-Agent": "GitLab/18.2.0",
            **({"Accept": "application/json"} if path.startswith("/gitlab/v1/") else {}),
            **options.pop("headers", {}),
        }
        return self.registry.request(method, path, headers=headers, **options)

    def json(self, path: str, **query: str) -> Any:
        """Rails parses this type only."""
        response = self.ask("GET", path, query_string=query)
        assert (response.status_code, response.mimetype) == (200, "application/json"), response.text
        return response.get_json()

    def walk(self, path: str, way: str, **query: str) -> Iterator[list[Any]]:
        """The pages as Rails follows them: `next` by `last`, `previous` by `before`."""
        marker = {"next": "last", "previous": "before"}[way]
        while True:
            response = self.ask("GET", path, query_string=query)
            assert response.status_code == 200, response.text
            yield response.get_json()
            following = links(response).get(way)
            if following is None:
                return
            query = {**query, marker: following[marker]}
