"""Shots that are split: which frames are painted twice, that parts are what they would be alone, and how seams show."""

import json
from fractions import Fraction

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import network_file, pixels, random_network, texture
from PIL import Image

from vidstyle import EncodeSettings, RunOptions, VideoSettings, encode_job, stylize_frames, stylize_video
from vidstyle.errors import UsageError
from vidstyle.jobs.arrays import ArraySequence
from vidstyle.jobs.painting.seams import seam_figures
from vidstyle.jobs.sources.clips import SequenceSource
from vidstyle.jobs.sources.splits import shown, split
from vidstyle.settings import OVERLAP
from vidstyle.types import ClipInfo, Seams

FRAMES, MOST, RATE = 40, 2 * OVERLAP, 8  # two parts of 20 frames, the first of which is painted until frame 35
SECOND = FRAMES // 2 + OVERLAP  # number of the painted frame with which the second part begins


def test_parts_of_a_shot_have_the_same_length():
    starts, seams = split([0, 40], 140, 34, ())
    assert seams == Seams((20 + OVERLAP, 73 + 2 * OVERLAP, 106 + 3 * OVERLAP), OVERLAP)
    assert starts == [0, 20 + OVERLAP, 40 + OVERLAP, 73 + 2 * OVERLAP, 106 + 3 * OVERLAP]
    assert split([0, 40], 140, 100, ()) == ([0, 40], Seams()) == split([0, 40], 140, None, ())


def test_no_part_begins_with_a_flash():
    assert split([0], 100, 50, {50, 49, 48})[1].starts == (47 + OVERLAP,)
    assert split([0], 40, MOST, range(1, 40))[1] == Seams()  # there is no place


def test_frames_at_a_seam_are_painted_twice():
    """Two seams: before frames 5 and 9, of each of which two frames are painted twice."""
    seams = Seams((7, 13), 2)
    assert [seams.content(number) for number in range(16)] == [0, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10, 9, 10, 11]
    shares = [seams.share(number) for number in range(16)]
    assert shares == [None] * 7 + [1 / 3, 2 / 3] + [None] * 4 + [1 / 3, 2 / 3] + [None]
    assert shown(seams, 12) == [0, 1, 2, 3, 4, 7, 8, 9, 10, 13, 14, 15]
    assert list(shown(Seams(), 3)) == [0, 1, 2]


@pytest.mark.parametrize(("starts", "overlap"), [((5,), 0), ((5,), 6), ((5, 8), 4), ((9, 5), 2)])
def test_seams_that_cannot_be_are_refused(starts, overlap):
    with pytest.raises(ValueError, match="got"):
        Seams(starts, overlap)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A clip of one shot, a style and a network."""
    folder = tmp_path_factory.mktemp("files")
    make_clip(folder / "clip.mp4", pan(FRAMES, 64, 48), rate=RATE)
    Image.fromarray(pixels(texture(40, 40, seed=2))).save(folder / "style.png")
    network_file(folder / "tiny.safetensors", random_network())
    return folder


def paint(files, folder, run=None, **changes):
    """The clip, as PNGs; and the job folder."""
    settings = VideoSettings(
        size=64,
        first_iterations=3,
        iterations=2,
        device="cpu",
        precision="float32",
        network=f"{files}/tiny.safetensors",
        **changes,
    )
    folder.mkdir(exist_ok=True)
    run = run or RunOptions(threads=1, keep_job=True)
    stylize_video(files / "clip.mp4", [files / "style.png"], f"{folder}/out/", settings, run)
    return made(folder)


def made(folder):
    """The frames as they are shown, and as they were painted."""
    return [
        [np.asarray(Image.open(file)) for file in sorted((folder / name).glob("*.png"))]
        for name in ("out", "out.job/frames")
    ]


@pytest.fixture(scope="module")
def divided(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("divided")
    return folder, *paint(files, folder, split_after=MOST)


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def test_parts_are_painted_as_clips_of_their_own(files, divided, tmp_path):
    """The first like the clip without a seam, the second like the clip from there on."""
    _, out, frames = divided
    whole, _ = paint(files, tmp_path / "whole")
    rest, _ = paint(files, tmp_path / "rest", start=FRAMES / 2 / RATE)
    assert (len(out), len(frames)) == (FRAMES, FRAMES + OVERLAP)
    assert same(frames[:SECOND], whole[:SECOND]) and same(frames[SECOND:], rest)


def test_what_is_shown_is_a_dissolve(divided):
    folder, out, frames = divided
    wanted = [*frames[: FRAMES // 2], *frames[SECOND:]]
    for number in range(OVERLAP):
        one, other = (frames[number + first].astype(float) for first in (FRAMES // 2, SECOND))
        blend = (one * (OVERLAP - number) + other * (number + 1)) / (OVERLAP + 1)
        shown = out[FRAMES // 2 + number]
        assert np.abs(blend - shown).max() <= 0.501  # rounded
        wanted[FRAMES // 2 + number] = shown
    assert same(out, wanted)
    encode_job(folder / "out.job", f"{folder}/again/", EncodeSettings())
    assert same(out, [np.asarray(Image.open(file)) for file in sorted((folder / "again").glob("*.png"))])


def test_workers_paint_the_same(files, divided, tmp_path, caplog):
    with caplog.at_level("WARNING", "vidstyle.notes"):
        run = RunOptions(threads=1, workers=2, keep_job=True)
        out, frames = paint(files, tmp_path / "workers", run, split_after=MOST)
    assert same(frames, divided[2]) and same(out, divided[1])
    (line,) = [one for one in caplog.messages if one.startswith("seam")]
    assert line.startswith("seam at 2.50 s: warping error 0.0") and "in the median pair; sharpness" in line
    assert line in (tmp_path / "workers" / "out.job" / "job.log").read_text()


@pytest.mark.parametrize(("stop", "workers"), [(SECOND - 2, None), (SECOND + 3, 2)])
def test_it_resumes_with_the_same_bytes(files, divided, tmp_path, stop, workers):
    painted = []

    def interrupt(result, total):
        assert total == FRAMES + OVERLAP
        painted.append(result.index)
        if len(painted) == stop:
            raise KeyboardInterrupt

    run = RunOptions(threads=1, keep_job=True, on_frame=interrupt)
    with pytest.raises(KeyboardInterrupt):
        paint(files, tmp_path / "job", run, split_after=MOST)
    run = RunOptions(threads=1, keep_job=True, workers=workers, on_frame=lambda result, _: painted.append(result.index))
    out, frames = paint(files, tmp_path / "job", run, split_after=MOST)
    assert same(frames, divided[2]) and same(out, divided[1])
    assert len(set(painted)) == FRAMES + OVERLAP >= len(painted) - 1


def test_the_content_beside_the_painting_is_that_of_the_frame(files, divided, tmp_path):
    pairs = paint(files, tmp_path / "job", split_after=MOST, layout="pair")[0]
    assert same([pair[:, -64:] for pair in pairs], divided[1])
    contents = [pair[:, :64] for pair in pairs]
    assert same(contents, [pair[:, :64] for pair in paint(files, tmp_path / "whole", layout="pair")[0]])
    assert not np.array_equal(*contents[19:21])


def test_alpha_over_time_goes_on_behind_a_seam(files, tmp_path):
    paint(files, tmp_path / "job", split_after=MOST, alpha="0f:0, 39f:.39")
    alpha = json.loads((tmp_path / "job" / "out.job" / "manifest.json").read_text())["played"]["alpha"]
    numbers = [*range(FRAMES // 2 + OVERLAP), *range(FRAMES // 2, FRAMES)]
    assert alpha == pytest.approx([number / 100 for number in numbers])


def test_a_seam_is_measured():
    """Of a picture that stands still, painted in one grey before the seam and in another behind it."""
    sequence = ArraySequence([pixels(texture(48, 64, seed=1))] * FRAMES, ClipInfo(64, 48, Fraction(RATE), FRAMES))
    source = SequenceSource(sequence, VideoSettings(size=64, split_after=MOST), (1.0,))

    class Job:
        def images(self, order):
            for number in order:
                share = source.seams.share(number)
                grey = (number >= SECOND) if share is None else share
                yield np.full((48, 64, 3), round(100 + (OVERLAP + 1) * 3 * grey), np.uint8)

    (found,) = seam_figures(source, Job())
    assert (found.frame, found.seconds, found.median) == (20, 2.5, 0)
    assert found.most == pytest.approx((3 / 255) ** 2, rel=1e-4)


def test_what_cannot_be_split_is_refused():
    for changes, words in (
        ({"loop": True}, "--loop leads the end"),
        ({"warm_start": "none"}, "--split-after belongs to --warm-start"),
    ):
        with pytest.raises(UsageError, match=words):
            VideoSettings(split_after=100, **changes)
    with pytest.raises(UsageError, match=f"--split-after is 5; it must be at least {MOST}"):
        VideoSettings(split_after=5)
    frame = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(UsageError, match="--split-after"):
        stylize_frames([frame], [frame], VideoSettings(split_after=100))


def test_a_plan_counts_what_is_painted_twice(vidstyle, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = f"plan {files}/clip.mp4 {files}/style.png --network {files}/tiny.safetensors --size 64 --iterations 2 --json"
    plans = [json.loads(vidstyle(*line.split(), *more).stdout) for more in ((), ("--split-after", MOST))]
    assert [[(one["first"], one["end"], one["frames_left"]) for one in plan["shots"]] for plan in plans] == [
        [(0, 40, 40)],
        [(0, 36, 36), (20, 40, 20)],
    ]
    assert [plan["frames"] for plan in plans] == [FRAMES, FRAMES + OVERLAP]
    assert [(one["start_seconds"], one["end_seconds"]) for one in plans[1]["shots"]] == [(0, 4.5), (2.5, 5)]
    one, two = (found["bound_seconds"] for found in plans[1]["workers"][:2])
    seconds = [one["seconds"] for one in plans[1]["shots"]]
    assert one - two == pytest.approx(min(seconds), abs=1e-3)  # the shorter part beside the longer one
    assert "--split-after 32" in plans[1]["command"]


@pytest.mark.slow
def test_a_report_has_each_frame_once(files, vidstyle, tmp_path):
    line = f"video {files}/clip.mp4 {files}/style.png -o {tmp_path}/out.mp4 --network {files}/tiny.safetensors --report"
    done = vidstyle(*line.split(), "--size", 64, "--iterations", 2, "--split-after", MOST)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert [one["frame"] for one in report["frames"]] == list(range(FRAMES))
