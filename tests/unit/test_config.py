"""Settings: what each is without being set, what it takes, and what an operator reads when it is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from functions.registry.config import SettingInvalid, Settings

REQUIRED: Final = {"SLIPWAY_DATABASE": "postgresql://u@localhost/d", "SLIPWAY_BUCKET": "blobs"}
DEFAULTS: Final[dict[str, Any]] = {
    "database_connections": 8,
    "blob_delivery": "redirect",
    "signer": "iam",
    "signer_identity": "",
    "signer_secret": "",
    "signed_url_base": "https://storage.googleapis.com",
    "signed_url_seconds": 1200,
    "upload_chunk_bytes": 4_194_304,
    "upload_expiry_seconds": 86_400,
    "body_idle_seconds": 60,
    "body_least_bytes": 65_536,
    "body_drain_seconds": 5,
    "slow_bodies_per_address": 8,
    "storage_timeout_seconds": 60,
    "largest_manifest_bytes": 4_194_304,
    "manifest_room_bytes": 8_388_608,
    "manifest_room_seconds": 20,
    "largest_annotations_bytes": 4_194_304,
    "access": "token",
    "open_in_cloud": "refuse",
    "service": "slipway",
    "token_seconds": 300,
    "requests_per_minute": 6000,
    "uploads_per_principal": 1000,
    "refusals_per_minute": 30,
    "audit_refusals": 100_000,
    "audit_rows": 1_000_000,
    "grants_per_namespace": 500,
    "grants_per_grantee": 20,
    "starred_characters_per_grantee": 64,
    "rules_per_namespace": 500,
    "trusted_publishers_per_namespace": 100,
    "stars_per_pattern": 4,
    "trusted_proxies": 0,
}
RANGES: Final = {
    "database_connections": (1, 100),
    "signed_url_seconds": (60, 604_800),
    "upload_expiry_seconds": (60, 2_592_000),
    "body_idle_seconds": (1, 3600),
    "body_least_bytes": (1024, 1_048_576),
    "body_drain_seconds": (1, 60),
    "slow_bodies_per_address": (1, 1000),
    "storage_timeout_seconds": (1, 600),
    "largest_manifest_bytes": (1024, 67_108_864),
    "manifest_room_bytes": (1_048_576, 1_073_741_824),
    "manifest_room_seconds": (1, 60),
    "largest_annotations_bytes": (1024, 67_108_864),
    "token_seconds": (60, 3600),
    "requests_per_minute": (0, 1_000_000),
    "uploads_per_principal": (1, 10_000),
    "refusals_per_minute": (1, 100_000),
    "audit_refusals": (1000, 100_000_000),
    "audit_rows": (1000, 1_000_000_000),
    "grants_per_namespace": (1, 10_000),
    "grants_per_grantee": (1, 10_000),
    "starred_characters_per_grantee": (0, 100_000),
    "rules_per_namespace": (1, 10_000),
    "trusted_publishers_per_namespace": (1, 10_000),
    "stars_per_pattern": (1, 16),
    "trusted_proxies": (0, 10),
}
CHOICES: Final = {
    "blob_delivery": ("redirect", "streaming"),
    "signer": ("iam", "hmac", "key-file"),
    "access": ("open", "token", "external"),
    "open_in_cloud": ("refuse", "accept"),
}
TEXTS: Final = ("database", "bucket", "signer_identity", "signer_secret", "signed_url_base", "service")
NO_NUMBERS: Final = ("", "many", "1.5", "-5", "+5", "1e3", "0x10", " 60", "60 ", "6_0", "²", "9" * 5000)


def variable(setting: str) -> str:
    return f"SLIPWAY_{setting.upper()}"


def read(setting: str, text: str) -> Any:
    return getattr(Settings.from_environment({**REQUIRED, variable(setting): text}), setting)


def complaint(setting: str, text: str) -> str:
    with pytest.raises(SettingInvalid) as error:
        read(setting, text)
    return str(error.value)


def test_tenant_claims_are_read_by_issuer() -> None:
    assert read("tenant_claims", "") == {}
    found = read("tenant_claims", " https://gitlab.corp.example=project_id,namespace_id  https://ci.example/o=org/id ")
    assert found == {"https://gitlab.corp.example": ("project_id", "namespace_id"), "https://ci.example/o": ("org/id",)}


@pytest.mark.parametrize("text", ["https://x", "https://x=", "=sub", "https://x=a,,b", "https://x=a b", "https://x=a,"])
def test_tenant_claims_that_can_not_be_read_are_refused(text: str) -> None:
    assert complaint("tenant_claims", text).startswith("SLIPWAY_TENANT_CLAIMS must be ISSUER=CLAIM,CLAIM")


def test_the_examples_here_cover_every_setting() -> None:
    """A new setting gets its lines above."""
    named = {field.name for field in dataclasses.fields(Settings)}
    assert named >= {*DEFAULTS, *RANGES, *CHOICES, *TEXTS}
    assert {*RANGES, *CHOICES, *TEXTS, "upload_chunk_bytes"} >= {*DEFAULTS, "database", "bucket"}


@pytest.mark.parametrize(("setting", "default"), DEFAULTS.items())
def test_a_setting_that_is_not_given_has_its_default(setting: str, default: object) -> None:
    assert getattr(Settings.from_environment(REQUIRED), setting) == default


@pytest.mark.parametrize("name", REQUIRED)
def test_what_must_be_given_is_asked_for_by_its_name(name: str) -> None:
    for environment in ({key: value for key, value in REQUIRED.items() if key != name}, {**REQUIRED, name: ""}):
        with pytest.raises(SettingInvalid, match=f"^{name} is not set$"):
            Settings.from_environment(environment)


@pytest.mark.parametrize("setting", TEXTS)
def test_a_text_is_taken_as_it_is(setting: str) -> None:
    assert read(setting, "Some text: 1 ") == "Some text: 1 "


@pytest.mark.parametrize(("setting", "bounds"), RANGES.items())
def test_a_number_is_taken_from_its_least_to_its_most(setting: str, bounds: tuple[int, int]) -> None:
    assert [read(setting, str(number)) for number in bounds] == list(bounds)


@pytest.mark.parametrize(("setting", "bounds"), RANGES.items())
def test_a_number_out_of_range_is_refused_with_the_range(setting: str, bounds: tuple[int, int]) -> None:
    least, most = bounds
    for number in (least - 1, most + 1):
        expected = f"{variable(setting)} must be an integer from {least} to {most} (got '{number}')"
        assert complaint(setting, str(number)) == expected


@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: text[:10])
@pytest.mark.parametrize("setting", RANGES)
def test_what_is_no_number_is_refused_with_the_range(setting: str, text: str) -> None:
    least, most = RANGES[setting]
    assert complaint(setting, text).startswith(f"{variable(setting)} must be an integer from {least} to {most} (got")


@pytest.mark.parametrize("size", [262_144, 524_288, 8_388_608, 268_435_456])
def test_a_chunk_is_a_multiple_of_what_cloud_storage_takes(size: int) -> None:
    assert read("upload_chunk_bytes", str(size)) == size


@pytest.mark.parametrize("size", [262_145, 400_000, 268_435_455])
def test_a_chunk_of_any_other_size_is_refused(size: int) -> None:
    expected = f"SLIPWAY_UPLOAD_CHUNK_BYTES must be a multiple of 262144 (got '{size}')"
    assert complaint("upload_chunk_bytes", str(size)) == expected


@pytest.mark.parametrize("text", ["0", "262143", "268435457", "4MiB", ""])
def test_a_chunk_out_of_range_is_refused(text: str) -> None:
    assert "SLIPWAY_UPLOAD_CHUNK_BYTES must be an integer from 262144" in complaint("upload_chunk_bytes", text)


@pytest.mark.parametrize(("setting", "choices"), CHOICES.items())
def test_a_choice_is_one_of_those_offered(setting: str, choices: tuple[str, ...]) -> None:
    assert [read(setting, choice) for choice in choices] == list(choices)
    for text in ("", "other", choices[0].upper(), f" {choices[0]}"):
        assert complaint(setting, text) == f"{variable(setting)} must be one of {', '.join(choices)} (got {text!r})"


def test_hosts_are_read_in_lower_case() -> None:
    assert read("private_issuers", "") == frozenset()
    assert read("private_issuers", " GitLab.internal  ghes.corp.example\n") == {"gitlab.internal", "ghes.corp.example"}


@pytest.mark.parametrize("text", ["https://gitlab.internal", "a,b", "*.internal", "gitlab.internal:443", "gitläb"])
def test_what_is_no_host_is_refused(text: str) -> None:
    assert complaint("private_issuers", text).startswith("SLIPWAY_PRIVATE_ISSUERS must be hosts, divided by spaces")


def test_what_is_not_ours_is_not_read() -> None:
    environment = {**REQUIRED, "SIGNER": "none", "BUCKET": "other", "slipway_signer": "none", "SLIPWAY_UNKNOWN": "1"}
    assert Settings.from_environment(environment) == Settings.from_environment(REQUIRED)


def test_the_environment_of_the_process_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**REQUIRED, "SLIPWAY_BUCKET": "from-the-process"}.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment().bucket == "from-the-process"


def test_settings_do_not_change() -> None:
    settings = Settings.from_environment(REQUIRED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.bucket = "other"  # type: ignore[misc]


@pytest.mark.parametrize("version", ["4.39.0-gitlab", "4.39.0", "10.0.12-rc.1"])
def test_the_version_that_gitlab_is_told(version: str) -> None:
    assert read("gitlab_version", version) == version


@pytest.mark.parametrize("version", ["", "4.39", "v4.39.0", "4.39.0-", "4.39.0\r\nX: y", "4.39.0-a b"])
def test_a_version_that_is_none(version: str) -> None:
    with pytest.raises(SettingInvalid, match="SLIPWAY_GITLAB_VERSION must be a version"):
        read("gitlab_version", version)


def test_the_version_that_gitlab_is_told_unless_it_is_set() -> None:
    assert Settings.from_environment(REQUIRED).gitlab_version == "4.39.0-gitlab"
