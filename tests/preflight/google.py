"""A fake of the endpoints that the preflight asks: it answers as Google's APIs do, as far as they are asked here.

tests/preflight/test_contract.py holds it against what Google's own client reads.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.preflight.project import NUMBER, PROJECT, REGION, GoogleProject

TOKEN: Final = "a-token"
_HANG_SECONDS: Final = 5
_P: Final = f"projects/(?:{PROJECT}|{NUMBER})"
_FOREIGN: Final = r"v1/(?:projects/\S+/cryptoKeys/\w+|billingAccounts/[\w-]+):testIamPermissions"


class Refusal(Exception):
    def __init__(self, code: int, status: str, message: str, reason: str = "", **metadata: str) -> None:
        super().__init__(message)
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}]
        error = {"code": code, "message": message, "status": status, "details": details if reason else []}
        self.code, self.document = code, {"error": error}


@dataclass(frozen=True)
class Request:
    query: dict[str, list[str]]
    body: Any
    found: re.Match[str]


@dataclass(frozen=True)
class Call:
    query: dict[str, list[str]]
    content: bytes


Handler = Callable[[GoogleProject, Request], Any]
_ROUTES: Final[list[tuple[str, str, str, Handler]]] = []


def _route(method: str, path: str, permission: str = "") -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        _ROUTES.append((method, path, permission, handler))
        return handler

    return add


@_route("GET", f"cloudresourcemanager.googleapis.com/v3/{_P}", "resourcemanager.projects.get")
def _project(project: GoogleProject, _: Request) -> Any:
    found = {"name": f"projects/{NUMBER}", "projectId": PROJECT, "state": project.state}
    return found | ({"parent": project.parent} if project.parent else {})


@_route("POST", f"cloudresourcemanager.googleapis.com/v3/{_P}:testIamPermissions")
def _project_permissions(project: GoogleProject, request: Request) -> Any:
    asked = request.body["permissions"]
    if len(asked) > 100:
        raise Refusal(400, "INVALID_ARGUMENT", "Request contains more than 100 permissions.")
    return {"permissions": [one for one in asked if one in project.permissions]}


@_route("GET", f"cloudbilling.googleapis.com/v1/{_P}/billingInfo", "resourcemanager.projects.get")
def _billing(project: GoogleProject, _: Request) -> Any:
    name = f"projects/{PROJECT}/billingInfo"
    account = "billingAccounts/012345-6789AB-CDEF01" if project.is_billed else ""
    found = {"name": name, "projectId": PROJECT, "billingAccountName": account}
    return found | ({"billingEnabled": True} if project.is_billed else {})


@_route("GET", f"serviceusage.googleapis.com/v1/{_P}/services:batchGet", "serviceusage.services.get")
def _services(project: GoogleProject, request: Request) -> Any:
    names = request.query["names"]
    if len(names) > 30:
        raise Refusal(400, "INVALID_ARGUMENT", "At most 30 services may be read at once.")
    return {"services": [_service(project, name.rsplit("/", 1)[1]) for name in names]}


def _service(project: GoogleProject, service: str) -> dict[str, Any]:
    state = "ENABLED" if service in project.enabled else "DISABLED"
    return {"name": f"projects/{NUMBER}/services/{service}", "config": {"name": service}, "state": state}


@_route("GET", f"serviceusage.googleapis.com/v1/{_P}/services/([a-z.]+)", "serviceusage.services.get")
def _one_service(project: GoogleProject, request: Request) -> Any:
    return _service(project, request.found[1])


@_route("POST", f"serviceusage.googleapis.com/v1/{_P}/services:batchEnable", "serviceusage.services.enable")
def _enable(project: GoogleProject, request: Request) -> Any:
    wanted = request.body["serviceIds"]
    if len(wanted) > 20:
        raise Refusal(400, "INVALID_ARGUMENT", "At most 20 services may be enabled at once.")
    if not project.is_billed and "compute.googleapis.com" in wanted:
        message = f"Billing account for project '{NUMBER}' is not found."
        raise Refusal(400, "FAILED_PRECONDITION", message, "UREQ_PROJECT_BILLING_NOT_FOUND")
    project.enabled |= set(wanted)
    project.changes += [f"enabled {one}" for one in wanted]
    return {"name": "operations/acat.p2-enabling"}


@_route("GET", r"serviceusage.googleapis.com/v1(?:beta1)?/operations/\S+")
def _operation(_: GoogleProject, __: Request) -> Any:
    return {"name": "operations/acat.p2-enabling", "done": True, "response": {}}


@_route(
    "POST",
    rf"serviceusage.googleapis.com/v1beta1/{_P}/services/(\w+).googleapis.com:generateServiceIdentity",
    "serviceusage.services.enable",
)
def _identity(project: GoogleProject, request: Request) -> Any:
    service = request.found[1]
    if f"{service}.googleapis.com" not in project.enabled:
        raise _disabled(f"{service}.googleapis.com")
    if service not in project.agents:
        project.agents.add(service)
        project.changes.append(f"made {service}'s agent")
    email = f"service-{NUMBER}@gcp-sa-{service}.iam.gserviceaccount.com"
    kind = "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity"
    response = {"@type": kind, "email": email, "uniqueId": "1"}
    return {"name": "operations/finished.DONE_OPERATION", "done": True, "response": response}


@_route("GET", f"storage.googleapis.com/storage/v1/{_P}/serviceAccount", "resourcemanager.projects.get")
def _storage_agent(project: GoogleProject, _: Request) -> Any:
    if "storage" not in project.agents:
        project.agents.add("storage")
        project.changes.append("made storage's agent")
    email = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
    return {"email_address": email, "kind": "storage#serviceAccount"}


@_route(
    "GET",
    rf"cloudquotas.googleapis.com/v1(?:beta)?/{_P}/locations/global/services/run.googleapis.com/quotaInfos/(\w+)",
    "cloudquotas.quotas.get",
)
def _quota(project: GoogleProject, request: Request) -> Any:
    quota = request.found[1]
    name = f"projects/{NUMBER}/locations/global/services/run.googleapis.com/quotaInfos/{quota}"
    value = project.quotas[quota]
    infos = [
        {
            "dimensions": {"region": REGION},
            "details": {"value": str(value)},
            "applicableLocations": [REGION],
        },
        {"details": {"value": str(value // 2)}, "applicableLocations": ["asia-east1"]},
    ]
    return {
        "name": name,
        "quotaId": quota,
        "service": "run.googleapis.com",
        "isPrecise": True,
        "containerType": "PROJECT",
        "dimensions": ["region"],
        "dimensionsInfos": infos,
    }


@_route("GET", f"compute.googleapis.com/compute/v1/{_P}", "compute.projects.get")
def _compute(project: GoogleProject, _: Request) -> Any:
    quotas = [
        {"metric": name, "usage": usage, "limit": float(limit)} for name, (usage, limit) in project.compute.items()
    ]
    return {"kind": "compute#project", "name": PROJECT, "quotas": quotas}


@_route("GET", r"sqladmin.googleapis.com/v1/projects/([\w-]+)/instances", "cloudsql.instances.list")
def _databases(project: GoogleProject, _: Request) -> Any:
    return {"items": [one | {"name": name} for name, one in project.databases.items()]} if project.databases else {}


@_route("GET", r"sqladmin.googleapis.com/v1/projects/([\w-]+)/instances/(\S+)", "cloudsql.instances.get")
def _database(project: GoogleProject, request: Request) -> Any:
    name = request.found[2]
    if name not in project.databases:
        raise Refusal(404, "NOT_FOUND", "The Cloud SQL instance does not exist.", "instanceDoesNotExist")
    return project.databases[name] | {"name": name}


@_route("GET", rf"orgpolicy.googleapis.com/v2/{_P}/policies/([\w.]+):getEffectivePolicy", "orgpolicy.policy.get")
def _policy(project: GoogleProject, request: Request) -> Any:
    constraint = request.found[1]
    rules = project.policies.get(constraint, [{"allowAll": True}])
    return {"name": f"projects/{NUMBER}/policies/{constraint}", "spec": {"rules": rules}}


@_route(
    "POST", r"compute.googleapis.com/compute/v1/(projects/[\w-]+/regions/[\w-]+/subnetworks/[\w-]+)/testIamPermissions"
)
@_route("POST", rf"(?:cloudkms|cloudbilling).googleapis.com/{_FOREIGN}")
@_route("POST", r"cloudresourcemanager.googleapis.com/v3/(projects/[\w-]+):testIamPermissions")
def _permissions_elsewhere(project: GoogleProject, request: Request) -> Any:
    name = re.sub("[:/]testIamPermissions$", "", request.found[0]).rsplit("/", 1)[1]
    granted = project.elsewhere.get(name, set())
    return {"permissions": [one for one in request.body["permissions"] if one in granted]}


def _disabled(service: str) -> Refusal:
    message = f"{service} has not been used in project {NUMBER} before or it is disabled."
    metadata = {"service": service, "consumer": f"projects/{NUMBER}"}
    return Refusal(403, "PERMISSION_DENIED", message, "SERVICE_DISABLED", **metadata)


@dataclass
class FakeGoogle:
    """`faults` has, by a pattern of the path, what happens instead: a status, `hang`, `cut` or `nonsense`."""

    project: GoogleProject
    address: str = ""
    is_token_good: bool = True
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, target: str, headers: Any, content: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        path = unquote(parts.path).lstrip("/")
        with self._lock:
            self.calls.append(f"{method} {path}")
            try:
                if path == "oauth2.googleapis.com/tokeninfo":
                    return self._token_info(content)
                return 200, self._answer(method, path, headers, Call(parse_qs(parts.query), content))
            except Refusal as refusal:
                return refusal.code, refusal.document

    def _answer(self, method: str, path: str, headers: Any, call: Call) -> Any:
        if not self.is_token_good or headers["Authorization"] != f"Bearer {TOKEN}":
            raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        self._admit(path, headers["X-Goog-User-Project"])
        for known, pattern, permission, handler in _ROUTES:
            if known == method and (found := re.fullmatch(pattern, path)):
                self._permit(permission)
                body = json.loads(call.content) if call.content else None
                return handler(self.project, Request(call.query, body, found))
        if "/projects/" in path and PROJECT not in path and NUMBER not in path:
            raise Refusal(403, "PERMISSION_DENIED", "The caller does not have permission")
        raise Refusal(404, "NOT_FOUND", f"nothing here answers {method} {path}")

    def fault(self, path: str) -> int | str | None:
        for pattern, faults in self.faults.items():
            if re.search(pattern, path) and faults:
                return faults[0] if len(faults) == 1 and faults[0] == "hang" else faults.pop(0)
        return None

    def _token_info(self, content: bytes) -> tuple[int, Any]:
        if not self.is_token_good or parse_qs(content.decode())["access_token"] != [TOKEN]:
            return 400, {"error": "invalid_token", "error_description": "Invalid Value"}
        return 200, {"email": self.project.caller, "expires_in": "3599"}

    def _admit(self, path: str, user_project: str | None) -> None:
        """What counts against the project's quota needs its API, and the right to use the project so."""
        service = path.partition("/")[0]
        if user_project is None:
            return
        if "serviceusage.services.use" not in self.project.permissions:
            message = f"Caller does not have required permission to use project {PROJECT}."
            raise Refusal(403, "PERMISSION_DENIED", message, "USER_PROJECT_DENIED")
        if service not in self.project.enabled:
            raise _disabled(service)
        if self.project.changes and self.project.slow_to_enable:
            self.project.slow_to_enable -= 1
            raise _disabled(service)

    def _permit(self, permission: str) -> None:
        if permission and permission not in self.project.permissions:
            message = f"Permission '{permission}' denied on resource (or it may not exist)."
            raise Refusal(403, "PERMISSION_DENIED", message, "IAM_PERMISSION_DENIED", permission=permission)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(project: GoogleProject) -> Iterator[FakeGoogle]:
    fake = FakeGoogle(project)
    is_over = threading.Event()

    class Handle(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            fault = fake.fault(self.path)
            if fault == "hang":
                is_over.wait(_HANG_SECONDS)
            if fault in ("hang", "cut"):
                self.close_connection = True
                return
            code, document = fake.answer(self.command, self.path, self.headers, content)
            if isinstance(fault, int):
                code, document = fault, {"error": {"code": fault, "message": "a fault", "status": "INTERNAL"}}
            self._send(code, b"<html>" if fault == "nonsense" else json.dumps(document).encode())

        do_POST = do_GET  # noqa: N815  # the name that the server calls

        def _send(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Calls are kept by the fake."""

    with _Server(("127.0.0.1", 0), Handle) as server:
        fake.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield fake
        finally:
            is_over.set()
            server.shutdown()
            thread.join()
