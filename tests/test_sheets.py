"""Sheets: every cell is what the other commands paint, and lies where its labels say."""

import dataclasses

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels, settings_of
from conftest import texture as noise
from PIL import Image
from test_shot_list import shots

from vidstyle import (
    ImageSettings,
    RunOptions,
    SheetSettings,
    VideoSettings,
    encode_job,
    make_sheet,
    stylize_image,
    stylize_video,
)
from vidstyle.compose.grid import Head, Table, cards, shortened
from vidstyle.compose.layouts import GROUND
from vidstyle.compose.lettering import width_of
from vidstyle.errors import UsageError

FAST = ["--size", 64, "--first-iterations", 4, "--device", "cpu", "-q"]
LONG = "a painting with a name that nobody could read on a sheet of this size.png"


@pytest.fixture
def settings(network):
    return SheetSettings(size=64, first_iterations=4, device="cpu", network=str(network))


@pytest.fixture
def styles(tmp_path):
    for seed, name in enumerate(("style.png", LONG)):
        Image.fromarray(pixels(noise(64, 60, seed=seed))).save(tmp_path / name)
    return [tmp_path / "style.png", tmp_path / LONG]


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(pixels(noise(96, 128, seed=5))).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def place_of(cell, sheet):
    """Top and left of the only place where a picture is in another, pixel for pixel."""
    height, width = cell.shape[:2]
    corners = np.argwhere((sheet[: len(sheet) - height + 1, : sheet.shape[1] - width + 1] == cell[0, 0]).all(2))
    found = [(y, x) for y, x in corners if np.array_equal(sheet[y : y + height, x : x + width], cell)]
    assert len(found) == 1
    return found[0]


def require_a_grid(places, cell):
    """Rows and columns that stand in line, evenly apart, in the order of `places`, and do not overlap."""
    places = np.asarray(places)
    assert (places[:, :, 0] == places[:, :1, 0]).all()
    assert (places[:, :, 1] == places[:1, :, 1]).all()
    for edges, side in ((places[:, 0, 0], cell[0]), (places[0, :, 1], cell[1])):
        steps = set(np.diff(edges))
        assert len(steps) <= 1
        assert all(step >= side + 4 for step in steps)


def test_each_cell_is_what_image_paints(vidstyle, tmp_path, photo, styles, network, settings):
    out = tmp_path / "sheet.png"
    done = vidstyle("sheet", photo, *styles, "-o", out, "--alphas", ".9,.5,0", "--network", network, *FAST)
    assert (done.exit_code, done.output) == (0, "")
    sheet, places = opened(out), np.zeros((2, 3, 2), int)
    for row, style in enumerate(styles):
        for column, alpha in enumerate((0.9, 0.5, 0.0)):
            asked = settings_of(ImageSettings, settings, size=64, alpha=alpha)
            stylize_image(photo, [style], tmp_path / "cell.png", asked, run=RunOptions(overwrite=True))
            places[row, column] = place_of(opened(tmp_path / "cell.png"), sheet)
    require_a_grid(places, (48, 64))
    assert not list(tmp_path.glob("*.job"))


def test_the_usual_alphas_begin_with_the_picture_itself(tmp_path, photo, styles, settings):
    make_sheet(photo, styles, [tmp_path / "a.png", tmp_path / "a.jpg"], settings)
    sheet, small = opened(tmp_path / "a.png"), Image.open(photo).resize((64, 48), Image.Resampling.BOX)
    assert opened(tmp_path / "a.jpg").shape == sheet.shape
    make_sheet(photo, styles, tmp_path / "b.png", dataclasses.replace(settings, alphas=(1, 0.95, 0.8, 0.5, 0.3, 0)))
    assert np.array_equal(sheet, opened(tmp_path / "b.png"))
    errors = [
        np.abs(sheet[y : y + 48, x : x + 64].astype(int) - np.asarray(small)).mean()
        for y, x in np.ndindex(sheet.shape[0] - 47, sheet.shape[1] - 63)
    ]
    assert sum(error < 3 for error in errors) >= 2  # in the first column, once a row


class TestClips:
    pytestmark = pytest.mark.clips

    @pytest.fixture
    def clip(self, tmp_path):
        return make_clip(tmp_path / "clip.mp4", shots(), rate=25, options={"crf": "8"})

    @pytest.fixture
    def frames(self, clip):
        from vidstyle.media.video import survey

        return list(survey(clip).decode())

    def test_the_first_middle_and_last_frames_of_shots(self, vidstyle, tmp_path, clip, frames):
        """In the middle of the last one it flashes; the frame beside it is taken."""
        done = vidstyle("sheet", clip, "-o", tmp_path / "shots.png")
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "shots.png"]
        sheet = opened(tmp_path / "shots.png")
        places = [[place_of(frames[n], sheet) for n in shot] for shot in ((0, 3, 6), (7, 8, 10), (11, 14, 19))]
        assert [place[0] for shot in places for place in shot] == sorted(place[0] for shot in places for place in shot)
        for shot in places:
            assert len({y for y, _ in shot}) == 1
            assert [x for _, x in shot] == sorted({x for _, x in shot})

    def test_a_part_without_cuts_is_one_shot(self, vidstyle, tmp_path, clip, frames):
        out = tmp_path / "shots.png"
        done = vidstyle("sheet", clip, "-o", out, "--no-cuts", "--start", ".2", "--end", ".48", "-q")
        assert (done.exit_code, done.output) == (0, "")
        sheet = opened(out)
        assert len({place_of(frames[number], sheet)[0] for number in (5, 8, 11)}) == 1
        assert sheet.shape[0] < 2 * frames[0].shape[0]

    def test_a_shot_of_a_frame_or_two(self, tmp_path):
        clip = make_clip(tmp_path / "clip.mp4", shots()[:9], rate=25, options={"crf": "8"})
        make_sheet(clip, [], tmp_path / "a.png", SheetSettings(start=0.2))
        make_sheet(clip, [], tmp_path / "b.png", SheetSettings(start=0.32))
        assert opened(tmp_path / "b.png").shape[1] < opened(tmp_path / "a.png").shape[1]

    def test_a_frame_of_each_shot_in_each_style(self, vidstyle, tmp_path, clip, frames, styles, network, settings):
        out = tmp_path / "sheet.png"
        done = vidstyle("sheet", clip, *styles, "-o", out, "--network", network, *FAST, "--size", 96)
        assert (done.exit_code, done.output) == (0, "")
        sheet, places = opened(out), np.zeros((3, 3, 2), int)
        for row, number in enumerate((3, 8, 14)):
            places[row, 0] = place_of(frames[number], sheet)
            for column, style in enumerate(styles, 1):
                alone = settings_of(VideoSettings, settings, size=96, start=number / 25, end=(number + 1) / 25)
                folder = f"{tmp_path}/{number}-{column}/"
                stylize_video(clip, [style], folder, alone)
                places[row, column] = place_of(opened(f"{folder}/000000.png"), sheet)
        require_a_grid(places, frames[0].shape)

    def test_each_style_at_several_alphas(self, tmp_path, clip, styles, settings):
        seen = []
        asked = dataclasses.replace(settings, alphas=(0.5, 0.2))
        make_sheet(
            clip, styles, tmp_path / "a.png", asked, run=RunOptions(on_frame=lambda result, total: seen.append(total))
        )
        assert seen == [3 * 2 * 2] * 12

    def test_an_animation_is_a_clip_and_a_single_gif_a_picture(self, tmp_path, styles, settings):
        frames = [Image.fromarray(frame) for frame in pan(4)]
        frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
        frames[0].save(tmp_path / "still.gif")
        make_sheet(tmp_path / "moving.gif", [], tmp_path / "a.png")
        with pytest.raises(UsageError, match=r"no style.*still\.gif"):
            make_sheet(tmp_path / "still.gif", [], tmp_path / "b.png")

    def test_too_many_shots(self, tmp_path, clip, styles, settings):
        with pytest.raises(UsageError, match="3 shots in 2 styles at 100 alphas are 600 pictures"):
            make_sheet(clip, styles, tmp_path / "a.png", dataclasses.replace(settings, alphas=(0.5,) * 100))


class Stop(Exception):
    pass


def test_it_goes_on_where_it_stopped(tmp_path, photo, styles, settings):
    painted = []

    def stop(result, total):
        painted.append(result.index)
        if len(painted) == 3:
            raise Stop

    make_sheet(photo, styles, tmp_path / "whole.png", settings)
    with pytest.raises(Stop):
        make_sheet(photo, styles, tmp_path / "a.png", settings, run=RunOptions(on_frame=stop))
    assert not (tmp_path / "a.png").exists()
    make_sheet(
        photo,
        styles,
        tmp_path / "a.png",
        settings,
        run=RunOptions(on_frame=lambda result, total: painted.append(result.index)),
    )
    assert painted == list(range(12))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert not list(tmp_path.glob("*.job"))


def test_another_width_paints_nothing_anew(tmp_path, photo, styles, settings):
    make_sheet(photo, styles, tmp_path / "a.png", settings, run=RunOptions(keep_job=True))
    before = opened(tmp_path / "a.png")
    narrow = dataclasses.replace(settings, width=200)
    run = RunOptions(overwrite=True, keep_job=True, on_frame=lambda *_: pytest.fail("it paints"))
    make_sheet(photo, styles, tmp_path / "a.png", narrow, run)
    after = opened(tmp_path / "a.png")
    assert after.shape[:2] == (round(len(before) * 200 / before.shape[1]), 200)
    assert np.abs(after.mean((0, 1)) - before.mean((0, 1))).max() < 2
    with pytest.raises(UsageError, match="pictures of a sheet"):
        encode_job(tmp_path / "a.png.job", tmp_path / "b.gif")


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "no style", ["{}/photo.png", "-o", "{}/o.png"]),
        (2, "numbers with commas", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--alphas", "some"]),
        (2, "at most 1", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--alphas", "1,2"]),
        (2, "numbers with commas", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--alphas", "nan"]),
        (2, "holds 400", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--alphas", ",".join(["1"] * 401)]),
        (2, "a still", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--preserve-color", "0s:1, end:0"]),
        (2, "--size", ["{}/photo.png", "{}/style.png", "-o", "{}/o.png", "--width", "5000"]),
        (2, ".jpg", ["{}/photo.png", "{}/style.png", "-o", "{}/o.gif"]),
        (3, "no file", ["{}/none.png", "{}/style.png", "-o", "{}/o.png"]),
        (3, "it is text", ["{}/text.mp4", "-o", "{}/o.png"]),
        (3, "it is text", ["{}/text.mp4", "{}/style.png", "-o", "{}/o.png"]),
        (3, "damaged", ["{}/half.png", "{}/style.png", "-o", "{}/o.png"]),
        (3, "text.mp4 is not a clip that can be read: it is text", ["{}/photo.png", "{}/text.mp4", "-o", "{}/o.png"]),
        (2, "is an input", ["{}/photo.png", "{}/style.png", "-o", "{}/photo.png"]),
        (4, "-y", ["{}/photo.png", "{}/style.png", "-o", "{}/half.png"]),
        (7, "none", ["{}/photo.png", "{}/style.png", "-o", "{}/none/o.png"]),
    ],
)
@pytest.mark.clips
def test_what_cannot_work_is_refused_before_painting(
    vidstyle, tmp_path, photo, styles, network, code, words, arguments
):
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:3000])
    before = set(tmp_path.rglob("*"))
    done = vidstyle("sheet", *(argument.format(tmp_path) for argument in arguments), "--network", network, "--size", 64)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len([line for line in done.output.splitlines() if line.startswith("vidstyle:")]) == 1
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.clips
def test_a_clip_that_is_cut_short(vidstyle, tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", pan(20), rate=25)
    clip.write_bytes(clip.read_bytes()[:600])
    done = vidstyle("sheet", clip, "-o", tmp_path / "o.png")
    assert done.exit_code == 3
    assert "clip.mkv" in done.output
    assert not (tmp_path / "o.png").exists()


class TestGrid:
    """Of plain pictures, whose pixels nothing else on a sheet has."""

    def cells(self, count, height=48, width=64):
        cells = [np.full((height, width, 3), (number, 200, 7), np.uint8) for number in range(count)]
        for cell in cells:
            cell[0, 0] = 0, 0, 255
        return cells

    @pytest.mark.parametrize(("columns", "cell"), [(1, (48, 64)), (3, (96, 256)), (6, (170, 256)), (7, (256, 144))])
    def test_words_are_read_at_800_pixels(self, columns, cell):
        facts = [Head(facts=("alpha 0.3",)) for _ in range(columns)]
        table = Table(cell, [Head("EEE"), Head("")], facts)
        sheet = table.drawn(self.cells(2 * columns, *cell))
        assert sheet.shape[:2] == table.size
        top, left = place_of(self.cells(1, *cell)[0], sheet)
        ink = (sheet[top - 4 : top + cell[0], :left] != GROUND).any((1, 2))
        assert ink.sum() * 800 / max(sheet.shape[1], 800) >= 8  # pixels of a capital letter
        above = (sheet[:top, left:] != GROUND).any(2)
        assert above.any()
        for number in range(1, columns):  # no label runs into the next one
            edge = place_of(self.cells(columns, *cell)[number], sheet)[1]
            assert not above[:, edge - left - 3 : edge - left].any()

    def test_a_picture_above_a_name(self):
        style = np.zeros((100, 50, 3), np.uint8)
        table = Table((48, 64), [Head(LONG, picture=style)], [Head("a"), Head("b", ("c",), style)])
        sheet = table.drawn(self.cells(2))
        top, left = place_of(self.cells(1)[0], sheet)
        beside, above = ((sheet == 0).all(2)[area] for area in (np.s_[top:, :left], np.s_[:top]))
        for found, tall in ((beside, 20), (above, 48)):
            rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
            assert len(rows) >= tall
            assert len(columns) == pytest.approx(len(rows) / 2, abs=1)

    def test_words_stand_on_one_line_right_above_their_columns(self):
        style = np.full((48, 64, 3), 90, np.uint8)
        cells = self.cells(3, 96, 128)
        sheet = Table((96, 128), [Head("E")], [Head("E"), Head("E", ("E",)), Head("E", ("E",), style)]).drawn(cells)
        places = [place_of(cell, sheet) for cell in cells]
        lowest = [np.flatnonzero((sheet[:y, x : x + 128] > 200).any((1, 2)))[-1] - y for y, x in places]
        assert len(set(lowest)) == 1
        assert -12 < lowest[0] < -2

    @pytest.mark.parametrize("count", [1, 2, 7, 24, 60])
    def test_cards_make_a_sheet_of_a_good_shape(self, count):
        pictures = self.cells(count)
        sheet = cards(pictures, [f"{number}" for number in range(count)])
        places = [tuple(map(int, place_of(picture, sheet))) for picture in pictures]
        assert places == sorted(places)
        if count > 6:
            assert 0.7 <= sheet.shape[1] / sheet.shape[0] <= 2.5

    def test_a_sheet_of_too_many_pixels(self):
        heads = [Head("a")] * 4
        with pytest.raises(UsageError, match="100 megapixels"):
            Table((3000, 3000), heads, heads)

    def test_long_names_lose_their_middle(self):
        short = shortened(LONG, 150, 13)
        assert width_of(short, 13) <= 150
        before, after = short.split("…")
        assert LONG.startswith(before)
        assert LONG.endswith(after)
        assert len(before) == pytest.approx(len(after), abs=1)
        assert shortened("style.png", 150, 13) == "style.png"
        assert shortened("星.png", 150, 13) == "?.png"
