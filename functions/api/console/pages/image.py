"""A tag or a manifest: what is inside, what refers to it, how often it is pulled, and how it is fetched."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from functions.api.console import drawing, image, requests
from functions.api.console.forms import Form
from functions.api.console.pages.repository import may
from functions.api.console.rendering import Page, host
from functions.api.console.route import Answer
from functions.api.console.visitor import NotShown, Visit
from functions.api.route import Query, name_in
from functions.api.v1.insights.configs import content_of
from functions.api.v1.insights.tags import details
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import Call
from functions.registry.metadata.lists import configs, tags
from functions.registry.metadata.lists.configs import Inside
from functions.registry.metadata.lists.tags import ManifestDetails
from functions.registry.metadata.usage import daily
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

_DAYS: Final = 30


def show_tag(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _show(visit, name_in(match), Tag.parse(match["tag"]), query)


def show_manifest(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _show(visit, name_in(match), Digest.parse(match["digest"]), query)


def delete_tag(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    """Deletes it, if what was typed is its name: a click alone is too easy."""
    name, tag = name_in(match), Tag.parse(match["tag"])
    if form.get("typed") != tag:
        text = f"Nothing was deleted: what was typed is not {tag}. Type its name to say that this tag is meant."
        return Page(
            "nothing_done.html", "Nothing was deleted", status=400, values={"text": text, "name": name, "tag": tag}
        )
    requests.request(visit, "DELETE", f"/v2/{name}/manifests/{tag}")
    values = {"text": f"The tag {tag} is gone from {name}. What no other tag names is collected later.", "name": name}
    return Page("deleted.html", "Deleted", "repositories", values=values)


def _show(visit: Visit, name: RepositoryName, reference: Tag | Digest, query: Query) -> Answer:
    child = query.get("image")
    last = datetime.now(UTC).date()
    first = last - timedelta(days=_DAYS - 1)
    calls: list[Call[Any]] = [
        tags.reading(name, reference),
        configs.reading(name, reference, None if child is None else Digest.parse(child)),
    ]
    if isinstance(reference, Tag):
        calls.append(daily.reading_tag(name, reference, first, last))
    found, inside, *days = visit.ask_in(name, calls)
    if not found or not inside:
        text = f"There is no {reference} in {name}, or you have no right to pull from it."
        if isinstance(reference, Tag):
            text += f" If it was deleted, it may be put back: the history of {name} tells."
        raise NotShown(text)
    stored: ManifestDetails = found[0]
    shown = details(stored)
    values = {
        "name": name,
        "reference": str(reference),
        "is_tag": isinstance(reference, Tag),
        "shown": shown,
        "annotations": image.pairs(image.read(stored.payload).get("annotations")),
        "commands": _commands(host(visit), name, reference, shown),
        "raw": image.raw(stored.payload),
        "may_delete": may(visit, "delete"),
        **_inside(visit, inside[0]),
        **_pulls(days, first, last),
    }
    kind = "tags" if isinstance(reference, Tag) else "manifests"
    address = f"/api/v1/repositories/{name}/-/{kind}/{reference}"
    sign = ":" if isinstance(reference, Tag) else "@"
    command = f"slipway show {name}{sign}{reference}"
    return Page("image.html", f"{name}{sign}{reference}", "repositories", values=values, json=address, command=command)


def _inside(visit: Visit, inside: Inside) -> dict[str, Any]:
    """Reads layers and config of the image; a config that can't be read now is said to be so, and the rest is shown."""
    manifest = image.read(inside.payload)
    content, is_unread = b"", False
    if inside.kind == "image":
        try:
            content = content_of(visit.services.bucket, inside)
        except BlobStoreUnavailable:
            is_unread = True
    document = image.read(content)
    return {
        "inside": inside,
        "layers": image.layers(manifest, document),
        "config": image.config(document) if document else None,
        "is_config_unread": is_unread,
    }


def _pulls(days: list[list[Any]], first: date, last: date) -> dict[str, Any]:
    read = daily.each(days[0][0], first, last) if days and days[0] else []
    return {"days": read, "pulls": drawing.bars([(day.day, day.pulls) for day in read])}


def _commands(host: str, name: str, reference: Tag | Digest, shown: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns them as they are pasted into a shell: by tag first, which is what people want, then by digest."""
    by_digest = f"{host}/{name}@{shown['digest']}"
    named = f"{host}/{name}:{reference}" if isinstance(reference, Tag) else by_digest
    if shown["kind"] == "chart" and isinstance(reference, Tag):
        version = str(reference).replace("_", "+")
        return [
            ("Helm", f"helm pull oci://{host}/{name} --version {version}"),
            ("ORAS", f"oras pull {named}"),
            ("By digest", f"helm pull oci://{by_digest}"),
        ]
    if shown["kind"] in {"image", "index"}:
        pinned = by_digest if isinstance(reference, Digest) else f"{named}@{shown['digest']}"
        return [
            ("Docker", f"docker pull {named}"),
            ("Podman", f"podman pull {_without_tls(host)}{named}"),
            ("By digest", f"docker pull {by_digest}"),
            ("Dockerfile", f"FROM {pinned}"),
            ("Kubernetes", f"image: {by_digest}"),
        ]
    return [("ORAS", f"oras pull {named}"), ("By digest", f"oras pull {by_digest}")]


def _without_tls(host: str) -> str:
    """Returns what podman has to be told of a registry on this machine; docker needs no telling."""
    return "--tls-verify=false " if host.startswith(("127.0.0.1:", "localhost:", "[::1]:")) else ""
