"""What a cold start may load, in packages and not in seconds: the budget of the first requests to an instance."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import Any, Final

from functions.migrate.administrator import make_administrator
from functions.registry.config import Settings
from local.access import make_access_secrets
from tests.conftest import ROOT
from tests.support import Registry

_FRAMEWORK: Final = {
    *("functions_framework", "cloudevents", "deprecation", "dateutil", "packaging", "gunicorn"),
    *("flask", "werkzeug", "click", "jinja2", "markupsafe", "itsdangerous", "blinker"),
    # Names that the framework makes up for functions of an older kind.
    *("google.cloud.functions", "google.cloud.functions_v1"),
}
_DRIVER: Final = {"pg8000", "scramp", "asn1crypto"}
_CHECKSUMS: Final = {"google_crc32c"}
_COLD: Final = _FRAMEWORK | _DRIVER | _CHECKSUMS
# Signatures of tokens. Nothing of passwords: the administrator's secret is a long one, whose hash is quick.
_TOKENS: Final = {"jwt", "cryptography"}
# Helpers of packages that compile something.
_OF_NO_ACCOUNT: Final = {"_cffi_backend", "_openssl", "six"}

# What an interpreter has loaded before it does anything is the machine's own: Debian's has a `sitecustomize`.
_SCRIPT: Final = """
import sys
bare = set(sys.modules)
import json
import functions_framework
from werkzeug.test import Client

def packages():
    depth = {"google": 3}
    parts = [name.split(".") for name in sys.modules if name not in bare]
    names = {".".join(part[: depth.get(part[0], 1)]) for part in parts}
    known = {*sys.stdlib_module_names, "functions", "main", "google", "google.cloud", "__main__"}
    return sorted(name for name in names - known if not name.startswith("_sysconfigdata"))

client = Client(functions_framework.create_app("api", "functions/api/main.py"))
loaded = [packages()]
for path, headers in json.loads(sys.argv[1]):
    if "Authorization" in headers and headers["Authorization"] == "the token":
        headers["Authorization"] = "Bearer " + token
    answer = client.get(path, headers=headers)
    assert answer.status_code in (200, 307, 401), (path, answer.status_code)
    token = answer.get_json()["token"] if path.startswith("/token") else ""
    loaded.append(packages())
print(json.dumps(loaded))
"""


def _loaded(environment: dict[str, str], requests: list[tuple[str, dict[str, str]]]) -> list[set[str]]:
    """Packages after the start, and after each request."""
    finished = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(requests)],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    stages: list[list[str]] = json.loads(finished.stdout.splitlines()[-1])
    return [set(stage) - _OF_NO_ACCOUNT for stage in stages]


def _config(image: Any) -> str:
    return f"/v2/a/b/blobs/{image.blob_digests[0]}"


def test_the_first_request_and_a_pull_load_nothing_more_than_the_start(
    registry: Registry, environment: dict[str, str]
) -> None:
    image = registry.push_image("a/b", "v1")
    paths = ["/v2/", "/v2/a/b/manifests/v1", _config(image)]
    for loaded in _loaded(environment, [(path, {}) for path in paths]):
        assert loaded <= _COLD


def test_a_sign_in_and_a_pull_load_what_tokens_take_and_nothing_else(
    registry: Registry, environment: dict[str, str]
) -> None:
    image = registry.push_image("a/b", "v1")
    environment |= {**make_access_secrets(), "SLIPWAY_ACCESS": "token"}
    environment["SLIPWAY_TOKEN_REALM"] = "http://127.0.0.1/token"
    make_administrator(Settings.from_environment(environment))
    credentials = base64.b64encode(f"admin:{environment['SLIPWAY_ADMIN_SECRET']}".encode()).decode()
    sign_in = ("/token?service=slipway&scope=repository:a/b:pull", {"Authorization": f"Basic {credentials}"})
    with_token = {"Authorization": "the token"}
    start, refused, signed_in = _loaded(environment, [("/v2/", {}), sign_in])
    assert start <= _COLD
    assert refused <= _COLD
    assert signed_in <= _COLD | _TOKENS
    for path in ("/v2/a/b/manifests/v1", _config(image)):
        assert _loaded(environment, [sign_in, (path, with_token)])[-1] <= _COLD | _TOKENS
