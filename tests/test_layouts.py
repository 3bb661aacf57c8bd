"""What is shown beside, under and before a painting: the pictures themselves, looked at pixel by pixel."""

import shutil
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from clips import clicks, heard_clicks, make_clip, number_of, numbered, probe, texture
from conftest import pixels
from conftest import texture as noise
from PIL import Image

from vidstyle.compose import overlay
from vidstyle.compose.frame_cache import FrameCache
from vidstyle.compose.layouts import GROUND, INK, arranged, gutter, line_at, mosaic, wiped
from vidstyle.errors import UsageError
from vidstyle.types import ClipInfo

FAST = ["--size", 160, "--first-iterations", 4, "--iterations", 2, "--device", "cpu", "-q"]
LAYOUTS = ("plain", "pair", "triptych", "wipe")
PAGES = ((255, 255, 255), (13, 17, 23))  # GitHub's, light and dark


def luminance(color):
    light = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in np.array(color) / 255]
    return float(np.dot(light, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_it_can_be_read_on_light_and_on_dark_pages():
    assert contrast(INK, GROUND) >= 4.5
    assert contrast(overlay.TRACK, GROUND) >= 3
    assert all(contrast(GROUND, page) >= 3 for page in PAGES)


class TestPanels:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("aspects", [(1.3,), (0.4,), (6.0,), (1.0, 1.5), (0.5, 0.5), (2.0, 0.4, 1.0, 1.0)])
    @pytest.mark.parametrize("size", [(512, 288), (161, 240), (640, 480)])
    def test_they_fill_their_place(self, layout, aspects, size):
        own = arranged(layout, size, aspects, None)
        assert own.pastiche.size == size  # not scaled, unless asked
        for width in (own.width, own.width - 1, own.width * 2 // 3, own.width // 2, own.width // 3):
            panels = arranged(layout, size, aspects, width)
            assert panels.width == width
            boxes = [panels.pastiche, *panels.styles]
            if layout in ("pair", "triptych"):
                boxes.append(panels.content)
                assert panels.content.size == panels.pastiche.size
                assert panels.pastiche.height == panels.height
            assert min(box.x for box in boxes) == min(box.y for box in boxes) == 0
            assert max(box.x + box.width for box in boxes) == width
            assert max(box.y + box.height for box in boxes) == panels.height
            taken = np.zeros((panels.height, width), int)
            for box in boxes:
                taken[box.y :, box.x :][: box.height, : box.width] += 1
            assert taken.max() == 1
            assert abs(panels.pastiche.width / panels.pastiche.height * size[1] / size[0] - 1) < 0.02

    def test_gutters_are_even(self):
        for width in (None, 700, 631, 420):
            panels = arranged("triptych", (400, 225), (1.4, 0.9), width)
            first, second, third = panels.content, panels.pastiche, panels.styles[0]
            space = gutter(second.width)
            assert second.x - first.x - first.width == third.x - second.x - second.width == space
            assert panels.styles[1].y - third.height == space

    def test_styles_keep_their_shape(self):
        for aspects in ((1.5,), (0.3,), (5.0,), (1.0, 1.6), (0.4, 0.4), (1.0, 2.0, 0.5)):
            for box, aspect in zip(mosaic(aspects, 300, 500, 6), aspects, strict=True):
                assert box.width == pytest.approx(box.height * aspect, abs=max(aspect, 1) * 1.01)
                assert box.x + box.width <= 500 and box.y + box.height <= 300
        assert mosaic((0.4, 0.4), 300, 500, 6)[1].x > 0  # side by side, where that shows more
        assert mosaic((1.0, 1.6), 300, 500, 6)[1].x == 0
        wide = mosaic((5.0,), 300, 500, 6)[0]
        assert (wide.width, wide.height, wide.y) == (500, 100, 100)

    def test_widths_that_cannot_be(self):
        with pytest.raises(UsageError, match=r"pair.*--size"):
            arranged("pair", (200, 100), (), 1000)
        with pytest.raises(UsageError, match="leaves the painting"):
            arranged("triptych", (200, 40), (4.0,), 100)


class TestWipe:
    def test_left_of_the_line_is_the_content(self):
        content, pastiche = texture(200, 60, 1), texture(200, 60, 2)
        for position in (0.2, 0.5, 0.77):
            shown, x = wiped(content, pastiche, position), round(position * 200)
            assert np.array_equal(shown[:, : x - 6], content[:, : x - 6])
            assert np.array_equal(shown[:, x + 6 :], pastiche[:, x + 6 :])
            assert (shown[:, x - 3 : x + 3].min(axis=(0, 2)) == 255).any()
        assert np.array_equal(wiped(content, pastiche, 0.0), pastiche)
        assert np.array_equal(wiped(content, pastiche, 1.0), content)

    @pytest.mark.parametrize(("seconds", "rounds"), [(0.5, 1), (4, 1), (60, 8)])
    def test_there_and_back(self, seconds, rounds):
        line = [line_at(number / 600, seconds) for number in range(601)]
        assert (line[0], line[-1]) == (0.5, pytest.approx(0.5))
        assert (min(line), max(line)) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))
        steps = np.diff(line)
        assert np.abs(np.diff(steps)).max() < 0.01 * rounds  # it never jumps
        assert sum(one > 0 >= other or one <= 0 < other for one, other in pairwise(steps)) == 2 * rounds
        assert line[5] < 0.5  # first it shows the painting


class TestOverlay:
    def test_the_marker_is_where_alpha_is(self):
        bar = overlay.make_overlay(400, gauge=True, caption=None, font=None)
        centres = []
        for alpha in (1, 0.75, 0.5, 0.25, 0):
            shown = bar.at(alpha)
            columns = np.nonzero(((shown == INK) & (bar.pixels != INK)).all(axis=2).any(axis=0))[0]
            centres.append((columns[0] + columns[-1]) / 2)
            assert np.array_equal(shown, bar.at(alpha))  # the marker before has left no trace
        np.testing.assert_allclose(np.diff(centres), np.diff(centres)[0], atol=1.01)
        assert 60 < centres[0] < centres[-1] < 340
        words = np.abs(bar.pixels.astype(int) - GROUND).max(axis=(0, 2)) > 60
        assert words[: int(centres[0]) - 10].any() and words[int(centres[-1]) + 15 :].any()

    @pytest.mark.parametrize("width", [160, 240, 333, 640, 1280])
    def test_nothing_touches_the_edges(self, width):
        bar = overlay.make_overlay(width, gauge=True, caption="A valley turns into a painting, gj", font=None)
        margin = round(overlay.text_size(width) * 0.5)
        for picture in (
            bar.at(1.0),
            bar.at(0.0),
            overlay.title_card(width, width * 9 // 16, "Quietly", [texture(90, 60)], None),
        ):
            for edge in (picture[:margin], picture[-margin:], picture[:, :margin], picture[:, -margin:]):
                assert (edge == GROUND).all()
            assert (picture == INK).all(axis=2).any()
        assert overlay.text_size(width) >= 10

    def test_none_is_asked(self):
        assert overlay.make_overlay(100, gauge=False, caption=None, font=None).pixels.shape == (0, 100, 3)

    def test_a_title_card_shows_what_is_painted(self):
        red, blue = np.full((60, 90, 3), (255, 0, 0), np.uint8), np.full((60, 60, 3), (0, 0, 255), np.uint8)
        card = overlay.title_card(400, 220, "Purple, in a while", [red, blue], None)
        places = [np.nonzero((card == color).all(axis=2)) for color in ((255, 0, 0), (0, 0, 255))]
        (red_rows, red_columns), (blue_rows, blue_columns) = places
        assert np.ptp(red_rows) == np.ptp(blue_rows) > 60
        assert red_columns.max() < blue_columns.min()
        assert red_columns.min() + blue_columns.max() == pytest.approx(399, abs=1)  # in the middle
        words = np.nonzero((card == INK).all(axis=2))[0]
        assert red_rows.max() < words.min()
        bare = overlay.title_card(160, 60, "Purple", [red, blue], None)
        assert not (bare == (255, 0, 0)).all(axis=2).any()  # no room


class Numbers:
    """Forty frames; it counts how often it is read from the start."""

    info = ClipInfo(96, 64, Fraction(10), 40)
    begun = 0

    def decode(self, start=0):
        self.begun += 1
        for number, picture in enumerate(numbered(40)):
            if number >= start:
                yield picture


def test_a_reel_gives_any_frame():
    order = [0, 1, 2, 2, 5, 39, *range(38, -1, -1), 7, 8, 3]
    for keep, most in ((2, 40), (10, 8), (100, 1)):
        sequence = Numbers()
        cache = FrameCache(sequence, 96, 64, keep * 96 * 64 * 3)
        assert [number_of(cache.at(number)) for number in order] == order
        assert sequence.begun <= most
        cache.close()


@pytest.fixture
def styles(tmp_path):
    for number, (height, width) in enumerate(((64, 64), (60, 90)), 2):
        Image.fromarray(pixels(noise(height, width, seed=number))).save(tmp_path / f"style{number}.png")
    return [tmp_path / "style2.png", tmp_path / "style3.png"]


def frames_in(folder):
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


@pytest.mark.clips
class TestVideo:
    @pytest.fixture
    def clip(self, tmp_path):
        return make_clip(tmp_path / "clip.mp4", numbered(6, 160, 96), rate=24, sound=clicks(6 / 24))

    @pytest.fixture
    def paint(self, vidstyle, tmp_path, clip, styles, network):
        out = ["-o", tmp_path / "out.mp4", "--keep-job"]
        return lambda: vidstyle("video", clip, *styles, *out, "--network", network, *FAST)

    @pytest.fixture
    def job(self, tmp_path, paint, once):
        once(paint)
        return tmp_path / "out.mp4.job"

    def test_the_content_keeps_in_step(self, vidstyle, tmp_path, job):
        painted = frames_in(job / "frames")
        order = [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
        done = vidstyle("encode", job, "-o", f"{tmp_path}/pair/", "--layout", "pair", "--pingpong", "--fps", 48)
        assert done.exit_code == 0, done.output
        shown = frames_in(tmp_path / "pair")
        space = gutter(160)
        numbers = [number_of(frame[:, :160]) for frame in shown]
        assert numbers[:11] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5] and numbers[-2:] == [1, 0]
        assert sorted(set(numbers)) == sorted(set(order))
        for number, frame in zip(numbers, shown, strict=True):
            assert frame.shape == (96, 320 + space, 3)
            assert np.array_equal(frame[:, 160 + space :], painted[number])
            assert (frame[:, 160 : 160 + space] == GROUND).all()

    def test_holds_and_a_wipe(self, vidstyle, tmp_path, job):
        options = ["--layout", "wipe", "--hold-first", 1, "--hold-last", 1]
        done = vidstyle("encode", job, "-o", f"{tmp_path}/wipe/", *options)
        assert done.exit_code == 0, done.output
        shown, painted = frames_in(tmp_path / "wipe"), frames_in(job / "frames")
        assert len(shown) == 7
        for place, (frame, number) in enumerate(zip(shown, [0, 1, 2, 3, 4, 5, 5], strict=True)):
            x = round(160 * line_at(place / 7, 2.25))
            assert np.array_equal(frame[:, x + 6 :], painted[number][:, x + 6 :])
            if x > 150:
                assert number_of(frame) == number

    @pytest.mark.slow
    def test_every_layout_at_every_width(self, vidstyle, tmp_path, job):
        for layout in LAYOUTS:
            for width in (160, 141):
                options = ["--layout", layout, "--width", width, *(["--gauge"] if width == 160 else [])]
                done = vidstyle("encode", job, "-o", f"{tmp_path}/f/", "-o", tmp_path / "o.mp4", "-y", *options)
                assert done.exit_code == 0, done.output
                frame = frames_in(tmp_path / "f")[3]
                assert frame.shape[1] == width
                seen = probe(tmp_path / "o.mp4")["size"]
                assert all(
                    abs(own - even) <= 1 and even % 2 == 0 for own, even in zip(frame.shape[1::-1], seen, strict=True)
                )

    def test_a_title_and_the_sound_after_it(self, vidstyle, tmp_path, job):
        options = ["--title", "Numbers", "--title-seconds", 1.5, "--hold-first", 0.5]
        done = vidstyle("encode", job, "-o", tmp_path / "a.mp4", "-o", f"{tmp_path}/a/", *options)
        assert done.exit_code == 0, done.output
        np.testing.assert_allclose(
            [float(time) for time in probe(tmp_path / "a.mp4")["times"]],
            [0, 1.5, *(2 + number / 24 for number in range(1, 6))],
            atol=1e-3,
        )
        late = heard_clicks(tmp_path / "a.mp4")[0]
        assert late[-1] == pytest.approx(2 + heard_clicks(tmp_path / "out.mp4")[0][-1], abs=2e-3)
        card, *rest = frames_in(tmp_path / "a")
        assert (card[:5] == GROUND).all() and (card == INK).all(axis=2).any()
        assert all(map(np.array_equal, rest, frames_in(job / "frames")))

    def test_encoding_anew_is_painting_anew(self, vidstyle, tmp_path, clip, styles, network, job):
        options = ["--layout", "triptych", "--gauge", "--caption", "Six numbers, twice", "--title", "Numbers"]
        done = vidstyle("encode", job, "-o", tmp_path / "anew.mp4", *options)
        assert done.exit_code == 0, done.output
        out = ["-o", tmp_path / "out.mp4", "-y", "--network", network]
        done = vidstyle("video", clip, *styles, *out, *FAST, *options)
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "anew.mp4").read_bytes()

    def test_what_it_was_painted_from_must_be_there(self, vidstyle, tmp_path, clip, styles, paint):
        paint()
        job = tmp_path / "out.mp4.job"
        out = ["-o", f"{tmp_path}/o/"]
        shutil.move(styles[1], tmp_path / "elsewhere.png")
        assert vidstyle("encode", job, *out).exit_code == 0
        done = vidstyle("encode", job, *out, "-y", "--layout", "triptych")
        assert done.exit_code == 3 and "style3.png" in done.output and "--layout shows it" in done.output
        shutil.copy(styles[0], styles[1])
        done = vidstyle("encode", job, *out, "-y", "--title", "T")
        assert done.exit_code == 3 and "not the style that was painted after; put it back" in done.output
        make_clip(clip, numbered(6, 160, 98), rate=24)
        done = vidstyle("encode", job, *out, "-y", "--layout", "wipe")
        assert done.exit_code == 3 and "not the clip that was painted" in done.output


@pytest.mark.clips
class TestBalance:
    @pytest.fixture
    def photo(self, tmp_path):
        Image.fromarray(texture(333, 200, 5)).save(tmp_path / "photo.png")
        return tmp_path / "photo.png"

    @pytest.fixture
    def balance(self, vidstyle, tmp_path, photo, styles, network):
        def run(*options):
            own = ["--network", network, "--seconds", 1, "--fps", 6, "--space", "linear", *FAST]
            return vidstyle("balance", photo, styles[0], *own, *options)

        return run

    def test_a_plain_painting_is_left_as_it_is(self, vidstyle, tmp_path, balance):
        done = balance("-o", f"{tmp_path}/plain/", "--keep-job")
        assert done.exit_code == 0, done.output
        job = tmp_path / "plain.job"
        for options in ([], ["--gauge"], ["--caption", "A caption in so many words that it takes two lines"]):
            assert vidstyle("encode", job, "-o", f"{tmp_path}/again/", "-y", *options).exit_code == 0
            plain, again = frames_in(tmp_path / "plain"), frames_in(tmp_path / "again")
            assert all(np.array_equal(one, two[:96]) for one, two in zip(plain, again, strict=True))
            overlays = [frame[96:] for frame in again]
            assert (overlays[0].size > 0) == bool(options)
            if options == ["--gauge"]:
                marks = [np.nonzero((bar == INK).all(axis=2).sum(axis=0) > 5)[0] for bar in overlays]
                places = [int(mark[(mark > 55) & (mark < 130)].mean()) for mark in marks]
                assert places == [*sorted(places[:4]), *sorted(places[1:3], reverse=True)]
            elif options:
                assert all(np.array_equal(bar, overlays[0]) for bar in overlays)

    def test_beside_the_picture(self, vidstyle, tmp_path, balance):
        done = balance(
            "-o", f"{tmp_path}/o/", "--layout", "triptych", "--keep-job", "--from", 1, "--first-iterations", 1
        )
        assert done.exit_code == 0, done.output
        shown, space = frames_in(tmp_path / "o"), gutter(160)
        assert len(shown) == 6
        content = shown[0][:, :160]
        whole = texture(333, 200, 5).astype(float)
        assert (
            np.abs(
                np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((160, 96), Image.BOX)) - content.astype(float)
            ).mean()
            < 3
        )
        for frame, number in zip(shown, [0, 1, 2, 3, 2, 1], strict=True):
            assert np.array_equal(frame[:, :160], content)
            assert np.array_equal(frame[:, 160 + space :][:, :160], frames_in(tmp_path / "o.job/frames")[number])
            assert np.array_equal(frame[:, 320 + space :], shown[0][:, 320 + space :])

    @pytest.mark.parametrize(
        ("code", "words", "options"),
        [
            (2, "one of plain, pair", ["--layout", "quartet"]),
            (2, "more than 4 lines", ["--caption", "word " * 90]),
            (2, "--title is too long", ["--title", "word " * 40]),
            (2, "it takes 160", ["--caption", "short", "--width", 159]),
            (2, "it takes 160", ["--gauge", "--width", 100]),
            (2, "it takes 160", ["--title", "short", "--width", 100]),
            (2, "has no 'ö' of --title", ["--title", "schön"]),
            (2, "has no 'ö' of --caption", ["--caption", "schön"]),
            (2, "is empty", ["--caption", " "]),
            (3, "font", ["--caption", "short", "--font", "{}/photo.png"]),
            (3, "font", ["--caption", "short", "--font", "{}/none.ttf"]),
            (2, "belongs to --title", ["--title-seconds", 3]),
            (2, "above 0", ["--title", "short", "--title-seconds", 0]),
            (2, "end in .png", ["--poster", "{}/poster.jpg"]),
            (2, "end in .json", ["--figure", "{}/figure.html"]),
            (2, "is an input", ["--poster", "{}/photo.png"]),
            (4, "-y", ["--poster", "{}/there.png"]),
            (7, "no folder", ["--figure", "{}/none/figure.json"]),
            (2, "an output, too", ["-o", "{}/x.png", "--poster", "{}/x.png"]),
            (2, "paint larger", ["--layout", "pair", "--width", 400]),
        ],
    )
    def test_refuses_before_painting(self, tmp_path, balance, code, words, options):
        (tmp_path / "there.png").touch()
        before = set(tmp_path.rglob("*"))
        done = balance("-o", tmp_path / "o.gif", *(str(option).format(tmp_path) for option in options))
        assert done.exit_code == code, done.output
        assert words in done.output
        assert len([line for line in done.output.splitlines() if line.startswith("vidstyle:")]) == 1
        assert set(tmp_path.rglob("*")) == before
