"""A real Chromium, led by its driver: what it shows, what it complains of, what it loads and how long that takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.conftest import ROOT

_SECONDS: Final = 30
_ARGUMENTS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_AXE: Final = ROOT / "build" / "browser" / "axe-core-4.10.2" / "node_modules" / "axe-core" / "axe.min.js"
_LEVELS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PICTURES: Final = ROOT / "build" / "console"


@dataclass
class Eyes:
    """`driver` is selenium's; `complaints` are what the browser wrote to its console so far."""

    driver: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, name: str, secret: str) -> None:
        self.go("/console/sign-in")
        self.find("[name=name]").send_keys(name)
        self.find("[name=password]").send_keys(secret)
        self.find("form.sign-in button").click()
        self.wait_for_path("/console/")

    def go(self, path: str) -> None:
        self.driver.get(f"{self.address}{path}")
        self.listen()

    def listen(self) -> None:
        self.complaints += [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def path(self) -> str:
        url: str = self.driver.current_url
        return url.removeprefix(self.address)

    @property
    def text(self) -> str:
        text: str = self.find("body").text
        return text

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def click(self, selector: str) -> None:
        self.find(selector).click()
        self.listen()

    def link(self, text: str) -> None:
        self.driver.find_element("link text", text).click()
        self.listen()

    def press(self, *keys: str) -> None:
        """Types to whatever has the focus, as a keyboard does."""
        from selenium.webdriver import ActionChains  # noqa: PLC0415  # it may not be installed

        ActionChains(self.driver).send_keys(*keys).perform()
        self.listen()

    def tab_to(self, selector: str, most: int = 80) -> None:
        """Moves the focus by the tabulator alone until it is there."""
        from selenium.webdriver.common.keys import Keys  # noqa: PLC0415  # as above

        for _ in range(most):
            self.press(Keys.TAB)
            if self.driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"{selector} can't be reached by the tabulator in {most} steps")

    def wait_for(self, text: str) -> None:
        from selenium.common.exceptions import StaleElementReferenceException  # noqa: PLC0415  # as above
        from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415  # as above

        # The page that is looked at may go while the next one comes.
        ignored = [StaleElementReferenceException]
        WebDriverWait(self.driver, _SECONDS, ignored_exceptions=ignored).until(lambda _: text in self.text)

    def wait_for_path(self, path: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415  # as above

        WebDriverWait(self.driver, _SECONDS).until(lambda _: self.path == path)

    def copied(self) -> str:
        """What the last button put into the clipboard: it says so to screen readers."""
        self.wait_for_said("Copied: ")
        said: str = self.driver.execute_script("return document.getElementById('live').textContent")
        return said.removeprefix("Copied: ")

    def wait_for_said(self, text: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415  # as above

        live = "return document.getElementById('live').textContent"
        WebDriverWait(self.driver, _SECONDS).until(lambda driver: text in driver.execute_script(live))

    def look(self, width: int, *, is_dark: bool) -> None:
        """From now on the window is so wide, and the system has that theme."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        theme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})

    def picture(self, name: str) -> None:
        """Into build/console/, as high as the page is, up to a bound."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        extent = "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        width, height = self.driver.execute_script(extent)
        metrics = {"width": width, "height": min(max(height, 600), 1600), "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.save_screenshot(str(PICTURES / f"{name}.png"))

    def faults_for_assistance(self) -> list[str]:
        """What axe-core finds against WCAG A and AA."""
        self.driver.execute_script(_AXE.read_text(encoding="utf-8"))
        script = "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(done);"
        found = self.driver.execute_async_script(script, _LEVELS)
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def loaded(self) -> list[dict[str, Any]]:
        """Each request of the page at hand: its size on the wire, its size, and what it was for."""
        script = """return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .map((entry) => ({name: entry.name, sent: entry.encodedBodySize, size: entry.decodedBodySize,
                              over: entry.transferSize}))"""
        found: list[dict[str, Any]] = self.driver.execute_script(script)
        return found


def has_axe() -> bool:
    return _AXE.exists()


@contextmanager
def open_eyes(address: str, folder: Path, *, has_script: bool = True) -> Iterator[Eyes]:
    from selenium import webdriver  # noqa: PLC0415  # it may not be installed

    options = webdriver.ChromeOptions()
    for argument in (*_ARGUMENTS, f"--user-data-dir={folder}/profile"):
        options.add_argument(argument)
    if not has_script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(_SECONDS)
    try:
        yield Eyes(driver, address)
    finally:
        driver.quit()


def written(figures: dict[str, Any]) -> None:
    """Keeps figures beside the pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "figures.json").write_text(json.dumps(figures, indent=1))
