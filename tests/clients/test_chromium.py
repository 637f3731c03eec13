"""Chromium: what pages may read of a registry, and what becomes of content that somebody would like to be a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import requests

from tests.clients.browser import Page
from tests.clients.content import MANIFEST_TYPE, digest_of
from tests.clients.engine import temporary_folder
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.server import start_registry

pytestmark = [pytest.mark.clients_more, pytest.mark.client("chromium"), pytest.mark.timeout(300)]

_NAME: Final = "pages/one"
_READ: Final = """
const read = async (path, options) => {
  try {
    const answer = await fetch(REGISTRY + path, options);
    const headers = {};
    for (const name of ['docker-content-digest', 'link', 'location', 'www-authenticate', 'x-content-type-options'])
      headers[name] = answer.headers.get(name);
    return {status: answer.status, text: await answer.text(), headers};
  } catch (error) {
    return {error: String(error)};
  }
};
"""


@dataclass
class Site:
    """A registry with one image, and a page whose origin the registry knows."""

    page: Page
    repository: Repository
    blob: str
    html: str
    svg: str
    script: str

    @property
    def registry(self) -> str:
        return f"http://{self.repository.address}"

    def seen(self, script: str, host: str = "127.0.0.1") -> Any:
        return self.page.seen(f"const REGISTRY = {json.dumps(self.registry)};{_READ}{script}", host)


@pytest.fixture(scope="module", params=["redirect", "streaming"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    require_program("chromium")
    page = Page()
    with temporary_folder() as folder, page.served():
        settings = {"SLIPWAY_CORS_ORIGINS": page.origin}
        with start_registry(request.param, folder / "data", settings) as registry:
            yield _filled(page, Repository(registry.address, _NAME))


def _filled(page: Page, repository: Repository) -> Site:
    """Fills it with content that tells the page's site of it where a browser takes it for more than data."""
    visit = f"fetch('{page.origin}/visited')"
    contents = [
        "a blob that pages may read",
        f"<!doctype html><script>{visit}</script><img src='{page.origin}/visited'>",
        f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>{visit}</script></svg>",
        f"{visit}; window.ran = true",
    ]
    digests = [_push(repository, content.encode()) for content in contents]
    described = {"mediaType": "application/octet-stream", "digest": digests[0], "size": len(contents[0])}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described, "layers": [described]})
    headers = {"Content-Type": MANIFEST_TYPE}
    requests.put(repository.url("manifests/one"), data=manifest, headers=headers, timeout=10).raise_for_status()
    return Site(page, repository, *digests)


def _push(repository: Repository, content: bytes) -> str:
    digest = digest_of(content)
    url = repository.url(f"blobs/uploads/?digest={digest}")
    requests.post(url, data=content, timeout=10).raise_for_status()
    return digest


@pytest.mark.operations("CORS: list", "manifest", "blob", "error", "preflight")
def test_a_page_of_a_known_origin_reads_what_anybody_may(site: Site) -> None:
    seen = site.seen(f"""
        const headers = {{Authorization: 'Bearer nothing'}};
        return {{
          tags: await read('/v2/{_NAME}/tags/list', {{headers}}),
          manifest: await read('/v2/{_NAME}/manifests/one', {{headers: {{Accept: '{MANIFEST_TYPE}'}}}}),
          blob: await read('/v2/{_NAME}/blobs/{site.blob}', {{headers}}),
          part: await read('/v2/{_NAME}/blobs/{site.blob}', {{headers: {{Range: 'bytes=2-5'}}}}),
          missing: await read('/v2/{_NAME}/manifests/none', {{headers}}),
          deleted: await read('/v2/{_NAME}/manifests/none', {{method: 'DELETE', headers}}),
        }};""")
    assert json.loads(seen["tags"]["text"])["tags"] == ["one"]
    assert seen["manifest"]["headers"]["docker-content-digest"] == site.repository.manifest("one").digest
    assert seen["blob"]["text"] == "a blob that pages may read"
    assert (seen["part"]["status"], seen["part"]["text"]) == (206, "blob")
    for name in ("missing", "deleted"):
        assert (seen[name]["status"], json.loads(seen[name]["text"])["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    assert seen["tags"]["headers"]["x-content-type-options"] is None, "more was exposed than was meant"


@pytest.mark.operations("CORS: other origins")
def test_a_page_of_another_origin_reads_nothing(site: Site) -> None:
    """`localhost` is another origin than `127.0.0.1`, if the same machine."""
    script = f"return [await read('/v2/_catalog'), await read('/v2/{_NAME}/blobs/{site.blob}')];"
    assert ["error" in answer for answer in site.seen(script, host="localhost")] == [True, True]


@pytest.mark.operations("CORS: no credentials")
def test_no_page_gets_in_with_what_the_browser_keeps(site: Site) -> None:
    seen = site.seen("return await read('/v2/_catalog', {credentials: 'include'});")
    assert "error" in seen


@pytest.mark.operations("content is no page")
def test_content_is_neither_shown_nor_run(site: Site) -> None:
    """Opened, framed, as a script and as a picture, from a page that may read all of it."""
    seen = site.seen(f"""
        const blob = (digest) => REGISTRY + '/v2/{_NAME}/blobs/' + digest;
        const loaded = (tag, name, url) => new Promise((done) => {{
          const element = document.createElement(tag);
          element.onload = () => done('loaded');
          element.onerror = () => done('refused');
          element[name] = url;
          document.body.append(element);
          setTimeout(() => done('nothing'), 3000);
        }});
        const opened = window.open(blob('{site.html}'));
        const seen = {{
          script: await loaded('script', 'src', blob('{site.script}')),
          picture: await loaded('img', 'src', blob('{site.svg}')),
          page: await loaded('iframe', 'src', blob('{site.html}')),
          picturePage: await loaded('iframe', 'src', blob('{site.svg}')),
        }};
        return {{...seen, ran: window.ran === true, opened: opened !== null}};""")
    assert seen["ran"] is False
    assert "/visited" not in site.page.visits


@pytest.mark.operations("JSON is framed nowhere")
def test_no_answer_can_be_framed(site: Site) -> None:
    site.seen(f"""
        const frame = document.createElement('iframe');
        const loaded = new Promise((done) => {{ frame.onload = done; setTimeout(done, 3000); }});
        frame.src = REGISTRY + '/v2/{_NAME}/tags/list';
        document.body.append(frame);
        await loaded;
        return 'tried';""")
    assert "frame-ancestors 'none'" in site.page.complaints
