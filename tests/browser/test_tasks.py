"""What people come for, in a real browser: by mouse, by the keyboard alone, and reading without script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from local.showcase_content import Pusher
from tests.browser.eyes import Eyes, open_eyes
from tests.people_issuer import PeopleIssuer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ENTER: Final = "\ue007"
DOWN: Final = "\ue015"
SECRET: Final = re.compile(r"slp_[a-z0-9]{12}_[A-Za-z0-9_-]{43}_[A-Za-z0-9]{6}")
GATEWAY: Final = "payments/gateway"


# By mouse


def find_and_copy(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.find("[name=q]").send_keys("gatew", ENTER)
    eyes.wait_for_path("/console/search?q=gatew")
    eyes.link(GATEWAY)
    eyes.wait_for_path(f"/console/r/{GATEWAY}")
    eyes.click("tr[data-row] .copy")
    assert re.fullmatch(r"docker pull 127\.0\.0\.1:\d+/payments/gateway:(1\.13\.2|latest)", eyes.copied())


def what_is_inside(eyes: Eyes) -> None:
    eyes.go(f"/console/r/{GATEWAY}")
    eyes.link("1.13.2")
    for line in (
        "RUN apt-get update",
        "COPY /out /app",
        "serve --port 8080",
        "looks like a secret",
        "signature",
        "sbom",
    ):
        assert line in eyes.text, line
    assert "example" not in eyes.find(".covered summary").text
    eyes.link("linux/arm64")
    assert "linux/arm64" in eyes.find("#inside h2").text


def sorted_and_filtered(eyes: Eyes) -> None:
    eyes.go("/console/r/data/etl")
    assert len(eyes.all("tr[data-row]")) == 50
    eyes.click("[rel=next]")
    assert len(eyes.all("tr[data-row]")) == 10
    eyes.find("form.filters [name=name]").send_keys("build-007")
    eyes.wait_for_said("1 on this page")
    assert len(eyes.all("tr[data-row]")) == 1
    assert "name=build-007" in eyes.path


def put_back(eyes: Eyes) -> None:
    """From the start page to the tag that somebody deleted, and back on its page."""
    eyes.go("/console/")
    eyes.link("Lifecycle")
    eyes.click(f"[aria-label='Put back {GATEWAY}:1.12.1']")
    eyes.wait_for(f"{GATEWAY}:1.12.1 is back.")
    eyes.go(f"/console/r/{GATEWAY}/-/tags/1.12.1")
    assert "docker pull" in eyes.text


def a_robot_for_ci(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Access")
    eyes.link("New robot or user")
    eyes.find("[name=name]").send_keys("shop+mouse")
    eyes.find("[name=namespace]").send_keys("shop")
    eyes.find("[name=repositories]").send_keys("shop/**")
    eyes.find("[name=github-repository_id]").send_keys("42")
    eyes.click("form.narrow-form button.main")
    eyes.wait_for("repository_id=42")
    eyes.link("Access")
    eyes.link("May somebody…?")
    eyes.find("[name=principal]").send_keys("shop+mouse")
    eyes.driver.execute_script("document.querySelector('[name=action]').value = 'push'")
    eyes.find("[name=repository]").send_keys("shop/catalog", ENTER)
    eyes.wait_for("Yes")


def what_goes_and_why(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Lifecycle")
    eyes.link("Retention")
    eyes.link("pull-requests")
    eyes.click("form.filters button.main")
    eyes.wait_for("Tags to go")
    assert "not among the newest 2" in eyes.text
    number = eyes.find("[name=waiting]").get_attribute("value")
    eyes.find("[name=typed]").send_keys(number)
    eyes.click("button[value=apply]")
    eyes.wait_for(f"{number} tags are removed")
    eyes.click("button[value=undo]")
    eyes.wait_for("All of it is put back.")


def who_did_it(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Audit trail")
    eyes.find("[name=action]").send_keys("console.sign-in", ENTER)
    eyes.wait_for("user:admin")


def how_it_is_used(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Usage")
    assert eyes.all("svg.treemap a")
    eyes.click("svg.treemap a rect")
    assert eyes.path.startswith("/console/repositories?namespace=")


def is_it_well(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Operations")
    eyes.click("main form button")
    eyes.wait_for("The collection is woken.")
    eyes.link("Checks and backups")
    eyes.wait_for("Is all of it there?")
    eyes.link("Imports")
    eyes.link("https://old-registry.example.com")
    eyes.wait_for("added")


def who_is_told(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.link("Events")
    eyes.link("deploys")
    eyes.driver.find_element("xpath", "//button[text()='Pause']").click()
    eyes.wait_for("Nothing is sent any more")
    eyes.driver.find_element("xpath", "//button[text()='Go on']").click()
    eyes.wait_for("It goes on with what waits.")


BY_MOUSE: Final = (
    find_and_copy,
    what_is_inside,
    sorted_and_filtered,
    put_back,
    a_robot_for_ci,
    what_goes_and_why,
    who_did_it,
    how_it_is_used,
    is_it_well,
    who_is_told,
)


@pytest.mark.parametrize("task", BY_MOUSE)
def test_by_mouse(eyes: Eyes, task: Callable[[Eyes], None]) -> None:
    task(eyes)
    assert eyes.complaints == []


# By the keyboard alone


def keys_find_and_copy(eyes: Eyes) -> None:
    eyes.press("/")
    eyes.press("shop/storefront", ENTER)
    eyes.wait_for_path("/console/r/shop/storefront")
    eyes.press("j")
    eyes.press("c")
    assert "/shop/storefront:" in eyes.copied()
    eyes.press(ENTER)
    eyes.wait_for("Layers")
    eyes.tab_to(".commands .copy")
    eyes.press(ENTER)
    assert eyes.copied().startswith("docker pull ")


def keys_what_is_inside(eyes: Eyes) -> None:
    eyes.press("/")
    eyes.press(f"{GATEWAY}:1.13.2", ENTER)
    eyes.wait_for(f"{GATEWAY}:1.13.2")
    eyes.press("j", ENTER)
    eyes.wait_for("Layers")
    eyes.tab_to(".platforms a:not([aria-current])")
    eyes.press(ENTER)
    eyes.wait_for("linux/arm64")
    eyes.tab_to(".covered summary")
    eyes.press(ENTER)
    assert "example" in eyes.find(".covered").text


def keys_sorted_and_filtered(eyes: Eyes) -> None:
    eyes.press("/")
    eyes.press("data/etl", ENTER)
    eyes.wait_for_path("/console/r/data/etl")
    eyes.tab_to("form.filters [name=name]")
    eyes.press("build-03")
    eyes.wait_for_said("10 on this page")
    eyes.tab_to("th[aria-sort] a[href*='sort=name']")
    eyes.press(ENTER)
    eyes.wait_for("build-030")
    assert "sort=name" in eyes.path


def keys_put_back(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("l")
    eyes.wait_for_path("/console/lifecycle")
    eyes.tab_to("[aria-label='Put back data/etl:build-001']")
    eyes.press(ENTER)
    eyes.wait_for("data/etl:build-001 is back.")


def keys_a_robot_with_a_secret(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("a")
    eyes.wait_for_path("/console/access")
    eyes.tab_to("[href='/console/access/new']")
    eyes.press(ENTER)
    eyes.wait_for_path("/console/access/new")
    eyes.tab_to("[name=name]")
    eyes.press("shop+keys")
    eyes.tab_to("[name=repositories]")
    eyes.press("shop/**")
    eyes.tab_to("[name=way]")
    # Down through the ways: GitLab, Google, a secret.
    eyes.press(DOWN, DOWN, DOWN)
    eyes.tab_to("button.main")
    eyes.press(ENTER)
    eyes.wait_for("This is the secret")
    assert SECRET.search(eyes.text)


def keys_what_goes_and_why(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("l")
    eyes.wait_for_path("/console/lifecycle")
    eyes.tab_to("[href='/console/lifecycle/policies']")
    eyes.press(ENTER)
    eyes.tab_to("[href='/console/lifecycle/policies/pull-requests']")
    eyes.press(ENTER)
    eyes.tab_to("form.filters button.main")
    eyes.press(ENTER)
    # What was put back by the mouse is kept for a while: perhaps no tag goes.
    eyes.wait_for("Tags to go")
    eyes.tab_to("button[value=drop]")
    eyes.press(ENTER)
    eyes.wait_for("The run is dropped")


def keys_who_did_it(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("t")
    eyes.wait_for_path("/console/trail")
    eyes.tab_to("[name=action]")
    eyes.press("console.sign-in", ENTER)
    eyes.wait_for("via: secret")


def keys_how_it_is_used(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("u")
    eyes.wait_for_path("/console/usage")
    eyes.tab_to("svg.treemap a")
    eyes.press(ENTER)
    eyes.wait_for("Repositories of")


def keys_is_it_well(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("o")
    eyes.wait_for_path("/console/operations")
    eyes.tab_to("main form button")
    eyes.press(ENTER)
    # It is woken at most once a minute: somebody else may just have done it.
    eyes.wait_for("woken")
    eyes.tab_to("[href='/console/operations/safety']")
    eyes.press(ENTER)
    eyes.wait_for("Could it be brought back?")


def keys_who_is_told(eyes: Eyes) -> None:
    eyes.press("g")
    eyes.press("e")
    eyes.wait_for_path("/console/events")
    eyes.press("j", ENTER)
    eyes.wait_for("hooks.example.com")
    eyes.tab_to("main .buttons button")
    eyes.press(ENTER)
    eyes.wait_for("A test is on its way")


BY_KEYBOARD: Final = (
    keys_find_and_copy,
    keys_what_is_inside,
    keys_sorted_and_filtered,
    keys_put_back,
    keys_a_robot_with_a_secret,
    keys_what_goes_and_why,
    keys_who_did_it,
    keys_how_it_is_used,
    keys_is_it_well,
    keys_who_is_told,
)


@pytest.mark.parametrize("task", BY_KEYBOARD)
def test_by_keyboard(eyes: Eyes, stand: tuple[str, str], task: Callable[[Eyes], None]) -> None:
    if task is keys_put_back:
        Pusher(*stand).ask("DELETE", "/v2/data/etl/manifests/build-001", "data/etl")
    eyes.go("/console/")
    task(eyes)
    assert eyes.complaints == []


def test_keys_can_be_listed_and_switched_off(eyes: Eyes) -> None:
    eyes.go("/console/repositories")
    eyes.press("?")
    eyes.wait_for("Switch the keys off")
    eyes.driver.find_element("xpath", "//button[text()='Switch the keys off']").click()
    eyes.press("j")
    assert eyes.all("tr.here") == []


# By the organisation's issuer


def test_a_person_signs_in_by_the_issuer(stand: tuple[str, str], issuer: PeopleIssuer, tmp_path: Path) -> None:
    """First nobody knows her; then the administrator says who she is."""
    address, secret = stand
    button = "a[href^='/console/oidc']"
    pusher = Pusher(address, secret)
    pusher.ask("POST", "/api/v1/principals", json={"kind": "user", "name": "ana"})
    with open_eyes(address, tmp_path) as eyes:
        eyes.go("/console/sign-in")
        eyes.click(button)
        eyes.wait_for("No user of this registry has that identity yet")
        assert "ana@example.com" in eyes.text
        pusher.ask("PATCH", "/api/v1/principals/ana", json={"subject": issuer.person["sub"]})
        eyes.go("/console/repositories?sort=name")
        eyes.tab_to(button)
        eyes.press(ENTER)
        eyes.wait_for_path("/console/repositories?sort=name")
        assert "ana" in eyes.find(".menu summary").text
        # That she was refused at first is what the browser complains of.
        assert [each for each in eyes.complaints if "403" not in each] == []


# Without script


def test_reading_takes_no_script(stand: tuple[str, str], tmp_path: Path) -> None:
    address, secret = stand
    with open_eyes(address, tmp_path, has_script=False) as eyes:
        eyes.sign_in("admin", secret)
        eyes.find("[name=q]").send_keys(GATEWAY, ENTER)
        eyes.wait_for_path(f"/console/r/{GATEWAY}")
        eyes.link("1.13.2")
        assert "docker pull" in eyes.text
        assert "RUN apt-get update" in eyes.text
        eyes.click(".covered summary")
        assert "example" in eyes.find(".covered").text
        eyes.click(".commands summary")
        assert "FROM " in eyes.text
        eyes.go("/console/r/data/etl?sort=size")
        eyes.click("[rel=next]")
        assert len(eyes.all("tr[data-row]")) == 10


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/console/usage", "Grew most in thirty days"),
        ("/console/lifecycle", "What can be put back"),
        ("/console/lifecycle/policies", "pull-requests"),
        ("/console/lifecycle/policies/pull-requests", "the newest 2"),
        ("/console/lifecycle/runs/1", "not among the newest 2"),
        ("/console/events", "deploys"),
        ("/console/events/1", "hooks.example.com"),
        ("/console/access", "admin"),
        ("/console/trail", "retention.plan"),
        ("/console/operations", "Garbage collection"),
        ("/console/operations/safety", "Could it be brought back?"),
        ("/console/operations/imports", "old-registry.example.com"),
        ("/console/operations/imports/1", "What could not be taken over"),
    ],
)
def test_a_page_is_read_without_script(readers_eyes: Eyes, path: str, said: str) -> None:
    readers_eyes.go(path)
    assert said in readers_eyes.text


def test_a_theme_is_chosen_and_kept(eyes: Eyes) -> None:
    eyes.look(1280, is_dark=False)
    eyes.go("/console/repositories")
    before = eyes.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    eyes.click("[name=theme][value=dark]")
    eyes.go("/console/usage")
    assert eyes.driver.execute_script("return getComputedStyle(document.body).backgroundColor") != before
