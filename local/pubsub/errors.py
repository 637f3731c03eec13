"""Refusals, as the service words them."""

from __future__ import annotations

import grpc


class StatusError(Exception):
    """The call is answered with this gRPC status instead of a result."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def not_found(name: str) -> StatusError:
    return StatusError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rpartition('/')[2]}).")


def already_exists(name: str) -> StatusError:
    resource = name.rpartition("/")[2]
    return StatusError(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists in the project (resource={resource}).")


def invalid(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def out_of_range(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.OUT_OF_RANGE, message)
