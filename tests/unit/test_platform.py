"""What an image's config says that it runs on, whatever else is written there, or instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.registry.oci.platform import Platform, all_written, read_config, written


def config(**parts: Any) -> bytes:
    return json.dumps({"rootfs": {"type": "layers"}, "config": {"os": "other"}, **parts}).encode()


@pytest.mark.parametrize(
    ("content", "platform"),
    [
        (config(os="linux", architecture="amd64"), Platform("linux", "amd64", None)),
        (config(os="linux", architecture="arm64", variant="v8"), Platform("linux", "arm64", "v8")),
        (config(os="linux", architecture="amd64", variant=""), Platform("linux", "amd64", None)),
        (config(os="linux", architecture="amd64", variant=None), Platform("linux", "amd64", None)),
        (config(os="windows", architecture="amd64", **{"os.version": "10.0.1"}), Platform("windows", "amd64", None)),
        (config(os="a" * 64, architecture="b_c.d-1"), Platform("a" * 64, "b_c.d-1", None)),
        (b'{"os": "first", "os": "linux", "architecture": "s390x"}', Platform("linux", "s390x", None)),
    ],
)
def test_what_a_config_says(content: bytes, platform: Platform) -> None:
    assert read_config(content) == platform


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"linux"',
        b"not JSON",
        b'{"os": "linux", "architecture": "amd64"',
        b'{"os": "li\xffnux", "architecture": "amd64"}',
        '{"os": "linux", "architecture": "amd64"}'.encode("utf-16"),
        b"\xef\xbb\xbf" + config(os="linux", architecture="amd64"),
        config(os="linux"),
        config(architecture="amd64"),
        config(os="", architecture="amd64"),
        config(os=None, architecture="amd64"),
        config(os=1, architecture="amd64"),
        config(os=["linux"], architecture="amd64"),
        config(os={"linux": 1}, architecture="amd64"),
        config(os="linux", architecture=True),
        config(os="linux", architecture="amd64", variant=8),
        config(os="linux", architecture="amd64", variant=["v8"]),
        config(os="linux", architecture="amd64", variant="v8/v9"),
        config(os="linux\0", architecture="amd64"),
        config(os="linux\n", architecture="amd64"),
        config(os="linux/x", architecture="amd64"),
        config(os="<script>", architecture="amd64"),
        config(os="l\u0131nux", architecture="amd64"),
        b'{"os": "linux\\ud800", "architecture": "amd64"}',
        config(os="a" * 65, architecture="amd64"),
        config(os="a" * 1_000_000, architecture="amd64"),
        config(os="unknown", architecture="unknown"),
        b"[" * 1_000_000,
        b'{"os":' * 100_000,
        b'{"os": ' + b"9" * 100_000 + b', "architecture": "amd64"}',
    ],
)
def test_what_is_no_config_or_does_not_say(content: bytes) -> None:
    assert read_config(content) is None


def test_platforms_as_they_are_written() -> None:
    listed: list[Any] = [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "amd64", "variant": None},
        {"os": "unknown", "architecture": "unknown"},
        {"os": "<", "architecture": 1},
        "linux/amd64",
        None,
    ]
    assert all_written(listed) == ["linux/amd64", "linux/arm64/v8"]
    assert [written(each) for each in listed[3:]] == ["unknown/unknown", None, None, None]
