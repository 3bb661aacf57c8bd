"""The poster and the figure.json of an article, read as somebody would who knows nothing of vidstyle."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from clips import make_clip, numbered, texture
from conftest import pixels
from conftest import texture as noise
from PIL import Image

from vidstyle import BalanceSettings

pytestmark = pytest.mark.clips
FAST = ["--size", 64, "--first-iterations", 3, "--iterations", 2, "--device", "cpu", "-q"]


class Page(HTMLParser):
    """The tags of a page in their order, and its text; every tag must be closed but those that never are."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "source"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data.strip()

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture
def styles(tmp_path):
    for number in (2, 3):
        Image.fromarray(pixels(noise(64, 64, seed=number))).save(tmp_path / f"style{number}.png")
    return [tmp_path / "style2.png", tmp_path / "style3.png"]


@pytest.fixture
def balance(vidstyle, tmp_path, styles, network):
    Image.fromarray(texture(64, 48, 5)).save(tmp_path / "a photo.png")

    def run(*options):
        own = ["--network", network, "--seconds", 1, "--fps", 6, "--space", "linear", *FAST]
        done = vidstyle("balance", tmp_path / "a photo.png", styles[0], *own, *options)
        assert done.exit_code == 0, done.output
        return done

    return run


def frames_in(folder):
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_a_figure(tmp_path, vidstyle, balance):
    (tmp_path / "page").mkdir()
    outputs = [tmp_path / name for name in ("a.gif", "page/b.webp", "page/c.avif")]
    chosen = ["--tv-weight", 0.5, "--seed", 3, "--hold-last", 1, "--layout", "pair"]
    files = ["--poster", tmp_path / "page/p.png", "--figure", tmp_path / "page/figure.json"]
    balance(*(word for output in outputs for word in ("-o", output)), *chosen, *files, "--keep-job")
    text = (tmp_path / "page/figure.json").read_text()
    found = json.loads(text)
    assert str(tmp_path) not in text
    names = ["../a.gif", "b.webp", "c.avif"]
    size = {"width": found["width"], "height": found["height"]}
    assert found["outputs"] == [
        {"file": name, "bytes": output.stat().st_size, **size} for name, output in zip(names, outputs, strict=True)
    ]
    assert (found["content"], found["styles"], found["poster"]) == ("a photo.png", ["style2.png"], "p.png")
    with Image.open(outputs[1]) as image:
        assert (found["width"], found["height"], found["frames"]) == (*image.size, 6)
    assert found["seconds"] == 2
    given = BalanceSettings(**{**found["parameters"], "network": "compact"})
    assert (given.tv_weight, given.seed, given.hold_last, given.layout, given.size) == (0.5, 3, 1, "pair", 64)
    assert not {"alpha_from", "crf", "poster", "figure"} & set(found["parameters"])
    page = Page(found["html"])
    (image,) = page.all("img")
    assert (image["src"], image["alt"]) == ("../a.gif", found["alt"])
    reduced, *sources = page.all("source")
    assert (reduced["media"], reduced["srcset"]) == ("(prefers-reduced-motion: reduce)", "p.png")
    assert [(source["srcset"], source["type"]) for source in sources] == [
        ("c.avif", "image/avif"),
        ("b.webp", "image/webp"),
    ]
    again = [*(word for output in outputs for word in ("-o", output)), "--hold-last", 1, "--layout", "pair", *files]
    assert vidstyle("encode", tmp_path / "a.gif.job", *again).exit_code == 4
    assert vidstyle("encode", tmp_path / "a.gif.job", *again, "-y").exit_code == 0
    assert (tmp_path / "page/figure.json").read_text() == text


def test_words_that_html_would_read(tmp_path, balance):
    balance(
        "-o", tmp_path / "a.mp4", "--layout", "triptych", "--caption", 'A <b> & "c"', "--figure", tmp_path / "f.json"
    )
    found = json.loads((tmp_path / "f.json").read_text())
    page = Page(found["html"])
    assert page.text == found["caption"] == 'A <b> & "c"'
    (video,) = page.all("video")
    assert video["aria-label"] == found["alt"] and "poster" not in video
    assert page.all("source") == [{"src": "a.mp4", "type": "video/mp4"}]


@pytest.mark.parametrize(
    ("options", "alt"),
    [
        ([], "The picture a photo.png turns into a painting in the style of style2.png and back, in 1 s."),
        (["--no-bounce"], "The picture a photo.png turns into a painting in the style of style2.png, in 1 s."),
        (
            ["--from", 0, "--to", 1, "--layout", "wipe"],
            "A painting of the picture a photo.png in the style of style2.png turns into the picture itself and back, "
            "in 1 s. A line moves over it, there and back; left of the line is the picture itself.",
        ),
        (
            ["--alpha", "0.3", "--layout", "triptych"],
            "The picture a photo.png, painted in the style of style2.png, 1 s long. The picture itself is on the left, "
            "the style on the right.",
        ),
        (
            ["--title", "T", "--title-seconds", 2, "--width", 160, "--size", 160],
            "The picture a photo.png turns into a painting in the style of style2.png and back, in 3 s.",
        ),
    ],
)
def test_alt_text(tmp_path, styles, balance, options, alt):
    Image.fromarray(texture(192, 144, 5)).save(tmp_path / "a photo.png")
    balance("-o", tmp_path / "a.gif", "--figure", tmp_path / "f.json", *(options or []), *(["--size", 160]))
    assert json.loads((tmp_path / "f.json").read_text())["alt"] == alt


def test_posters_and_a_clip(tmp_path, vidstyle, styles, network, balance):
    balance("-o", f"{tmp_path}/b/", "--poster", tmp_path / "b.png", "--no-bounce", "--space", "linear")
    poster, shown = np.asarray(Image.open(tmp_path / "b.png")), frames_in(tmp_path / "b")
    assert any(np.array_equal(poster, frame) for frame in shown[2:4])  # alpha .6 and .4
    clip = make_clip(tmp_path / "clip.mp4", numbered(7, 64, 48), rate=24)
    own = ["--network", network, *FAST, "--figure", tmp_path / "f.json", "--poster", tmp_path / "v.png"]
    done = vidstyle("video", clip, *styles, "-o", f"{tmp_path}/v/", "--layout", "pair", *own)
    assert done.exit_code == 0, done.output
    assert np.array_equal(np.asarray(Image.open(tmp_path / "v.png")), frames_in(tmp_path / "v")[3])
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["alt"] == (
        "The clip clip.mp4, painted in the styles of style2.png and style3.png, 0.3 s long. The clip itself is on "
        "the left."
    )
    size = sum(path.stat().st_size for path in (tmp_path / "v").iterdir())
    both = {"width": found["width"], "height": found["height"]}
    assert found["outputs"] == [{"file": "v/", "bytes": size, **both}]
    assert Page(found["html"]).all("img")[0]["src"] == "v.png"


def test_nothing_half(tmp_path, vidstyle, balance):
    """A job whose frame is damaged makes neither output nor poster nor figure."""
    balance("-o", tmp_path / "a.gif", "--keep-job")
    frame = tmp_path / "a.gif.job/frames/000002.png"
    frame.write_bytes(frame.read_bytes()[:-9])
    before = set(tmp_path.rglob("*"))
    files = ["--poster", tmp_path / "p.png", "--figure", tmp_path / "f.json"]
    done = vidstyle("encode", tmp_path / "a.gif.job", "-o", tmp_path / "b.gif", *files)
    assert done.exit_code == 9 and "holds 3 of 4 frames" in done.output
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_what_was_made_to_fit_is_described_as_it_became(tmp_path, vidstyle, styles, network):
    Image.fromarray(texture(240, 180, 5)).save(tmp_path / "photo.png")
    own = ["--network", network, "--seconds", 1, "--fps", 6, *FAST, "--size", 240, "--space", "linear"]
    done = vidstyle("balance", tmp_path / "photo.png", styles[0], "-o", tmp_path / "a.gif", *own, "--keep-job")
    assert done.exit_code == 0, done.output
    wide = (tmp_path / "a.gif").stat().st_size
    limit = ["--max-size", round(wide / 5), "--figure", tmp_path / "f.json", "--poster", tmp_path / "p.png"]
    done = vidstyle("encode", tmp_path / "a.gif.job", "-o", tmp_path / "b.gif", *limit, "-q")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "f.json").read_text())
    with Image.open(tmp_path / "b.gif") as small, Image.open(tmp_path / "p.png") as poster:
        assert small.width < poster.width
        (output,) = found["outputs"]
        assert (output["width"], output["height"]) == small.size
        assert (found["width"], found["height"]) == poster.size
        (image,) = Page(found["html"]).all("img")
        assert (int(image["width"]), int(image["height"])) == small.size
