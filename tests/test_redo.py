"""`--redo`: frames of a kept job painted again with other settings, in step with those around them."""

import itertools
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip, pan, probe, texture
from PIL import Image

from vidstyle import RunOptions, VideoSettings, VidstyleError, encode_job, stylize_video
from vidstyle.jobs.output.origin import origin_of
from vidstyle.jobs.redo import FADE, Plan
from vidstyle.settings.ranges import FrameRange
from vidstyle.system import files as system_files

pytestmark = pytest.mark.clips
FRAMES, CUT = 12, 8


@pytest.fixture
def files(tmp_path, network, once):
    """A folder of frames, which make two shots, a style, and the kept job out.gif.job."""

    def make():
        (tmp_path / "clip").mkdir()
        shots = (*pan(CUT, 96, 64), *(255 - frame for frame in pan(FRAMES - CUT, 96, 64, seed=9)))
        for number, frame in enumerate(shots):
            Image.fromarray(frame).save(tmp_path / "clip" / f"{number}.png")
        Image.fromarray(texture(96, 64, 2)).save(tmp_path / "style.png")
        paint(tmp_path, keep_job=True)

    once(make)
    return tmp_path


def settings_for(files, **changes):
    few = {"size": 64, "first_iterations": 4, "iterations": 3, "device": "cpu", "precision": "float32"}
    return VideoSettings(network=str(files / "tiny.safetensors"), **{**few, **changes})


def paint(files, changes=(), out="out.gif", **run):
    settings = settings_for(files, **dict(changes))
    return stylize_video(files / "clip", [files / "style.png"], files / out, settings, RunOptions(**run))


def command(files, *options, out="out.gif"):
    few = ["--size", 64, "--first-iterations", 4, "--iterations", 3, "--device", "cpu", "--precision", "float32"]
    few += ["--network", files / "tiny.safetensors"]
    return ["video", files / "clip", files / "style.png", "-o", files / out, *few, *options]


def frames(files, out="out.gif"):
    return [np.asarray(Image.open(path)) for path in sorted((files / f"{out}.job" / "frames").glob("*.png"))]


def changed(before, after):
    return {
        number for number, (one, other) in enumerate(zip(before, after, strict=True)) if not np.array_equal(one, other)
    }


def state_of(folder):
    """All files of a job that matter, but for what says when they were made and who holds it."""
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in (".png", ".json", ".jsonl")]
    found = {path.relative_to(folder): path.read_bytes() for path in kept if path.name != "owner.json"}
    lines = found[Path("journal.jsonl")].splitlines()
    entries = sorted(({**json.loads(line), "seconds": 0} for line in lines), key=lambda entry: entry["index"])
    return {**found, Path("journal.jsonl"): json.dumps(entries)}


class TestRange:
    @pytest.mark.parametrize(
        ("text", "given", "seconds"),
        [
            ("120-140", (120, 140), None),
            (" 7 ", (7, 7), None),
            ("4s-5.5s", None, (4, Fraction(11, 2))),
            (".5s - 1s", None, (Fraction(1, 2), 1)),
        ],
    )
    def test_it_is_read(self, text, given, seconds):
        found = FrameRange.parsed(text)
        assert (found.frames, found.seconds) == (given, seconds)

    @pytest.mark.parametrize("text", ["", "a", "1-", "-3", "5-4", "4-5s", "4s", "5s-4s", "1.5-2", "1-2-3", "²"])
    def test_another_text_is_refused_with_the_form(self, text, files):
        with pytest.raises(VidstyleError, match=r"--redo is .*give"):
            RunOptions(redo=text)


class TestPlan:
    class Source:
        """What a plan reads of a source."""

        def __init__(self, loop=False):
            self.shots, self.reach = frozenset({0, 40}), 9
            self.info = type("Info", (), {"frames": 100})
            self.settings = type("Settings", (), {"loop": loop})

    def test_within_a_shot_it_fades_in_and_out(self):
        plan = Plan.of(50, 90, self.Source())
        into, out = ([plan.fades.get(index, 0) for index in part] for part in (range(50, 70), range(89, 69, -1)))
        assert into == pytest.approx(out)
        assert into == sorted(into, reverse=True)
        assert (into[0] > 0.9, into[FADE - 1] > 0, into[FADE]) == (True, True, 0)
        assert sorted(plan.leads) == [*range(90 - FADE, 90)]
        left = np.prod([1 - share for share in plan.leads.values()])
        assert 1 - left == pytest.approx(plan.fades[89])  # so far it is led in all
        assert plan.start == 41

    @pytest.mark.parametrize(("first", "end", "into", "out"), [(40, 100, 0, 0), (0, 20, 0, 1), (30, 60, 1, 1)])
    def test_at_a_cut_it_does_not(self, first, end, into, out):
        plan = Plan.of(first, end, self.Source())
        assert (first in plan.fades, end - 1 in plan.fades) == (into, out)
        assert plan.start == (21 if into else first)

    def test_a_short_range_is_divided(self):
        for length in (1, 2, 5):
            plan = Plan.of(50, 50 + length, self.Source())
            assert set(plan.fades) == set(range(50, 50 + length))
            assert all(0 < share < 1 for share in plan.fades.values())

    def test_of_a_loop_both_ends_go_on(self):
        plan = Plan.of(0, 100, self.Source(loop=True))
        assert (0 in plan.fades, 99 in plan.fades, plan.start, plan.leads[0]) == (True, True, 0, 1)


class TestJob:
    def test_nothing_else_changes_and_the_output_is_made_anew(self, files, vidstyle):
        before, output = frames(files), (files / "out.gif").read_bytes()
        done = vidstyle(*command(files, "--redo", "2-5", "--alpha", ".05"))
        assert done.exit_code == 0, done.output
        after = frames(files)
        assert changed(before, after) == {2, 3, 4, 5}
        assert (files / "out.gif").read_bytes() != output
        shown = vidstyle("show", files / "out.gif").output.splitlines()
        assert "--keep-job" in shown[0] and "--redo" not in shown[0]
        assert "--alpha 0.05" in shown[1] and "--redo 2-5" in shown[1]
        assert "alpha" not in origin_of(files / "out.gif").values(VideoSettings)
        encode_job(files / "out.gif.job", files / "again.png")
        again = vidstyle("show", files / "again.png").output.splitlines()
        assert "--redo 2-5" in again[1]
        alpha = json.loads((files / "out.gif.job" / "manifest.json").read_text())["played"]["alpha"]
        assert alpha == [0.4] * 2 + [0.05] * 4 + [0.4] * 6

    def test_the_old_frames_are_found_again_by_fading(self, files):
        """The first and the last new frame are nearer to the old ones than those in the middle."""
        before = frames(files)
        paint(files, {"alpha": 0.0, "style_scale": 0.5, "iterations": 20}, redo="1-6")
        apart = [np.abs(one.astype(int) - two).mean() for one, two in zip(before, frames(files), strict=True)]
        assert max(apart[1], apart[6]) < min(apart[3], apart[4])

    def test_a_whole_shot_is_painted_as_if_it_were_alone(self, files):
        """It has no neighbours: the new frames are those of a painting of all with these settings."""
        paint(files, {"alpha": 0.1}, out="whole.gif", keep_job=True)
        before, whole = frames(files), frames(files, "whole.gif")
        paint(files, {"alpha": 0.1}, redo="8-11")
        after = frames(files)
        assert changed(before[:CUT], after[:CUT]) == set()
        assert changed(whole[CUT:], after[CUT:]) == set()

    def test_several_shots_and_seconds(self, files, vidstyle):
        before = frames(files)
        done = vidstyle(*command(files, "--redo", ".2s-.4s", "--alpha", "0"))  # at 25 frames a second
        assert done.exit_code == 0, done.output
        assert changed(before, frames(files)) == {5, 6, 7, 8, 9}

    def test_twice_and_the_plain_command_afterwards(self, files, vidstyle):
        for options in (["--redo", "2-5", "--alpha", ".1"], ["--redo", "4-9", "--alpha", ".8"]):
            assert vidstyle(*command(files, *options)).exit_code == 0
        after, output = frames(files), (files / "out.gif").read_bytes()
        again = vidstyle(*command(files, "--redo", "4-9", "--alpha", ".8"))
        assert again.exit_code == 0
        assert "frames 4-9 were painted again with these settings last" in again.output
        assert vidstyle(*command(files, "--keep-job")).exit_code == 0
        assert changed(after, frames(files)) == set()
        assert (files / "out.gif").read_bytes() == output
        shown = vidstyle("show", files / "out.gif").output
        assert shown.index("--redo 2-5") < shown.index("--redo 4-9")
        assert vidstyle(*command(files)).exit_code == 0
        assert not (files / "out.gif.job").exists()

    def test_the_commands_of_show_make_it_again(self, files, vidstyle, monkeypatch):
        assert vidstyle(*command(files, "--redo", "2-5", "--alpha", ".1")).exit_code == 0
        made, shown = (files / "out.gif").read_bytes(), vidstyle("show", files / "out.gif").output.splitlines()[:2]
        shutil.rmtree(files / "out.gif.job")
        (files / "out.gif").unlink()
        monkeypatch.chdir(files)
        for line in shown:
            done = vidstyle(*line.split()[1:], "--device", "cpu")
            assert done.exit_code == 0, done.output
        assert (files / "out.gif").read_bytes() == made

    def test_a_part_of_a_clip_has_the_numbers_of_the_file(self, files, vidstyle):
        part = ["--start", ".08", "--end", ".28"]
        assert vidstyle(*command(files, "--keep-job", *part, out="part.gif")).exit_code == 0
        before = frames(files, "part.gif")
        done = vidstyle(*command(files, *part, "--redo", "3-4", "--alpha", "0", out="part.gif"))
        assert done.exit_code == 0, done.output
        assert changed(before, frames(files, "part.gif")) == {1, 2}
        outside = vidstyle(*command(files, *part, "--redo", "0-4", "--alpha", "0", out="part.gif"))
        assert "frames 2 to 6 are painted" in outside.output

    @pytest.mark.parametrize("loop", [False, True])
    def test_interrupted_after_every_frame_it_gives_the_same_bytes(self, files, loop):
        class Stop(Exception):
            pass

        def stop(result, total):
            raise Stop

        if loop:
            paint(files, {"loop": True}, overwrite=True, restart=True, keep_job=True)
        shutil.copytree(files / "out.gif.job", files / "whole.gif.job")
        shutil.copy(files / "out.gif", files / "whole.gif")
        before = frames(files)
        changes = {"alpha": 0.1, "loop": loop, "long_term": (2, 4)}
        paint(files, changes, out="whole.gif", redo="3-10", overwrite=True)
        count = 0
        while True:
            try:
                paint(files, changes, redo="3-10", on_frame=stop)
                break
            except Stop:
                count += 1
                assert changed(before, frames(files)) == set()  # the old ones are there until all are
        assert count == 8
        assert changed(frames(files, "whole.gif"), frames(files)) == set()

    @pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.slow)])
    def test_killed_at_every_change_of_the_folder_nothing_is_lost(self, files, monkeypatch, step):
        """At the n-th call that changes files the process dies, for every n; then the same command is run again."""
        changes, saved = {"alpha": 0.1}, files / "saved"
        saved.mkdir()
        for name in ("out.gif", "out.gif.job"):
            (shutil.copytree if (files / name).is_dir() else shutil.copy)(files / name, saved / name)
        before = frames(files)
        paint(files, changes, redo="9-10")
        wanted, output = state_of(files / "out.gif.job"), (files / "out.gif").read_bytes()
        after = frames(files)
        deaths = [(os, "replace"), (os, "rename"), (Path, "rename"), (Path, "unlink"), (Path, "rmdir")]

        class Killed(BaseException):
            pass

        def deadly(real, calls, last):
            def call(*args, **kwargs):
                if next(calls) >= last:
                    raise Killed
                return real(*args, **kwargs)

            return call

        for last in itertools.count(0, step):
            shutil.rmtree(files / "out.gif.job")
            shutil.copytree(saved / "out.gif.job", files / "out.gif.job")
            shutil.copy2(saved / "out.gif", files / "out.gif")
            calls = itertools.count()
            with monkeypatch.context() as patch:
                for owner, name in [*deaths, (system_files, "flush")]:
                    patch.setattr(owner, name, deadly(getattr(owner, name), calls, last))
                try:
                    paint(files, changes, redo="9-10")
                    break
                except Killed:
                    pass
            found = frames(files)
            assert all(any(np.array_equal(one, each[n]) for each in (before, after)) for n, one in enumerate(found))
            paint(files, changes, redo="9-10")
            found = state_of(files / "out.gif.job")
            assert found.keys() == wanted.keys()
            assert [name for name in wanted if found[name] != wanted[name]] == [], last
            assert (files / "out.gif").read_bytes() == output
        assert last > 20


REFUSED = {
    "form": (["--redo", "x"], "give FIRST-LAST, like 120-140, or seconds", 2),
    "backwards": (["--redo", "5-4"], "ends before it begins", 2),
    "outside": (["--redo", "10-12"], "frames 0 to 11 are painted", 2),
    "seconds outside": (["--redo", "3s-4s"], "from second 0 to 0.48", 2),
    "another size": (["--redo", "2-3", "--size", "32"], "size was 64, now 32", 9),
    "another part": (["--redo", "2-3", "--end", ".4"], "now", 9),
    "a mask": (["--redo", "2-3", "--mask", "{mask}"], "mask was", 9),
    "a loop": (["--redo", "2-3", "--loop"], "loop was false, now true", 9),
    "another style": (["--redo", "2-3", "{mask}"], "style", 9),
    "workers": (["--redo", "2-3", "--workers", "2"], "--workers does not go together with --redo", 2),
    "only first": (["--redo", "2-3", "--only-first"], "--only-first does not go together with --redo", 2),
    "parts": (["--redo", "2-3", "--split-after", "32"], "--split-after divides shots", 2),
    "a report": (["--redo", "2-3", "--report"], "--report does not go together with --redo", 2),
    "no job": (["--redo", "2-3", "-o", "{new}"], "is no job folder of vidstyle; --keep-job keeps one", 9),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_a_sentence_and_nothing_changes(files, vidstyle, name):
    options, words, code = REFUSED[name]
    Image.fromarray(np.repeat(np.uint8([[0, 255]] * 64), 48, 1)).save(files / "mask.png")
    given = [option.format(mask=files / "mask.png", new=files / "new.gif") for option in options]
    before = state_of(files / "out.gif.job")
    out = [] if "-o" in given else None
    line = command(files, *given)
    if out is not None:
        place = line.index("-o")
        del line[place : place + 2]
    done = vidstyle(*line)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert state_of(files / "out.gif.job") == before
    assert not (files / "new.gif.job").exists()


def test_what_is_transparent_stays_so(files, vidstyle):
    for path in (files / "clip").iterdir():
        picture = Image.open(path)
        picture.putalpha(Image.fromarray(np.repeat(np.uint8([[0] * 48 + [255] * 48]), 64, 0)))
        picture.save(path)
    paint(files, out="clear.webm", keep_job=True)
    before = frames(files, "clear.webm")
    done = vidstyle(*command(files, "--alpha", ".9", "--redo", "3-6", out="clear.webm"))
    assert done.exit_code == 0, done.output
    after = frames(files, "clear.webm")
    assert changed(before, after) == {3, 4, 5, 6}
    assert all(np.array_equal(one[:, :, 3], other[:, :, 3]) for one, other in zip(before, after, strict=True))
    assert np.unique(after[4][:, :, 3]).tolist() == [0, 255]


def test_an_unfinished_job_and_another_redo_are_refused(files, vidstyle):
    assert vidstyle(*command(files, "--only-first", out="firsts.gif")).exit_code == 0
    done = vidstyle(*command(files, "--redo", "2-3", out="firsts.gif"))
    assert done.exit_code == 9
    assert "holds 2 of 12 frames; finish it" in done.output

    def stop(result, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        paint(files, {"alpha": 0.1}, redo="2-5", on_frame=stop)
    for other in (["--redo", "2-6", "--alpha", ".1"], ["--redo", "2-5", "--alpha", ".2"]):
        done = vidstyle(*command(files, *other))
        assert done.exit_code == 9
        assert "--redo 2-5" in done.output and "forget it with --restart" in done.output
    before = frames(files)
    assert vidstyle(*command(files, "--redo", "2-6", "--alpha", ".1", "--restart")).exit_code == 0
    assert changed(before, frames(files)) == {2, 3, 4, 5, 6}
    assert not (files / "out.gif.job" / "redo").exists()


def test_an_output_that_somebody_has_changed_is_not_replaced(files, vidstyle):
    (files / "out.gif").write_bytes(b"mine")
    done = vidstyle(*command(files, "--redo", "2-3", "--alpha", ".1"))
    assert done.exit_code == 4
    assert (files / "out.gif").read_bytes() == b"mine"
    assert vidstyle(*command(files, "--redo", "2-3", "--alpha", ".1", "-y")).exit_code == 0


def test_a_damaged_frame_of_a_redone_part_is_as_it_was_at_first(files, vidstyle):
    before = frames(files)
    assert vidstyle(*command(files, "--redo", "9-10", "--alpha", ".1")).exit_code == 0
    (files / "out.gif.job" / "frames" / "000009.png").unlink()
    done = vidstyle(*command(files, "--keep-job", "-y"))
    assert done.exit_code == 0, done.output
    assert changed(before, frames(files)) == set()
    assert json.loads((files / "out.gif.job" / "manifest.json").read_text())["redone"] == []


def test_the_sound_stays(files, vidstyle):
    from clips import clicks

    make_clip(files / "sound.mp4", pan(6, 96, 64), rate=24, sound=clicks(6 / 24))
    line = command(files, "--keep-job", out="sound.out.mp4")
    line[1] = files / "sound.mp4"
    assert vidstyle(*line).exit_code == 0
    line[-1:] = ["--redo", "2-3", "--alpha", ".1"]
    done = vidstyle(*line)
    assert done.exit_code == 0, done.output
    assert probe(files / "sound.out.mp4")["audio"]
