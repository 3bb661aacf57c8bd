"""Make studio.jpg again, the picture of the studio's page in the README.

`python samples/picture_of_studio.py` takes vidstyle[studio], playwright and a Chromium.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

WIDTH, HEIGHT, QUALITY = 1200, 800, 82
WAIT = 300_000  # milliseconds
FULL = "[...document.querySelectorAll('.cell img')].filter(one => one.naturalWidth > 0).length == 5"


def main() -> None:
    """Serve the studio in an empty folder, choose, compare alphas, and keep what is seen."""
    browser_program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vidstyle", "studio", "--no-open", "--folder", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            browser = playwright.chromium.launch(executable_path=browser_program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.set_default_timeout(WAIT)
            page.goto(address)
            choose(page)
            picture = Path(__file__).with_name("studio.jpg")
            page.screenshot(path=picture, quality=QUALITY)
            browser.close()
            server.send_signal(signal.SIGINT)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def choose(page: Page) -> None:
    """A photograph in a style, at several alphas, half painted and half as it is."""
    page.wait_for_selector(".thumb")
    page.click(".thumb[aria-label='harbor.jpg']")
    page.wait_for_function("document.querySelector('.inputs .facts').textContent.startsWith('harbor.jpg')")
    page.click("text=Compare alphas")
    page.wait_for_function(FULL)
    page.wait_for_timeout(2000)  # the still is painted between the cells, or after them
    page.wait_for_function("document.querySelector('.still-status').textContent.includes('done')")
    page.fill(".view-choose .wipe-range", "33")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
