"""The refusals Cloud Storage gives, in the words both of its APIs use for them."""

from http import HTTPStatus


class StorageError(Exception):
    """An answer that is not the one that was asked for.

    `reason` is the JSON API's word for it, `code` the XML API's; `details` are further elements of the XML answer.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        reason: str = "invalid",
        code: str = "InvalidArgument",
        details: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.code = code
        self.details = details or {}


class BodyCutError(StorageError):
    """The connection ended before the body did. Nobody may be left to hear this."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, "The request body ended early.", code="IncompleteBody")


def invalid(message: str) -> StorageError:
    return StorageError(HTTPStatus.BAD_REQUEST, message)


def no_such_object(bucket: str, name: str) -> StorageError:
    return StorageError(HTTPStatus.NOT_FOUND, f"No such object: {bucket}/{name}", reason="notFound", code="NoSuchKey")


def no_such_bucket() -> StorageError:
    return StorageError(
        HTTPStatus.NOT_FOUND,
        "The specified bucket does not exist.",
        reason="notFound",
        code="NoSuchBucket",
    )


def no_such_call() -> StorageError:
    return StorageError(HTTPStatus.NOT_FOUND, "Not Found", reason="notFound", code="NotFound")


def conflict(message: str) -> StorageError:
    return StorageError(HTTPStatus.CONFLICT, message, reason="conflict", code="Conflict")


def precondition_failed() -> StorageError:
    return StorageError(
        HTTPStatus.PRECONDITION_FAILED,
        "At least one of the pre-conditions you specified did not hold.",
        reason="conditionNotMet",
        code="PreconditionFailed",
    )


def not_modified() -> StorageError:
    return StorageError(HTTPStatus.NOT_MODIFIED)


def try_again(message: str) -> StorageError:
    return StorageError(HTTPStatus.SERVICE_UNAVAILABLE, message, reason="backendError", code="ServiceUnavailable")
