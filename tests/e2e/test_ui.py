"""The page, in a real browser: it connects, shows a list, uploads an item and tells what is wrong."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.fixtures import media
from tests.fixtures.stack import Stack

BROWSER = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE_MS = 30_000

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    # A continuous integration without a browser is a broken one, not a reason to skip.
    pytest.mark.skipif(BROWSER is None and not os.environ.get("CI"), reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        opened = browser.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


def open_page(page: Page, stack: Stack, key: str) -> list[str]:
    """Open the page as the printed address does; errors of the page are collected."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{stack.client.base_url}/ui/#key={key}&user=ada")
    page.reload()
    return errors


def key_of(stack: Stack) -> str:
    return str(stack.client.headers["Authorization"].removeprefix("Bearer "))


def test_recommends_and_uploads(stack: Stack, page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "boat.png"
    picture.write_bytes(media.png(3, width=64, height=64))
    errors = open_page(page, stack, key_of(stack))
    expect(page.locator("#status")).to_contain_text("Project default", timeout=PATIENCE_MS)
    assert "key=" not in page.url
    page.fill("[name=item_id]", "boat")
    page.fill("[name=title]", "Boat at dawn")
    page.set_input_files("[name=image]", picture)
    page.click("text=Upload")
    expect(page.locator("#uploaded")).to_contain_text("boat is encoded", timeout=PATIENCE_MS)
    page.fill("#user", "ada")
    page.click("text=Recommend")
    expect(page.locator("#answer")).to_contain_text("Nothing personal is known of ada yet: latest items")
    expect(page.locator("#items li")).to_have_count(1)
    expect(page.locator("#items li")).to_contain_text("Boat at dawn")
    assert page.locator("#items img").evaluate("image => image.naturalWidth") == 64
    assert errors == []


def test_an_item_without_content_is_not_waited_for(stack: Stack, page: Page) -> None:
    open_page(page, stack, key_of(stack))
    page.fill("[name=item_id]", "bare")
    page.fill("[name=title]", "")
    page.set_input_files("[name=image]", [])
    page.click("text=Upload")
    expect(page.locator("#uploaded")).to_contain_text("bare is pending.", timeout=PATIENCE_MS)


def test_says_what_is_wrong(stack: Stack, page: Page) -> None:
    open_page(page, stack, "wrong")
    expect(page.locator("#status")).to_contain_text("valid API key", timeout=PATIENCE_MS)


def test_the_page_of_the_api_draws_every_operation(stack: Stack, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{stack.client.base_url}/docs")
    drawn = page.locator("[data-words]")
    expect(drawn.first).to_be_visible()
    document = stack.client.get("/openapi.json").json()
    assert drawn.count() == sum(map(len, document["paths"].values()))
    page.fill("#find", "post /v1/recommend recommendations")
    expect(page.locator("[data-words]:visible")).to_have_count(1)
    page.click("[data-words]:visible > summary")
    expect(page.locator("[data-words]:visible")).to_contain_text("session_id")
    assert errors == []
