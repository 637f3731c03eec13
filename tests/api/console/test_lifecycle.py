"""What was deleted or overwritten is shown, and put back by somebody who never did it before."""

from __future__ import annotations

from typing import Final

from tests.api.console.browser import Browser
from tests.metadata.build import set_grace
from tests.support import Registry

TAG: Final = "/console/r/team/api/-/tags/v1"
HISTORY: Final = "/console/r/team/api/-/history"


def test_a_deleted_tag_is_put_back_from_its_history(browser: Browser, registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1")
    registry.push_image("team/api", "v2")
    assert "No tag was moved or deleted yet" in browser.page(HISTORY)
    said = browser.fill(TAG, TAG, typed="v1").text
    assert HISTORY in said, "the page that says it is gone leads to where it is put back"
    assert browser.get(TAG).status_code == 404
    assert browser.fill(HISTORY, HISTORY).status_code == 303
    assert str(pushed.digest) in browser.page(TAG)


def test_a_tag_that_was_overwritten_goes_back(browser: Browser, registry: Registry) -> None:
    first = registry.push_image("team/api", "v1")
    registry.push_image("team/api", "v1")
    page = browser.page(f"{HISTORY}?tag=v1")
    assert str(first.digest) in page
    assert "moved" in page
    assert browser.fill(HISTORY, HISTORY).status_code == 303
    assert str(first.digest) in browser.page(TAG)
    assert "Nothing is known of what v9" in browser.page(f"{HISTORY}?tag=v9")


def test_deleted_tags_and_repositories_are_put_back_from_one_page(browser: Browser, registry: Registry) -> None:
    set_grace(registry.services.database, undo=168)
    registry.push_image("team/api", "v1")
    registry.push_image("team/api", "v2")
    registry.push_image("team/old", "v1")
    registry.request("DELETE", "/v2/team/api/manifests/v1")
    page = "/console/lifecycle"
    assert "team/api:v1" in browser.page(page)
    assert browser.fill(page, page).status_code == 303
    assert browser.get(TAG).status_code == 200
    assert registry.request("DELETE", "/api/v1/repositories/team/old").status_code in {200, 204}
    assert browser.get("/console/r/team/old").status_code == 404
    assert browser.fill(page, page).status_code == 303
    assert browser.get("/console/r/team/old").status_code == 200
    assert "No deleted repository waits" in browser.page(page)


def test_what_can_not_be_put_back_is_said(browser: Browser, registry: Registry) -> None:
    registry.push_image("team/api", "v1")
    answer = browser.send("/console/lifecycle", repository="team/api", tag="v9", digest="")
    assert answer.status_code == 200
    assert 'class="error"' in answer.text
    assert browser.get("/console/r/nobody/-/history").status_code == 404


def test_a_tag_that_was_put_back_is_not_put_back_again(browser: Browser, registry: Registry) -> None:
    registry.push_image("team/api", "v1")
    assert browser.fill(TAG, TAG, typed="v1").status_code == 200
    assert "Put back" in browser.page(HISTORY)
    assert browser.fill(HISTORY, HISTORY).status_code == 303
    page = browser.page(HISTORY)
    assert "named now" in page
    assert "<button aria-label" not in page.partition("<table")[2]


def test_another_name_than_the_tags_deletes_nothing_and_leads_back(browser: Browser, registry: Registry) -> None:
    registry.push_image("team/api", "v1")
    answer = browser.fill(TAG, TAG, typed="v2")
    assert answer.status_code == 400
    assert "Nothing was deleted" in answer.text
    assert f'href="{TAG}"' in answer.text
    assert browser.get(TAG).status_code == 200
