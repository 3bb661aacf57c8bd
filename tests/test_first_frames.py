"""`--only-first`: the first frames of all shots, a sheet of them to approve, and a painting that goes on from there."""

import json

import numpy as np
import pytest
from clips import pan, texture
from PIL import Image

from vidstyle import RunOptions, VideoSettings, stylize_video
from vidstyle.errors import UsageError

pytestmark = pytest.mark.clips
FIRSTS = (0, 3, 4)  # of three shots: of three frames, of one, and of two


@pytest.fixture
def files(tmp_path, network):
    """A folder of frames, which make three shots, and pictures that are styles."""
    (tmp_path / "clip").mkdir()
    shots = (*pan(3, 96, 64), texture(96, 64, 11) // 2 + 120, *(255 - frame for frame in pan(2, 96, 64, seed=9)))
    for number, frame in enumerate(shots):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number}.png")
    for name, seed in (("style", 2), ("other", 3)):
        Image.fromarray(texture(96, 64, seed)).save(tmp_path / f"{name}.png")
    return tmp_path


def command(files, *options, out="out/"):
    few = ["--network", files / "tiny.safetensors", "--size", 96, "--first-iterations", 4, "--iterations", 3]
    return ["video", files / "clip", files / "style.png", "-o", f"{files}/{out}", "--device", "cpu", *few, *options]


def pictures(folder):
    return {int(path.stem): np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


@pytest.mark.parametrize("workers", [(), ("--threads", 1, "--workers", 2)])
def test_the_later_command_goes_on_with_the_same_bytes(files, vidstyle, workers):
    whole = vidstyle(*command(files, *workers[:2], out="whole/"))
    assert whole.exit_code == 0, whole.output
    done = vidstyle(*command(files, "--only-first", *workers))
    assert done.exit_code == 0, done.output
    assert "out.first.png" in done.output
    assert set(pictures(files / "out.job" / "frames")) == set(FIRSTS)
    assert not (files / "out").exists()
    before = {number: (files / "out.job" / "frames" / f"{number:06}.png").stat().st_mtime_ns for number in FIRSTS}
    painted = []
    if workers:
        done = vidstyle(*command(files, "--keep-job", *workers))
        assert done.exit_code == 0, done.output
    else:
        settings = VideoSettings(
            network=str(files / "tiny.safetensors"), size=96, first_iterations=4, iterations=3, device="cpu"
        )
        run = RunOptions(keep_job=True, on_frame=lambda result, total: painted.append(result.index))
        stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings, run)
        assert painted == [1, 2, 5]
    after = {number: (files / "out.job" / "frames" / f"{number:06}.png").stat().st_mtime_ns for number in FIRSTS}
    assert after == before
    found, wanted = pictures(files / "out"), pictures(files / "whole")
    assert len(found) == 6
    assert all(np.array_equal(found[number], wanted[number]) for number in wanted)


def test_the_sheet_shows_each_first_frame_beside_its_painting(files, vidstyle):
    """A paint that leaves the content as it is makes both halves of a strip alike."""
    assert vidstyle(*command(files, "--only-first", "--alpha", 1)).exit_code == 0
    sheet = np.asarray(Image.open(files / "out.first.png")).astype(int)
    for number in FIRSTS:
        content = np.asarray(Image.open(files / "clip" / f"{number}.png")).astype(int)
        places = [
            (y, x)
            for y in range(sheet.shape[0] - 63)
            for x in range(sheet.shape[1] - 95)
            if np.array_equal(sheet[y, x], content[0, 0]) and np.abs(sheet[y : y + 64, x : x + 96] - content).max() <= 2
        ]
        assert len(places) == 2, number
        assert places[0][0] == places[1][0]


def test_interrupted_it_goes_on(files, vidstyle):
    settings = VideoSettings(network=str(files / "tiny.safetensors"), size=96, first_iterations=4, device="cpu")
    painted = []

    def stop(result, total):
        painted.append(result.index)
        raise InterruptedError

    def paint(**options):
        run = RunOptions(only_first=True, **options)
        return stylize_video(files / "clip", [files / "style.png"], f"{files}/out/", settings, run)

    for _ in FIRSTS:
        with pytest.raises(InterruptedError):
            paint(on_frame=stop)
    assert painted == [0, 1, 2]  # shots
    assert paint(on_frame=stop) == files / "out.first.png"  # nothing is painted: the sheet is made
    assert paint() == files / "out.first.png"  # and made anew, for it is this job's


def test_a_first_frame_that_is_not_liked_is_replaced_and_the_others_stay(files, vidstyle):
    assert vidstyle(*command(files, "--only-first")).exit_code == 0
    liked = pictures(files / "out.job" / "frames")
    own = ["--first", f"{files / 'other.png'}@3"]
    refused = vidstyle(*command(files, "--only-first", *own))
    assert refused.exit_code == 9
    assert "--restart" in refused.output
    done = vidstyle(*command(files, "--only-first", "--restart", "-y", *own))
    assert done.exit_code == 0, done.output
    found = pictures(files / "out.job" / "frames")
    assert np.array_equal(found[3], np.asarray(Image.open(files / "other.png")))
    assert all(np.array_equal(found[number], liked[number]) for number in (0, 4))
    done = vidstyle(*command(files, *own))
    assert done.exit_code == 0, done.output
    painted = pictures(files / "out")
    assert all(np.array_equal(painted[number], found[number]) for number in FIRSTS)


def test_of_a_loop_it_is_the_first_frame_of_all(files, vidstyle):
    assert vidstyle(*command(files, "--only-first", "--loop")).exit_code == 0
    assert set(pictures(files / "out.job" / "frames")) == {0}


def test_of_a_finished_job_it_makes_the_sheet(files, vidstyle):
    assert vidstyle(*command(files, "--keep-job")).exit_code == 0
    before = json.loads((files / "out.job" / "manifest.json").read_text())["frames"]
    assert vidstyle(*command(files, "--only-first", "--keep-job")).exit_code == 0
    assert (files / "out.first.png").exists()
    assert before == len(pictures(files / "out.job" / "frames"))


def test_what_does_not_go_together_is_refused_in_a_sentence(files, vidstyle):
    (files / "out.first.png").write_bytes(b"precious")
    for options, words, code in (
        (["--only-first"], "out.first.png already exists", 4),
        (["--only-first", "--report"], "--report does not go together with --only-first", 2),
    ):
        done = vidstyle(*command(files, *options))
        assert done.exit_code == code, done.output
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
        assert not (files / "out.job").exists()
    assert (files / "out.first.png").read_bytes() == b"precious"
    with pytest.raises(UsageError, match="only_first"):
        RunOptions(only_first=True).require_called("balance")
    assert vidstyle(*command(files, "--only-first", "-y")).exit_code == 0
