"""A registry in token mode for the tests of the administration's API: the one that the security tests attack."""

from __future__ import annotations

from tests.gc.conftest import hasty
from tests.security.conftest import access_secrets, guarded, token_services

__all__ = ["access_secrets", "guarded", "hasty", "token_services"]
