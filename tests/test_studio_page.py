"""The page of the studio in a real browser; skipped, visibly, where there is no Chromium."""

import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import pixels, texture
from PIL import Image
from test_studio_server import Studio, wait_for

WAIT = 120_000  # milliseconds that a step may take at most
SIZES = ((360, 740), (768, 1024), (1440, 900), (2560, 1440))
LIGHTEST = 500_000  # bytes of the page, as they are sent
CONTRAST = 4.5  # WCAG 2, AA


@pytest.fixture(scope="module")
def studio(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("page") / "work"
    folder.mkdir()
    made = Studio(folder)
    yield made
    made.close()


@pytest.fixture
def tabs(browser, studio):
    """Opens tabs; fails if one asks another host for anything, or if its program does something wrong."""
    wrong, contexts = [], []

    def open_tab(**options):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        own = f"127.0.0.1:{studio.port}"
        tab.on("pageerror", lambda error: wrong.append(f"{error}"))
        tab.on(
            "console",
            lambda message: message.type == "error" and "422" not in message.text and wrong.append(message.text),
        )
        tab.on(
            "request",
            lambda asked: asked.url.startswith((f"http://{own}/", "data:", "blob:")) or wrong.append(asked.url),
        )
        tab.on("websocket", lambda made: made.url.startswith(f"ws://{own}/") or wrong.append(made.url))
        tab.goto(studio.address)
        tab.wait_for_selector(".thumb")
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def tab(tabs):
    return tabs()


def still(tab):
    """The address of the still that is shown, once it is there."""
    tab.wait_for_function("document.querySelector('.view-choose .after').naturalWidth > 0")
    return tab.get_attribute(".view-choose .after", "src")


def settled(tab):
    tab.wait_for_function("document.querySelector('.still-status').textContent.includes('done')")


def fill(tab, label, text):
    control = tab.locator(".dials").get_by_label(label, exact=True)
    control.fill(text)
    control.press("Tab")


def state(tab, number, text):
    """Wait until a job of the queue is in a state."""
    tab.wait_for_function(
        "([n, text]) => document.querySelectorAll('.card .state')[n]?.textContent == text", arg=[number, text]
    )


def test_the_page_is_light_and_asks_no_other_host(tabs, studio, browser):
    context = browser.new_context()
    tab = context.new_page()
    asked, sent = {}, {}
    session = context.new_cdp_session(tab)
    session.send("Network.enable")
    session.on("Network.responseReceived", lambda event: asked.update({event["requestId"]: event["response"]["url"]}))
    session.on("Network.loadingFinished", lambda event: sent.update({event["requestId"]: event["encodedDataLength"]}))
    tab.goto(studio.address)
    tab.wait_for_selector(".thumb")
    still(tab)
    settled(tab)
    tab.wait_for_timeout(500)
    stills = [size for key, size in sent.items() if "/still/" in asked.get(key, "")]
    rest = [size for key, size in sent.items() if "/still/" not in asked.get(key, "")]
    assert 50_000 < sum(rest) + 2 * max(stills) < LIGHTEST  # a still and its content; more follow while it is refined
    assert "token" not in tab.url
    context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_every_window(tabs, size, scheme):
    tab = tabs(color_scheme=scheme)
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    for name in ("Choose", "Paint", "Look"):
        tab.click(f".tab:text-is('{name}')")
        tab.wait_for_selector(f".tab[aria-current=page]:text-is('{name}')")
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert tab.evaluate(POOR, CONTRAST) == []


# Texts whose contrast with what lies behind them is too low.
POOR = """least => {
  const luminance = color => {
    const [r, g, b] = color.map(one => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color.length == 3 || color[3] == 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter(node => node.checkVisibility()
    && !node.matches(":disabled, .badge")
    && [...node.childNodes].some(one => one.nodeType == Node.TEXT_NODE && one.textContent.trim()));
  return texts.filter(node => {
    const [one, other] = [rgba(getComputedStyle(node).color), behind(node)].map(luminance).sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05) < least;
  }).map(node => node.outerHTML.slice(0, 120));
}"""


FOCUSED = """(node => node.closest("label, button")?.textContent.trim() || node.ariaLabel)(document.activeElement)"""


def test_everything_has_a_name_and_is_reached_by_the_keyboard(tab):
    unnamed = tab.evaluate(
        """[...document.querySelectorAll("button, input, select, a, img.after, img.before")].filter(node =>
             node.checkVisibility() && !(node.textContent.trim() || node.ariaLabel || node.alt || node.labels?.length))
           .map(node => node.outerHTML)"""
    )
    assert unnamed == []
    seen = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        seen.add(tab.evaluate(FOCUSED))
    for wanted in ("Choose", "harbor.jpg", "woodcut.jpg", "Add a style", "Reset", "Paint", "Copy as command"):
        assert any(wanted in (one or "") for one in seen), wanted
    tab.focus(".thumb[aria-label='harbor.jpg']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".thumb[aria-label='harbor.jpg'][aria-pressed=true]")
    tab.focus(".thumb[aria-label='valley.jpg']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".thumb[aria-label='valley.jpg'][aria-pressed=true]")


def test_a_dial_paints_the_still_anew_and_nothing_moves(tab):
    settled(tab)
    before, box = still(tab), tab.locator(".view-choose .wipe").bounding_box()
    tab.get_by_label("Alpha:").fill("0.9")
    tab.wait_for_function("old => document.querySelector('.view-choose .after').getAttribute('src') != old", arg=before)
    still(tab)
    assert tab.locator(".view-choose .wipe").bounding_box() == box
    assert tab.get_by_label("Alpha:").input_value() == "0.9"
    assert "--alpha 0.9" in tab.get_attribute(".dials .copy", "data-copy")
    tab.click("text=Reset")
    tab.wait_for_function("document.querySelector('.dials input').value == '0.4'")


@pytest.mark.slow
def test_a_small_painting_that_is_clicked_sets_style_and_alpha(tab):
    still(tab)
    tab.click("text=Compare alphas")
    tab.wait_for_function("[...document.querySelectorAll('.cell img')].filter(one => one.naturalWidth > 0).length == 5")
    tab.click(".cell[aria-label='swirls.jpg, alpha 0.95']")
    tab.wait_for_function("document.querySelector('.dials input').value == '0.95'")
    assert "--alpha 0.95" in tab.get_attribute(".dials .copy", "data-copy")
    tab.click("text=Reset")
    tab.wait_for_function("document.querySelector('.dials input').value == '0.4'")


def test_a_mask_is_drawn_and_taken_away(tab, studio):
    still(tab)
    tab.click(".masking summary")
    tab.select_option(".mask-tool", "box")
    box = tab.locator(".mask-canvas").bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    tab.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1)
    tab.mouse.up()
    tab.click(".mask-use")
    tab.wait_for_function("document.querySelector('.dials .copy').dataset.copy.includes('--mask uploads/mask.png')")
    with Image.open(studio.folder / "uploads" / "mask.png") as image:
        mask = np.asarray(image.convert("L"))
    assert mask.shape == (640, 960)  # as the content
    assert (mask[:, :450].max(), mask[:620, 510:940].min()) == (0, 255)
    tab.wait_for_selector(".masking:not([open])")
    tab.click(".masking summary")
    tab.click("text=Paint everywhere")
    tab.wait_for_function("!document.querySelector('.dials .copy').dataset.copy.includes('--mask')")
    tab.click(".masking summary")


def test_two_tabs_show_the_same(tabs):
    one, other = tabs(), tabs()
    one.click(".thumb[aria-label='woodcut.jpg']")
    other.wait_for_selector(".thumb[aria-label='woodcut.jpg'][aria-pressed=true]")
    other.wait_for_function("document.querySelectorAll('.shares input').length == 2")
    other.click(".thumb[aria-label='woodcut.jpg']")
    one.wait_for_selector(".thumb[aria-label='woodcut.jpg'][aria-pressed=false]")
    one.wait_for_function("document.querySelectorAll('.shares input').length == 0")
    assert all(page.locator(".thumb[aria-pressed=true]").count() == 2 for page in (one, other))  # a content, a style


def test_a_picture_that_is_dropped_is_chosen_and_another_file_is_refused(tab, studio, tmp_path):
    name = "<img src=x onerror=alert(1)>.png"
    Image.fromarray(pixels(texture(64, 96, 5))).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    data = (tmp_path / "a.png").read_bytes()
    tab.set_input_files(".drop[data-role=content] input", {"name": name, "mimeType": "image/png", "buffer": data})
    tab.wait_for_selector(".thumb[aria-pressed=true][aria-label*='onerror']")
    assert tab.locator("img[src=x]").count() == 0
    tab.set_input_files(".drop[data-role=style] input", tmp_path / "b.png")
    tab.wait_for_function("document.querySelector('.refused .drop-said')?.textContent.includes('not a picture')")
    assert {path.name for path in (studio.folder / "uploads").glob("*_*")} == {"_img src_x onerror_alert(1)_.png"}
    tab.click(".thumb[aria-label='valley.jpg']")


@pytest.mark.slow
@pytest.mark.clips
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be made to stand still here")
def test_somebody_paints_a_clip_from_begin_to_end(tabs, studio, tmp_path):
    tab = tabs()
    still(tab)
    tab.click(".thumb[aria-label='ride.mp4']")
    tab.wait_for_function("document.querySelector('.inputs .facts').textContent.includes('60 frames, 1 shot')")
    for label, text in (("Long side, pixels", "64"), ("To second", "1"), ("Name", "ride")):
        fill(tab, label, text)
    tab.wait_for_function(
        "document.querySelector('.dials .copy').dataset.copy.includes('-o ride.mp4 --size 64 --end 1.0')"
    )
    command = tab.get_attribute(".dials .copy", "data-copy")
    tab.click(".dials .primary")
    with studio.held(studio.folder / "ride.mp4.job" / "journal.jsonl"):
        tab.wait_for_selector(".card .newest[src*=frame]")
        tab.context.close()  # in the middle
        tab = tabs()
        tab.click(".tab:text-is('Paint')")
        tab.wait_for_function("document.querySelector('.card .newest')?.naturalWidth == 64")
        assert tab.inner_text(".card .facts").split(" of ")[1].startswith("24 frames")
        tab.click(".card button:text-is('Pause')")
    state(tab, 0, "paused")
    tab.click(".card button:text-is('Resume')")
    state(tab, 0, "done")
    tab.wait_for_function("document.querySelector('.card .facts')?.textContent.startsWith('24 of 24 frames')")

    tab.click(".card button:text-is('Look')")
    for name in ("after", "before"):
        tab.wait_for_function(f"document.querySelector('.view-look .{name}').naturalWidth > 0")
    tab.fill(".frame-range", "9")
    tab.wait_for_function("document.querySelector('.view-look .after').src.endsWith('/frame/9.png')")
    tab.click(".step[aria-label='Next frame']")
    tab.wait_for_function("document.querySelector('.frame-number').textContent == '11 / 24'")
    with tab.expect_download() as waiting:
        tab.click("a.link")
    assert waiting.value.suggested_filename == "ride.mp4"
    words = shlex.split(command)
    words[words.index("-o") + 1] = str(tmp_path / "again.mp4")
    subprocess.run([sys.executable, "-m", *words, "-q"], cwd=studio.folder, check=True)
    own, other = (
        sorted((path / "frames").iterdir()) for path in (studio.folder / "ride.mp4.job", tmp_path / "again.mp4.job")
    )
    assert len(own) == 24
    assert [path.read_bytes() for path in own] == [path.read_bytes() for path in other]

    tab.select_option(".results select >> nth=1", "gif")
    tab.click("button:text-is('Encode')")
    tab.click(".tab:text-is('Paint')")
    state(tab, 1, "done")
    with Image.open(studio.folder / "ride.gif") as image:
        assert (image.size[0], image.n_frames) == (64, 24)

    tab.click(".tab:text-is('Choose')")
    tab.click(".thumb[aria-label='valley.jpg']")
    tab.set_input_files(".drop[data-role=result] input", studio.folder / "ride.mp4")
    tab.wait_for_selector(".thumb[aria-label='ride.mp4'][aria-pressed=true]")
    wait_for(lambda: "--size 64 --end 1.0" in tab.get_attribute(".dials .copy", "data-copy"))
