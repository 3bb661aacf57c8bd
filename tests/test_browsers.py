"""A browser that ends at its start is started again, visibly; another fault is not hidden."""

import psutil
import pytest
from browsers import STARTS, lasting, launcher

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def launch():
    with sync_api.sync_playwright() as started:
        yield launcher(started)


class Launches:
    """Starts browsers, and kills the first ones."""

    def __init__(self, launch, killed):
        self.launch, self.killed, self.count = launch, killed, 0

    def __call__(self):
        before = set(processes())
        browser = self.launch()
        self.count += 1
        if self.count <= self.killed:
            for process in set(processes()) - before:
                process.kill()
        return browser


def processes():
    """The browsers that this process has started, without the processes that they start."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "--remote-debugging-pipe" in words(one) and "--type" not in " ".join(words(one))]


def words(process):
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def test_a_browser_that_ends_at_its_start_is_started_again(launch):
    launches = Launches(launch, killed=1)
    with pytest.warns(UserWarning, match="has ended at its start"):
        browser = lasting(launches)
    assert launches.count == 2 and browser.is_connected()
    browser.close()


def test_a_browser_that_never_starts_is_a_fault(launch):
    launches = Launches(launch, killed=STARTS)
    with pytest.warns(UserWarning, match="has ended at its start"), pytest.raises(sync_api.Error, match="closed"):
        lasting(launches)
    assert launches.count == STARTS


def test_a_browser_that_ends_later_is_a_fault(launch):
    before = set(processes())
    browser = lasting(launch)
    page = browser.new_page()
    for process in set(processes()) - before:
        process.kill()
    with pytest.raises(sync_api.Error, match="closed"):
        page.goto("data:text/html,a")
    browser.close()
