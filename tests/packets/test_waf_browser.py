"""A real browser before the firewall's challenges: it passes them, and is asked only once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from haechi.dataplane.waf_plan import Condition, WafRule
from tests.packets.waflab import WafLab

RULES = tuple(WafRule(n, "custom", action, (Condition("path", "prefix", (f"/{action}",)),)) for n, action in ((1, "js"), (2, "captcha")))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    lab = WafLab(tmp_path)
    try:
        lab.apply(lab.domain(rules=RULES))
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP shop.test {lab.address}"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            yield browser.new_page()
            browser.close()
    finally:
        lab.down()


def test_a_browser_runs_the_script(page: Page) -> None:
    page.goto("http://shop.test/js")
    page.wait_for_selector("text=path")  # what the origin says it saw
    page.goto("http://shop.test/js/again")
    assert "/js/again" in page.content()


def test_a_person_drags_the_slider(page: Page) -> None:
    page.goto("http://shop.test/captcha")
    slider = page.locator("#slider")
    assert page.locator("html").get_attribute("lang") == "en" and slider.is_visible()
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert slider.is_visible()  # half the way is not enough
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 5, middle, steps=5)
    page.mouse.up()
    page.wait_for_selector("text=path")
    page.goto("http://shop.test/captcha/again")
    assert "/captcha/again" in page.content()
