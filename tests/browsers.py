"""A headless Chromium for tests; one that ends by itself before it has shown anything is started again."""

import functools
import shutil
import warnings

import pytest

STARTS = 3  # times that a browser is started at most
NAMES = ("chromium", "chromium-browser", "google-chrome")
# What the first page of every browser shows: the families that a page may ask for, so that all fonts are looked up.
LETTERS = "".join(f'<p style="font-family: {name}">Ag ▶ Ω</p>' for name in ("system-ui", "serif", "monospace"))


def launcher(playwright):
    """What starts a Chromium; skips the test, visibly, where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium")
    return functools.partial(playwright.chromium.launch, executable_path=found, args=["--no-sandbox"])


def lasting(launch):
    """A browser that has shown a page with letters.

    Chromium 156 with fontconfig 2.14, both of Debian 12, sometimes crashes when its first page looks up fonts: a thread
    of the browser process reads a wrong address in FcConfigSubstitute, says its crash report.
    """
    from playwright.sync_api import Error

    for left in reversed(range(STARTS)):
        browser = launch()
        try:
            context = browser.new_context()
            page = context.new_page()
            page.set_content(LETTERS)
            page.screenshot()
            context.close()
            return browser
        except Error as error:
            browser.close()
            if not left:
                raise
            warnings.warn(f"Chromium has ended at its start, and is started again: {error}", stacklevel=2)
    raise AssertionError
