"""A real browser on a page: Debian's Chromium, headless, that logs every request and complaint."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none to give up
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True, slots=True)
class Browser:
    """One window, and what may be asked of it."""

    driver: Any

    def open(self, page: Path | str) -> None:
        """Show a file or an address; what was logged before is forgotten."""
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri() if isinstance(page, Path) else page)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def keys(self, *pressed: str) -> None:
        """Press keys where the focus is; the drawing of the next frame is waited for."""
        for key in pressed:
            self.driver.switch_to.active_element.send_keys(key)
        self.frame()

    def frame(self) -> None:
        """Wait until the page has drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size, narrower than a window could be."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.frame()

    def picture(self, path: Path) -> None:
        """Keep what the screen shows."""
        made = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(made["data"]))

    def pdf(self) -> bytes:
        """Print the page."""
        made = self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        return base64.b64decode(made["data"])

    def requests(self) -> list[str]:
        """Every address the page asked for since it was opened."""
        messages = (
            json.loads(one["message"])["message"] for one in self.driver.get_log("performance")
        )
        sent = (m["params"] for m in messages if m["method"] == "Network.requestWillBeSent")
        return [str(params["request"]["url"]) for params in sent]

    def complaints(self) -> list[str]:
        """What stands in the console since the page was opened."""
        return [str(one["message"]) for one in self.driver.get_log("browser")]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser of our own; skip where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("no chromium here: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory(prefix="knockon-browser-") as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service = webdriver.ChromeService(programs[1])
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()
