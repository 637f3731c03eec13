"""Every page in both themes: for assistance, within the policy, small, without a sideways scroll; and its picture."""

from __future__ import annotations

from typing import Final

import pytest

from tests.browser.eyes import Eyes, has_axe, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PAGES: Final = {
    "start": "/console/",
    "search": "/console/search?q=s",
    "repositories": "/console/repositories",
    "repository": "/console/r/payments/gateway",
    "repository-usage": "/console/r/payments/gateway/-/usage",
    "tag": "/console/r/payments/gateway/-/tags/1.13.2",
    "chart": "/console/r/platform/ingress/-/tags/0.6.0",
    "history": "/console/r/payments/gateway/-/history",
    "lifecycle": "/console/lifecycle",
    "retention": "/console/lifecycle/policies",
    "policy": "/console/lifecycle/policies/pull-requests",
    "run": "/console/lifecycle/runs/1",
    "events": "/console/events",
    "subscription": "/console/events/1",
    "usage": "/console/usage",
    "access": "/console/access",
    "grants": "/console/access/grants",
    "rules": "/console/access/rules",
    "may": "/console/access/may?principal=admin&action=push&repository=shop/catalog",
    "new-robot": "/console/access/new",
    "person": "/console/access/principals/admin",
    "trail": "/console/trail",
    "operations": "/console/operations",
    "safety": "/console/operations/safety",
    "imports": "/console/operations/imports",
    "import": "/console/operations/imports/1",
    "sessions": "/console/sessions",
    "not-found": "/console/nope",
}
KB: Final = 1000


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_pages_are_fit_for_everybody(eyes: Eyes, width: int, is_dark: bool) -> None:
    if not has_axe():
        pytest.skip("axe-core is not installed: .ci/install-browser")
    faults = []
    for name, path in PAGES.items():
        eyes.look(width, is_dark=is_dark)
        eyes.go(path)
        faults += [f"{name}: {fault}" for fault in eyes.faults_for_assistance()]
        wide = eyes.driver.execute_script("return document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{name}: {wide} pixels wide")
        eyes.picture(f"{name}-{width}-{'dark' if is_dark else 'light'}")
    assert faults == [], "\n".join(faults)
    # That a page is not there is what the last one says.
    assert [each for each in eyes.complaints if "404" not in each] == []


def test_a_first_visit_of_three_pages_is_small(eyes: Eyes) -> None:
    """Three pages, one of them a list of fifty tags; what the first loads, the others have."""
    sent, size, requests = 0, 0, 0
    figures = {}
    for name, path in (("start", "/console/"), ("list", "/console/r/data/etl"), ("tag", PAGES["tag"])):
        eyes.go(path)
        fresh = [entry for entry in eyes.loaded() if name == "start" or entry["over"]]
        sent, size = sent + sum(entry["sent"] for entry in fresh), size + sum(entry["size"] for entry in fresh)
        requests += len(fresh)
        figures[name] = [[entry["name"].rpartition("/")[2], entry["sent"], entry["size"]] for entry in fresh]
    written({"first visit": {"requests": requests, "sent": sent, "size": size, "pages": figures}})
    assert size <= 100 * KB, figures
    assert sent <= 25 * KB, figures
    assert requests <= 6, figures
