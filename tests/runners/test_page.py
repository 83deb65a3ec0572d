"""Reports in a real browser, without a network: as a picture of a screen, on a telephone, in the dark.

They need Chromium and its driver (Debian: chromium, chromium-driver), which `make test` installs where it
can.
"""

import base64
import io
import re
import shutil

import numpy as np
import pytest
from meze.runners import cli
from meze.runners.reporting.page import AGAINST, FOR, Page, legend_below, new_figure, style_of
from PIL import Image
from run_files import play_here

NEEDED = [shutil.which("chromium"), shutil.which("chromedriver")]
browser_test = pytest.mark.skipif(None in NEEDED, reason="needs chromium and chromedriver")

PHONE, DESK = (360, 780), (1200, 900)
SMALLEST_TEXT = 9  # pixels


def small_page():
    page = Page("Peas & <Beans>", "A page.")
    page.heading("Numbers")
    page.table(["what", *map(str, range(30))], [["x", *["1.00\n0.90..1.10"] * 30]])
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], label="line", **style_of(0))
    axes.set_xlabel("time")
    legend_below(axes)
    page.figures([(figure, "A line.")])
    page.table(["", "a", "b"], [["a", "-", "0.9"], ["b", "0.1", "-"]], [[0, 0.8], [-0.8, 0]])
    page.code([f"meze train q-learning city {'--env.pool-size 4 ' * 9}"])
    return page


def test_a_page_is_the_same_each_time_and_escapes_what_it_is_given():
    html = small_page().html()
    assert html == small_page().html()
    assert "Peas &amp; &lt;Beans&gt;" in html and "<Beans>" not in html
    assert "http" not in html.replace("http://www.w3.org/", "")  # names of formats are no addresses
    assert "currentColor" in html and "#010203" not in html


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = NEEDED[0]
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(NEEDED[1]))
    yield driver
    driver.quit()


def show(browser, path, size, scheme="light"):
    """Opens a page on a screen of this size; returns what it asked the network for, and its complaints."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    asked = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"] and '"url":"http' in entry["message"]
    ]
    return asked, browser.get_log("browser")


def brightness(browser, element, what):
    """Of an element's color, 0 to 255."""
    script = "return getComputedStyle(arguments[0])[arguments[1]].match(/[0-9.]+/g).slice(0, 3).map(Number)"
    return sum(browser.execute_script(script, element, what)) / 3


def assert_readable(browser, path):
    """Whether a report can be read on a desk and on a telephone, by day and by night."""
    from selenium.webdriver.common.by import By

    for size, scheme in ((DESK, "light"), (PHONE, "light"), (PHONE, "dark")):
        asked, complaints = show(browser, path, size, scheme)
        assert not asked and not complaints
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
        body = browser.find_element(By.TAG_NAME, "body")
        back, text = (brightness(browser, body, what) for what in ("backgroundColor", "color"))
        assert (back > 200 > 60 > text) if scheme == "light" else (back < 60 < 200 < text)
        for svg in browser.find_elements(By.CSS_SELECTOR, "figure svg"):
            assert svg.size["width"] > 250 and svg.size["height"] > 150
            assert svg.find_elements(By.CSS_SELECTOR, "path")
            words = svg.find_elements(By.CSS_SELECTOR, "text")
            assert words and abs(brightness(browser, words[0], "fill") - text) < 30
            heights = "return [...arguments[0].querySelectorAll('text')].map(t => t.getBoundingClientRect())"
            boxes = browser.execute_script(heights, svg)
            assert min(max(box["height"], box["width"]) for box in boxes) >= SMALLEST_TEXT / 2
            assert sorted(box["height"] for box in boxes)[len(boxes) // 2] >= SMALLEST_TEXT
        for picture in browser.find_elements(By.CSS_SELECTOR, "figure img"):
            assert browser.execute_script("return arguments[0].naturalWidth", picture) > 100


@browser_test
def test_a_page_can_be_read_on_a_telephone_and_in_the_dark(browser, tmp_path):
    small_page().save(tmp_path / "page.html")
    assert_readable(browser, tmp_path / "page.html")


def pixels(browser, element):
    """What an element looks like: (height, width) brightness."""
    picture = Image.open(io.BytesIO(base64.b64decode(element.screenshot_as_base64)))
    return np.asarray(picture.convert("L"), float)


@browser_test
def test_what_is_wider_than_the_screen_fades_out_until_it_is_scrolled(browser, tmp_path):
    from selenium.webdriver.common.by import By

    small_page().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html", PHONE)
    wide, narrow, code = browser.find_elements(By.CSS_SELECTOR, ".wide")
    for element in (wide, code):
        assert pixels(browser, element)[:, -2:].max() < 245, "no place at the edge is as white as the page"
        browser.execute_script("arguments[0].scrollLeft = arguments[0].scrollWidth", element)
        assert pixels(browser, element)[:, -2:].max() > 250, "at its end nothing is hidden"
    name = wide.find_element(By.CSS_SELECTOR, "tbody th")
    assert name.rect["x"] == wide.rect["x"], "the name stays in sight"
    assert pixels(browser, narrow)[:, -2:].max() > 250
    show(browser, tmp_path / "page.html", DESK)
    first = browser.find_element(By.CSS_SELECTOR, "table")
    assert first.size["width"] > 0.9 * DESK[0], "on a desk the width is used"


def test_tones_stand_behind_cells():
    html = small_page().html()
    assert f'style="background: {FOR}80">0.9<' in html and f'style="background: {AGAINST}80">0.1<' in html
    assert html.count("<td>-</td>") == 2


@pytest.mark.slow
@browser_test
def test_the_report_of_a_tournament_in_a_browser(browser, tmp_path, monkeypatch):
    from selenium.webdriver.common.by import By

    args = ["compare", "city", "--agents", "random,expert,q-learning,sarsa", "--seeds", "2"]
    small = ["--budget", "2000", "--episodes", "4", "--env.pool-size", "4"]
    play_here(monkeypatch)
    assert cli.main([*args, *small, "--out", str(tmp_path)]) == 0
    (report,) = tmp_path.glob("*/*/report.html")
    assert_readable(browser, report)
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure svg")) == 5
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure img")) == 4
    scores, improvement = browser.find_elements(By.CSS_SELECTOR, "table")
    shown = {cell.text for cell in scores.find_elements(By.CSS_SELECTOR, "tbody th")}
    assert shown == {"random", "expert", "q-learning", "sarsa"}
    cells = [cell.text for cell in improvement.find_elements(By.CSS_SELECTOR, "td")]
    assert cells[0] == cells[3] == "-"
    for cell in cells[1:3]:
        pattern = r"[01]\.\d\d\n[01]\.\d\d\.\.[01]\.\d\d\np [01]\.\d{3}"
        assert re.fullmatch(pattern, cell), "a value, its interval, and how probable chance alone makes it"
