"""What people come for, in a real browser: by mouse, by the keyboard alone, and reading without script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.browser.eyes import Eyes, open_eyes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ENTER: Final = "\ue007"
SECRET: Final = re.compile(r"slp_[a-z0-9]{12}_[A-Za-z0-9_-]{43}_[A-Za-z0-9]{6}")


def find_and_copy(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.find("[name=q]").send_keys("pi", ENTER)
    eyes.wait_for_path("/console/search?q=pi")
    eyes.link("team/api")
    eyes.wait_for_path("/console/r/team/api")
    eyes.click("tr[data-row] .copy")
    assert re.fullmatch(r"docker pull 127\.0\.0\.1:\d+/team/api:1\.14\.2", eyes.copied())


def what_is_inside(eyes: Eyes) -> None:
    eyes.go("/console/r/team/api")
    eyes.link("1.14.2")
    for line in ("RUN apt-get update", "COPY /out /app", "serve --port 8080", "looks like a secret", "signature"):
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


def a_robot_for_ci(eyes: Eyes) -> None:
    eyes.go("/console/access")
    eyes.link("New robot or user")
    eyes.find("[name=name]").send_keys("team+mouse")
    eyes.find("[name=namespace]").send_keys("team")
    eyes.find("[name=repositories]").send_keys("team/**")
    eyes.find("[name=github-repository_id]").send_keys("42")
    eyes.click("form.narrow-form button.main")
    assert "repository_id=42" in eyes.text
    eyes.link("Access")
    eyes.link("May somebody…?")
    eyes.find("[name=principal]").send_keys("team+mouse")
    eyes.driver.execute_script("document.querySelector('[name=action]').value = 'push'")
    eyes.find("[name=repository]").send_keys("team/api", ENTER)
    eyes.wait_for("Yes")


def who_did_it(eyes: Eyes) -> None:
    eyes.go("/console/trail")
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


@pytest.mark.parametrize(
    "task",
    [find_and_copy, what_is_inside, sorted_and_filtered, a_robot_for_ci, who_did_it, how_it_is_used, is_it_well],
)
def test_by_mouse(eyes: Eyes, task: object) -> None:
    assert callable(task)
    task(eyes)
    assert eyes.complaints == []


def test_by_keyboard_finding_and_copying(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.press("/")
    eyes.press("team/web", ENTER)
    eyes.wait_for_path("/console/r/team/web")
    eyes.press("j")
    eyes.press("c")
    assert eyes.copied().endswith("/team/web:1.14.2")
    eyes.press(ENTER)
    eyes.wait_for_path("/console/r/team/web/-/tags/1.14.2")
    eyes.tab_to(".commands .copy")
    eyes.press(ENTER)
    assert eyes.copied().startswith("docker pull ")
    eyes.tab_to(".platforms a:not([aria-current])")
    eyes.press(ENTER)
    eyes.wait_for("linux/arm64")
    eyes.press("g")
    eyes.press("u")
    eyes.wait_for_path("/console/usage")
    assert eyes.complaints == []


def test_by_keyboard_a_robot_with_a_secret(eyes: Eyes) -> None:
    eyes.go("/console/")
    eyes.press("g")
    eyes.press("a")
    eyes.wait_for_path("/console/access")
    eyes.tab_to("[href='/console/access/new']")
    eyes.press(ENTER)
    eyes.wait_for_path("/console/access/new")
    eyes.tab_to("[name=name]")
    eyes.press("team+keys")
    eyes.tab_to("[name=repositories]")
    eyes.press("team/**")
    eyes.tab_to("[name=way]")
    # Down through the ways: GitLab, Google, a secret.
    eyes.press("\ue015", "\ue015", "\ue015")
    eyes.tab_to("button.main")
    eyes.press(ENTER)
    eyes.wait_for("This is the secret")
    assert SECRET.search(eyes.text)
    assert eyes.complaints == []


def test_keys_can_be_listed_and_switched_off(eyes: Eyes) -> None:
    eyes.go("/console/repositories")
    eyes.press("?")
    eyes.wait_for("Switch the keys off")
    eyes.driver.find_element("xpath", "//button[text()='Switch the keys off']").click()
    eyes.press("j")
    assert eyes.all("tr.here") == []


def test_reading_takes_no_script(stand: tuple[str, str], tmp_path: Path) -> None:
    address, secret = stand
    with open_eyes(address, tmp_path, has_script=False) as eyes:
        eyes.sign_in("admin", secret)
        eyes.find("[name=q]").send_keys("team/api", ENTER)
        eyes.wait_for_path("/console/r/team/api")
        eyes.link("1.14.2")
        assert "docker pull" in eyes.text
        assert "RUN apt-get update" in eyes.text
        eyes.click(".covered summary")
        assert "example" in eyes.find(".covered").text
        eyes.click(".commands summary")
        assert "FROM " in eyes.text
        for path in ("/console/usage", "/console/access", "/console/trail", "/console/operations"):
            eyes.go(path)
            assert eyes.find("h1").text
        eyes.go("/console/r/data/etl?sort=size")
        eyes.click("[rel=next]")
        assert len(eyes.all("tr[data-row]")) == 10


def test_a_theme_is_chosen_and_kept(eyes: Eyes) -> None:
    eyes.look(1280, is_dark=False)
    eyes.go("/console/repositories")
    before = eyes.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    eyes.click("[name=theme][value=dark]")
    eyes.go("/console/usage")
    assert eyes.driver.execute_script("return getComputedStyle(document.body).backgroundColor") != before
