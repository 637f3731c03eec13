"""Settings, read once from the environment, checked, frozen. docs/configuration.md describes each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeVar

MEBIBYTE: Final = 1 << 20
# Cloud Storage takes resumable uploads in pieces of this.
QUANTUM: Final = 256 << 10

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=str)


class SettingInvalid(ValueError):
    """A setting is missing or out of range; the message names it and says what it takes."""


def _text(text: str) -> str:
    return text


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be an integer from {least} to {most}")
        return int(text)

    return read


def _chunk(text: str) -> int:
    size = _number(QUANTUM, 256 * MEBIBYTE)(text)
    if size % QUANTUM:
        raise ValueError(f"must be a multiple of {QUANTUM}")
    return size


def _one_of(*choices: Choice) -> Callable[[str], Choice]:
    def read(text: str) -> Choice:
        for choice in choices:
            if text == choice:
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return read


def _version(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){2}(-[A-Za-z0-9.-]{1,50})?", text):
        raise ValueError("must be a version, such as 4.39.0-gitlab")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _hosts(text: str) -> frozenset[str]:
    hosts = text.lower().split()
    if not all(re.fullmatch(r"[a-z0-9.-]{1,253}", host) for host in hosts):
        raise ValueError("must be hosts, divided by spaces, such as gitlab.internal.example")
    return frozenset(hosts)


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(text.split())
    if not all(re.fullmatch(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?", origin) for origin in origins):
        raise ValueError("takes origins as browsers send them, divided by spaces, such as https://console.example.com")
    return origins


def _issuer(text: str) -> str:
    if text and not re.fullmatch(r"https://[!-~]{1,250}|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?", text):
        raise ValueError("must be the issuer as its tokens name it, such as https://login.example.com")
    return text


def _tenant_claims(text: str) -> Mapping[str, tuple[str, ...]]:
    found = re.findall(r"([^\s=]+)=([A-Za-z0-9_./:-]+(?:,[A-Za-z0-9_./:-]+)*)", text)
    if " ".join(f"{issuer}={names}" for issuer, names in found) != " ".join(text.split()):
        raise ValueError("must be ISSUER=CLAIM,CLAIM, divided by spaces, such as https://gitlab.example=project_id")
    return {issuer: tuple(names.split(",")) for issuer, names in found}


def _keep(text: str) -> Mapping[str, int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = [re.fullmatch(r"([1-9][0-9]{0,2})([dwm])", word) for word in words]
    kept = {match[2]: int(match[1]) for match in found if match}
    if len(kept) < len(words):
        raise ValueError("takes numbers of days, weeks and months, such as 7d,4w,12m")
    return kept


def _setting(read: Callable[[str], Value], default: str | None = None, *, is_secret: bool = False) -> Value:
    """Returns a field read from SLIPWAY_<FIELD>; without a default it must be given. A secret is never shown."""
    value: Value = field(repr=not is_secret, metadata={"read": read, "default": default})
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    database: str = _setting(_text)
    database_connections: int = _setting(_number(1, 100), "8")
    database_wait_seconds: int = _setting(_number(1, 60), "2")
    database_lock_seconds: int = _setting(_number(1, 25), "3")
    database_api_user: str = _setting(_text, "")
    database_gc_user: str = _setting(_text, "")
    database_work_user: str = _setting(_text, "")
    database_deliver_user: str = _setting(_text, "")
    bucket: str = _setting(_text)
    blob_delivery: Literal["redirect", "streaming"] = _setting(_one_of("redirect", "streaming"), "redirect")
    signer: Literal["iam", "hmac", "key-file"] = _setting(_one_of("iam", "hmac", "key-file"), "iam")
    signer_identity: str = _setting(_text, "")
    signer_secret: str = _setting(_text, "", is_secret=True)
    signed_url_base: str = _setting(_text, "https://storage.googleapis.com")
    signed_url_seconds: int = _setting(_number(60, 604_800), "1200")
    upload_chunk_bytes: int = _setting(_chunk, str(4 * MEBIBYTE))
    upload_expiry_seconds: int = _setting(_number(60, 30 * 86_400), "86400")
    body_idle_seconds: int = _setting(_number(1, 3600), "60")
    body_least_bytes: int = _setting(_number(1024, MEBIBYTE), str(64 << 10))
    body_drain_seconds: int = _setting(_number(1, 60), "5")
    slow_bodies_per_address: int = _setting(_number(1, 1000), "8")
    request_limit_bytes: int = _setting(_number(0, 1 << 40), "0")
    registry_host: str = _setting(_text, "")
    storage_timeout_seconds: int = _setting(_number(1, 600), "60")
    topic: str = _setting(_text, "")
    work_topic: str = _setting(_text, "")
    events_topic: str = _setting(_text, "")
    public_host: str = _setting(_text, "")
    project: str = _setting(_text, "")
    gc_trigger_interval_seconds: int = _setting(_number(0, 3600), "60")
    pulls_and_pushes_interval_seconds: int = _setting(_number(1, 3600), "10")
    check_days: int = _setting(_number(0, 365), "1")
    check_bytes: int = _setting(_number(0, 1 << 50), str(10 << 30))
    import_folders: Literal["refuse", "accept"] = _setting(_one_of("refuse", "accept"), "refuse")
    backups: str = _setting(_text, "")
    backup_every_seconds: int = _setting(_number(0, 31 * 86_400), "0")
    backup_keep: Mapping[str, int] = _setting(_keep, "")
    sparse_manifests: Literal["refuse", "accept"] = _setting(_one_of("refuse", "accept"), "refuse")
    largest_manifest_bytes: int = _setting(_number(1024, 64 * MEBIBYTE), str(4 * MEBIBYTE))
    largest_annotations_bytes: int = _setting(_number(1024, 64 * MEBIBYTE), str(4 * MEBIBYTE))
    manifest_room_bytes: int = _setting(_number(MEBIBYTE, 1 << 30), str(8 * MEBIBYTE))
    manifest_room_seconds: int = _setting(_number(1, 60), "20")
    access: Literal["open", "token", "external"] = _setting(_one_of("open", "token", "external"), "token")
    open_in_cloud: Literal["refuse", "accept"] = _setting(_one_of("refuse", "accept"), "refuse")
    service: str = _setting(_text, "slipway")
    token_realm: str = _setting(_text, "")
    token_keys: str = _setting(_text, "", is_secret=True)
    token_seconds: int = _setting(_number(60, 3600), "300")
    pepper: str = _setting(_text, "", is_secret=True)
    admin_secret: str = _setting(_text, "", is_secret=True)
    admin_secret_file: str = _setting(_text, "")
    external_issuer: str = _setting(_text, "")
    external_keys: str = _setting(_text, "")
    external_jwks_url: str = _setting(_text, "")
    oidc_issuers: tuple[str, ...] = _setting(
        _words, "https://token.actions.githubusercontent.com https://gitlab.com https://accounts.google.com"
    )
    tenant_claims: Mapping[str, tuple[str, ...]] = _setting(_tenant_claims, "")
    private_issuers: frozenset[str] = _setting(_hosts, "")
    private_sources: frozenset[str] = _setting(_hosts, "")
    private_receivers: frozenset[str] = _setting(_hosts, "")
    google_audiences: tuple[str, ...] = _setting(_words, "")
    requests_per_minute: int = _setting(_number(0, 1_000_000), "6000")
    uploads_per_principal: int = _setting(_number(1, 10_000), "1000")
    refusals_per_minute: int = _setting(_number(1, 100_000), "30")
    audit_refusals: int = _setting(_number(1000, 100_000_000), "100000")
    audit_rows: int = _setting(_number(1000, 1_000_000_000), "1000000")
    grants_per_namespace: int = _setting(_number(1, 10_000), "500")
    grants_per_grantee: int = _setting(_number(1, 10_000), "20")
    starred_characters_per_grantee: int = _setting(_number(0, 100_000), "64")
    rules_per_namespace: int = _setting(_number(1, 10_000), "500")
    trusted_publishers_per_namespace: int = _setting(_number(1, 10_000), "100")
    subscriptions_per_namespace: int = _setting(_number(1, 10_000), "50")
    stars_per_pattern: int = _setting(_number(1, 16), "4")
    trusted_proxies: int = _setting(_number(0, 10), "0")
    console: Literal["on", "off"] = _setting(_one_of("on", "off"), "on")
    console_issuer: str = _setting(_issuer, "")
    console_client_id: str = _setting(_text, "")
    console_client_secret: str = _setting(_text, "", is_secret=True)
    cors_origins: frozenset[str] = _setting(_origins, "")
    gitlab_version: str = _setting(_version, "4.39.0-gitlab")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises SettingInvalid."""
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name = f"SLIPWAY_{setting.name.upper()}"
            text = environment.get(name, setting.metadata["default"])
            if not text and setting.metadata["default"] is None:
                raise SettingInvalid(f"{name} is not set")
            try:
                values[setting.name] = setting.metadata["read"](text)
            except ValueError as error:
                raise SettingInvalid(f"{name} {error} (got {text!r})") from error
        return cls(**values)


def is_in_cloud(environment: Mapping[str, str] = os.environ) -> bool:
    """Is true where the platform names the service that it runs; nothing else does."""
    return "K_SERVICE" in environment
