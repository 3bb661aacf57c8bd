"""The page of the blind comparison: what is in it, and, where there is a Chromium, somebody who clicks through it."""

import base64
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import pixels, texture
from PIL import Image, features

from vidstyle.lab.evaluate.comparison_report import Judgement, Pair, Report, blind_page, pair_data
from vidstyle.lab.evaluate.patches import PatchDistances

Z = 1.959963984540054
SIZES = ((64, 40), (40, 64), (50, 50))
NAMES = {"reference": "Their </script> tool", "network": "tiny <b>"}
# Shares of n with the ends of Wilson's interval, from Newcombe 1998, Statistics in Medicine 17, table I, method 3.
KNOWN = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)]


def wilson(k, n):
    """The roots of (s - p)^2 = z^2 p (1 - p) / n, which is how Wilson defines it."""
    a, b, c = 1 + Z**2 / n, -(2 * k / n + Z**2 / n), (k / n) ** 2
    root = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def sign_test(k, n):
    """By counting."""
    return min(sum(math.comb(n, i) for i in range(n + 1) if min(i, n - i) <= min(k, n - k)) / 2**n, 1)


@pytest.fixture
def report(tmp_path):
    pairs = []
    for number, (width, height) in enumerate(SIZES):
        files = [tmp_path / f"{kind}{number} <i>.png" for kind in ("photo", "style", "theirs", "ours")]
        for seed, file in enumerate(files):
            factor = 2 if seed == 2 and number == 0 else 1  # one of another size
            Image.fromarray(pixels(texture(factor * height, factor * width, 10 * number + seed))).save(file)
        distances = PatchDistances(*[0.1] * 9)
        theirs, ours = (Judgement(file, 0.3, {"relu1_1": 1.0}, 1.0, distances, ()) for file in files[2:])
        pairs.append(Pair(files[0], files[1], theirs, ours, ours))
    return Report(pairs, NAMES["reference"], NAMES["network"], 0.3, None, None)


class Reader(HTMLParser):
    """The elements of a page, and its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script" and self.scripts:
            self.scripts[-1] += data


def decoded(uri):
    kind, data = uri.split(",")
    assert re.fullmatch(r"data:image/(png|webp);base64", kind)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("webp", [True, False])
def test_the_page_holds_all_and_needs_nothing_else(report, monkeypatch, webp):
    if not webp:
        monkeypatch.setattr(features, "check", lambda name: False)
    text = blind_page(report)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    reader = Reader(text)
    assert len(reader.scripts) == 2  # no name of a file ended one
    for tag, attributes in reader.found:
        assert attributes.get("src", "data:").startswith("data:")
        assert tag != "link" or attributes["href"].startswith("data:")
    assert "default-src 'none'" in next(a["content"] for t, a in reader.found if t == "meta" and "http-equiv" in a)
    assert "prefers-color-scheme:dark" in text and "Wilson" in text
    assert any(attributes.get("name") == "viewport" for _, attributes in reader.found)
    data = json.loads(reader.scripts[0])
    assert data["names"] == NAMES
    assert [pair["content"]["name"] for pair in data["pairs"]] == ["photo0 <i>", "photo1 <i>", "photo2 <i>"]
    for pair, shown, (width, height) in zip(report.pairs, data["pairs"], SIZES, strict=True):
        assert (shown["width"], shown["height"]) == (width, height)
        images = {painter: decoded(uri) for painter, uri in shown["images"].items()}
        assert {image.shape for image in images.values()} == {(height, width, 3)}
        assert np.array_equal(images["network"], np.asarray(Image.open(pair.same_content.picture)))
    assert ("data:image/webp" in text) == webp


def test_large_pictures_of_content_and_style_are_small(report, tmp_path):
    Image.fromarray(pixels(texture(900, 600, 5))).save(report.pairs[0].content)
    shown = pair_data(report.pairs[0])
    assert decoded(shown["content"]["image"]).shape == (320, 214, 3)


def test_the_formulas_have_known_values():
    for k, n, low, high in KNOWN:
        assert wilson(k, n) == pytest.approx((low, high), abs=6e-5)
    assert sign_test(8, 10) == pytest.approx(0.109375)
    assert sign_test(5, 10) == 1


@pytest.fixture
def page(browser, report, tmp_path):
    """The page, opened as a file; fails if it asks for anything else, or if its program does."""
    (tmp_path / "blind.html").write_text(blind_page(report))
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(f"{error}"))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or wrong.append(asked.url))
    page.goto((tmp_path / "blind.html").as_uri())
    yield page
    assert not wrong
    context.close()


def sides(page):
    """Who is left and who is right of the pair that is seen."""
    return page.evaluate("[order[place].left, order[place].right]")


def test_it_computes_what_the_formulas_say(page):
    for n in (1, 2, 7, 36, 1000, 5000):
        for k in {0, 1, n // 3, n // 2, n}:
            assert page.evaluate(f"wilson({k}, {n})") == pytest.approx(wilson(k, n), abs=1e-12)
            assert page.evaluate(f"signTest({k}, {n})") == pytest.approx(sign_test(k, n), rel=1e-9)


def test_somebody_judges_with_the_keys(page):
    assert page.inner_text("#place") == "Pair 1 of 3"
    assert not any(name in page.inner_text("body") for name in NAMES.values())
    expected = []
    page.keyboard.press("Backspace")  # there is nothing before
    expected.append(sides(page)[0])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Backspace")
    assert page.inner_text("#place") == "Pair 2 of 3"
    assert page.get_attribute("[data-choice=none]", "aria-pressed") == "true"
    page.keyboard.press("Control+ArrowRight")  # belongs to the browser
    expected.append(sides(page)[1])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert not any(name in page.inner_text("body") for name in NAMES.values())
    page.keyboard.press("Enter")
    counts = {name: expected.count(name) for name in NAMES}
    rows = [row.split("\t") for row in page.inner_text("#counts").splitlines()]
    assert [(row[0].strip(), row[1].strip()) for row in rows] == [
        (NAMES["network"], f"{counts['network']}"),
        (NAMES["reference"], f"{counts['reference']}"),
        ("Cannot tell", "1"),
    ]
    low, high = wilson(counts["network"], 2)
    assert rows[0][2:] == [f"{50 * counts['network']} %", f"{100 * low:.0f} to {100 * high:.0f} %"]
    assert f"p = {sign_test(counts['network'], 2):.2f}" in page.inner_text("#test")
    assert page.locator("#list li").count() == 3
    assert all(name in page.inner_text("#list") for name in NAMES.values())
    assert page.locator("#list .chosen").count() == 2
    with page.expect_download() as waiting:
        page.click("#save")
    saved = json.loads(Path(waiting.value.path()).read_text())
    assert waiting.value.suggested_filename == "answers.json"
    assert [pair["chosen"] for pair in saved["pairs"]] == [*(NAMES[name] for name in expected), None]
    assert {frozenset((pair["left"], pair["right"])) for pair in saved["pairs"]} == {frozenset(NAMES.values())}
    assert saved["chosen"] == counts | {"neither": 1}
    assert saved["wilson_95"] == pytest.approx([low, high])


def test_somebody_judges_with_the_mouse(page):
    for button in ("#right", "[data-choice=left]", "[data-choice=none]"):
        page.click(button)
    page.click("#again")
    page.click("#back")
    assert page.inner_text("#place") == "Pair 2 of 3"
    for _ in range(2):
        page.click("[data-choice=none]")
    page.click("#show")
    assert page.locator("#list .chosen").count() == 1
    page.once("dialog", lambda dialog: dialog.accept())  # the answers are not saved
    page.click("#restart")
    assert page.inner_text("#place") == "Pair 1 of 3"
    for _ in SIZES:
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "No pair was decided" in page.inner_text("#test")


def test_order_and_sides_are_drawn_anew(page):
    seen = set()
    for _ in range(20):
        page.reload()
        seen.add(page.evaluate("JSON.stringify(order.map(one => [one.pair.content.name, one.left]))"))
    assert len(seen) > 10  # of 48
    lefts = [json.loads(one)[0][1] for one in seen]
    assert set(lefts) == {"reference", "network"}


@pytest.mark.parametrize("size", [(1440, 900), (390, 844), (844, 390), (320, 568)])
def test_everything_is_seen_in_any_window(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for _ in SIZES:
        page.wait_for_timeout(50)
        boxes = [page.locator(f"{one} img").bounding_box() for one in ("#left", "#right")]
        assert boxes[0]["width"] == boxes[1]["width"] >= 40 and boxes[0]["height"] == boxes[1]["height"]
        for box in (*boxes, page.locator("#controls").bounding_box()):
            assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
            assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]
        apart = (
            boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"] or boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
        )
        assert apart
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
