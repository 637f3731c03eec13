"""How a sign-in ends, if it doesn't succeed. Needs no library: the api knows it from the start."""

from __future__ import annotations


class SignInRefused(Exception):
    """The sign-in is refused; args[0] is for the client."""


class SignInThrottled(Exception):
    """There were too many failures from there: again in `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class IdentityUnknown(Exception):
    """The issuer says who it is, and no user here is that. `email` is empty where the issuer hasn't verified one."""

    def __init__(self, subject: str, email: str) -> None:
        super().__init__("no user of this registry has this identity")
        self.subject = subject
        self.email = email
