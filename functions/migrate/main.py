"""The function `migrate`: private, called by the deployment. GET tells where the schema stands, POST moves it.

POST takes `{"lines": ["pre"]}`, `{"lines": ["post"]}` or, without a body, both.
"""

from __future__ import annotations

from typing import Any

import functions_framework
from flask import Request, Response, jsonify
from werkzeug.exceptions import HTTPException, InternalServerError

from functions.migrate.administrator import AdministratorRefused, make_administrator
from functions.migrate.grants import Users
from functions.migrate.schema import LINES, SchemaNewer, inspect, upgrade
from functions.migrate.sql import NotFinished
from functions.registry import telemetry
from functions.registry.config import Settings

telemetry.take_logging()


def migrate(request: Request) -> Response:
    """Answers 200 with what was done; 400 for an unknown line; 409 if the database is newer than this release, if the
    first administrator's secret is none, or with `waits_for` if a migration in the background has rows left: then what
    is applied stays, and the release runs on it.
    """
    settings = Settings.from_environment()
    url = settings.database
    try:
        if request.method == "GET":
            schema = inspect(url)
            return jsonify(current=schema.current, pending=schema.pending)
        body = request.get_json(force=True, silent=True) if request.get_data() else {}
        lines = body.get("lines", list(LINES)) if isinstance(body, dict) else None
        if request.method != "POST" or not isinstance(lines, list) or not all(line in LINES for line in lines):
            return _refused(400, f"POST with lines from {', '.join(LINES)}")
        users = Users(
            settings.database_api_user,
            settings.database_gc_user,
            settings.database_work_user,
            settings.database_deliver_user,
        )
        waits: NotFinished | None = None
        try:
            applied = upgrade(url, tuple(line for line in LINES if line in lines), users)
        except NotFinished as error:
            waits, applied = error, error.applied
        make_administrator(settings)
    except AdministratorRefused as error:
        telemetry.log("ERROR", "no first administrator", reason=str(error))
        return _refused(409, str(error))
    except SchemaNewer as error:
        telemetry.log("ERROR", "schema is newer than this release", reason=str(error))
        return _refused(409, str(error))
    if waits is not None:
        telemetry.log("WARNING", "schema waits for a background migration", reason=str(waits), applied=applied)
        left = {"migration": waits.migration, "state": waits.state, "rows_left": waits.rows_left}
        return _refused(409, str(waits), applied=applied, waits_for=left | {"failures": waits.failures})
    telemetry.log("INFO", "schema migrated", lines=lines, applied=applied)
    return jsonify(applied=applied)


# The framework's own, and what is unexpected: no answer is a page for people.
@functions_framework.errorhandler(500)  # type: ignore[untyped-decorator]  # the framework has no types
@functions_framework.errorhandler(Exception)  # type: ignore[untyped-decorator]  # as above
def failed(error: Exception) -> Response:
    if isinstance(error, HTTPException) and not isinstance(error, InternalServerError):
        return _refused(max(error.code or 0, 404), "there is nothing but GET and POST of /")
    telemetry.log_exception("unexpected error", getattr(error, "original_exception", None) or error)
    return _refused(500, "unknown error: the log tells more")


def _refused(status: int, reason: str, **more: Any) -> Response:
    response = jsonify(error=reason, **more)
    response.status_code = status
    return response
