"""Chromium as the tests of the page drive it."""

import json
import shutil
from pathlib import Path

import pytest
from markupsafe import Markup

from movie_recs.report import page
from movie_recs.report.page import Content

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")

from selenium.webdriver.chrome.service import Service  # noqa: E402 - after importorskip
from selenium.webdriver.remote.webdriver import WebDriver  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1000"),
)


def write_page(path: Path, content: Content) -> str:
    """Writes a page whose figures are not drawn, which loads at once; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_plotly_js", lambda: Markup("const Plotly = { react: () => {} };"))
        path.write_text(page.render(content), encoding="utf-8")
    return path.as_uri()


def start(profile: str) -> WebDriver:
    """A browser with this folder for what it keeps."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))  # with a path, Selenium downloads no driver


def show(browser: WebDriver, scheme: str, width: int, medium: str = "") -> None:
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}  # clicks need what does not move
    features = [{"name": name, "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})


def requested(browser: WebDriver) -> set[str]:
    """The addresses that were asked for since the log was read last."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}


def problems(browser: WebDriver) -> list[dict]:
    """The warnings and errors of the console since it was read last."""
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
