"""Structured logs: one JSON line per request or GC run, in the form Cloud Logging reads; so is what libraries log.

A `Record` is opened around a piece of work; whatever happens meanwhile on that thread adds to it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(slots=True)
class Record:
    """It is what is known of the work in hand. `fields` are logged as they stand."""

    started: float = field(default_factory=time.monotonic)
    statements: list[str] = field(default_factory=list)
    database_seconds: float = 0.0
    pool_seconds: float = 0.0
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def milliseconds(self) -> float:
        return round((time.monotonic() - self.started) * 1000, 1)


# Made once: with other options than its own, json.dumps makes one for each line.
_ENCODER: Final = json.JSONEncoder(default=str, separators=(",", ":"))
_TRACE: Final = re.compile(r"([0-9a-f]{1,64})(?:/|;|$)")
_current: Final[ContextVar[Record | None]] = ContextVar("record", default=None)


@contextmanager
def recording() -> Iterator[Record]:
    """Everything until the end of the block is counted in one record."""
    record = Record()
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


def count_statements(names: list[str], seconds: float) -> None:
    """Adds to the work in hand, if any: what the database was asked, and for how long."""
    record = _current.get()
    if record is not None:
        record.statements += names
        record.database_seconds += seconds


def count_wait(seconds: float) -> None:
    """Adds to the work in hand, if any: for how long there was no connection to the database."""
    record = _current.get()
    if record is not None:
        record.pool_seconds += seconds


def note(**fields: Any) -> None:
    """Adds fields to the record of the work in hand, if any."""
    record = _current.get()
    if record is not None:
        record.fields |= fields


def log(severity: str, message: str, **fields: Any) -> None:
    """Writes one line. `fields` hold no secrets: headers, bodies and signed URLs stay out.

    One that can't be written is dropped: a disk that is full, or a reader that is gone, is no reason to fail.
    """
    line = _ENCODER.encode({"severity": severity, "message": message, **fields})
    # ValueError: the stream is closed, or its encoding lacks a character.
    with suppress(OSError, ValueError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def trace(project: str, header: str) -> dict[str, str]:
    """Returns the field by which the platform's own line of a request and ours are found together; nothing if it isn't
    known.

    `header` is X-Cloud-Trace-Context: TRACE/SPAN;o=OPTIONS.
    """
    found = _TRACE.match(header)
    return {"logging.googleapis.com/trace": f"projects/{project}/traces/{found[1]}"} if project and found else {}


def log_exception(message: str, error: BaseException, **fields: Any) -> None:
    """Logs an unexpected error with its trace, which goes to the log alone."""
    text = "".join(traceback.format_exception(error))
    log("ERROR", message, error=type(error).__name__, stack_trace=text, **fields)


# In an address it may be a signature, or the key to an upload.
_QUERY: Final = re.compile(r"\?[^\s'\"]+")
# Gunicorn's. It is made to keep its lines to itself, after the function is loaded.
_SERVER: Final = "gunicorn.error"


class _Lines(logging.Handler):
    """Writes what libraries log: warnings, and what is worse."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = type(record.exc_info[1]).__name__
            fields["stack_trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        log(record.levelname, _QUERY.sub("?…", message), **fields)

    def filter_server(self, record: logging.LogRecord) -> bool:
        """Takes what would be written, in front of the server's own handlers, and leaves them the rest."""
        if record.levelno < self.level:
            return True
        self.handle(record)
        return False


_lines: Final = _Lines(logging.WARNING)


def take_logging() -> None:
    """Makes lines of JSON of libraries' warnings and errors, from now on. A function calls it as it is loaded."""
    logging.getLogger().addHandler(_lines)
    logging.getLogger(_SERVER).addFilter(_lines.filter_server)
