"""An output that this job has made is neither in its own way nor made again; every other one is refused."""

import dataclasses
import errno
import functools
import itertools
import os
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import network_file, pixels, random_network, settings_of, texture
from PIL import Image

from vidstyle import (
    BalanceSettings,
    ImageSettings,
    RunOptions,
    SheetSettings,
    VideoSettings,
    animate_balance,
    make_sheet,
    stylize_image,
)
from vidstyle.errors import DiskError, DivergedError, JobError, MediaError, OutputExistsError, UsageError

CHANGES = ("replace", "rename", "fsync", "mkdir", "unlink", "rmdir")  # calls of `os` that change the disk


class Killed(BaseException):
    """A dead process: from some call on none that changes the disk does anything any more."""


@pytest.fixture
def settings(network):
    return SheetSettings(network=str(network), size=64, alphas=(0.5, 0.3), first_iterations=1, device="cpu")


@pytest.fixture
def still(settings):
    return settings_of(ImageSettings, settings, size=32)


@pytest.fixture
def content(tmp_path):
    Image.fromarray(pixels(texture(48, 64, seed=1))).save(tmp_path / "content.png")
    return tmp_path / "content.png"


@pytest.fixture
def paint(tmp_path, content, settings):
    def run(name="o", suffixes=("png", "jpg"), **options):
        outs = [tmp_path / f"{name}.{suffix}" for suffix in suffixes]
        make_sheet(content, [content], outs, options.pop("settings", settings), RunOptions(**options))
        return [out.read_bytes() for out in outs]

    return run


def killed_at(last: int, run, watched: Path = Path("nowhere")) -> range:
    """Run something that is killed at its call number `last`.

    Returns:
        The numbers of the calls that were made from when `watched` was there on.
    """
    calls, first = itertools.count(), None

    def call(real, *args, **kwargs):
        nonlocal first
        number = next(calls)
        if first is None and os.path.exists(watched):
            first = number
        if number >= last:
            raise Killed
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, functools.partial(call, getattr(os, name)))
        with suppress(Killed):
            run()
    total = next(calls)
    return range(total if first is None else first, total)


def leftovers(folder: Path, name: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if name in path.name)


def survives(paint, tmp_path, points, **options):
    whole = paint("whole")
    for last in points:
        name = f"killed{last}."
        killed_at(last, lambda name=name: paint(name, **options))
        try:
            paint(name, **options)
        except OutputExistsError:
            assert not (tmp_path / f"{name}.png.job").exists()  # it had ended
        assert leftovers(tmp_path, name) == [f"{name}.jpg", f"{name}.png"], last
        assert [(tmp_path / f"{name}.{suffix}").read_bytes() for suffix in ("png", "jpg")] == whole, last


def test_killed_when_the_first_output_is_there(paint, tmp_path):
    """At calls that change the disk, from where the first output is recorded to the end."""
    points = killed_at(10**9, lambda: paint("counted"), tmp_path / "counted.png")
    assert len(points) > 15
    survives(paint, tmp_path, sorted({points.start - 2, points.start - 1, *points[::4], points[-1]}))


@pytest.mark.soak
def test_killed_anywhere(paint, tmp_path):
    survives(paint, tmp_path, range(killed_at(10**9, lambda: paint("counted")).stop))


@pytest.fixture
def half_made(paint, tmp_path):
    """The first of two outputs is there, the second is not, and the job folder knows."""

    def at(outputs: int):
        there = tmp_path / f"counted.{('png', 'jpg')[outputs - 1]}"
        first = killed_at(10**9, lambda: paint("counted"), there).start
        killed_at(first + 1, lambda: paint("o"))
        assert sum((tmp_path / f"o.{suffix}").exists() for suffix in ("png", "jpg")) == outputs
        return "o"

    return at


def test_what_is_made_is_not_made_again(paint, half_made, tmp_path):
    name, painted = half_made(1), []
    before = (tmp_path / f"{name}.png").stat()
    whole = paint("whole")
    assert paint(name, on_frame=lambda result, total: painted.append(result)) == whole
    after = (tmp_path / f"{name}.png").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns) and not painted


def test_another_file_at_its_place_is_refused(paint, half_made, tmp_path):
    name = half_made(1)
    (tmp_path / f"{name}.png").write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="is there already"):
        paint(name)
    assert (tmp_path / f"{name}.png").read_bytes() == b"precious"


@pytest.mark.parametrize("change", ["restart", "alphas", "width"])
def test_another_command_does_not_take_it_for_its_own(paint, half_made, tmp_path, settings, change):
    """Even where the frames are removed already, with which it was made."""
    name = half_made(2)
    before = (tmp_path / f"{name}.png").read_bytes()
    options = {"restart": True}
    if change != "restart":
        other = {"alphas": (0.9,)} if change == "alphas" else {"width": 100}
        options = {"settings": dataclasses.replace(settings, **other)}
    with pytest.raises((OutputExistsError, JobError)):
        paint(name, **options)
    assert (tmp_path / f"{name}.png").read_bytes() == before
    paint(name, overwrite=True, restart=True)


def test_a_kept_job_is_done_once_and_for_all(paint, tmp_path):
    whole = paint(keep_job=True)
    assert paint(keep_job=True) == whole  # nothing to do
    assert paint() == whole
    assert leftovers(tmp_path, "o.") == ["o.jpg", "o.png"]
    with pytest.raises(OutputExistsError):
        paint()


def test_moved_with_its_folder(paint, half_made, tmp_path, content, settings):
    name = half_made(1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in (f"{name}.png", f"{name}.png.job"):
        (tmp_path / file).rename(elsewhere / file)
    outs = [elsewhere / f"{name}.{suffix}" for suffix in ("png", "jpg")]
    make_sheet(content, [content], outs, settings)
    assert sorted(path.name for path in elsewhere.iterdir()) == [f"{name}.jpg", f"{name}.png"]


@pytest.mark.clips
def test_poster_and_figure_belong_to_it(tmp_path, content, settings):
    def paint(name):
        files = {"poster": str(tmp_path / f"{name}p.png"), "figure": str(tmp_path / f"{name}f.json")}
        own = settings_of(BalanceSettings, settings, size=32, seconds=0.5, fps=4, space="linear", iterations=1, **files)
        animate_balance(content, [content], tmp_path / f"{name}.png", own)
        return {path.name.removeprefix(name): path.read_bytes() for path in tmp_path.glob(f"{name}*")}

    points = killed_at(10**9, lambda: paint("counted"), tmp_path / "counted.png")
    whole = paint("whole")
    assert sorted(whole) == [".png", "f.json", "p.png"]
    for last in points[:: max(len(points) // 5, 1)]:
        name = f"kill{last}_"
        killed_at(last, lambda name=name: paint(name))
        try:
            again = paint(name)
        except OutputExistsError:
            assert not (tmp_path / f"{name}.png.job").exists()
        else:
            assert sorted(again) == sorted(whole)
            assert (again[".png"], again["p.png"]) == (whole[".png"], whole["p.png"])


class TestRefusedBeforeAFrame:
    def test_the_mended_command_goes_on(self, tmp_path, content, still, vidstyle):
        """Found while painting: the folder was made by then."""
        network = random_network()
        for convolution in network.convolutions.values():
            convolution.weight.fill_(6e4)
        wild = dataclasses.replace(still, network=str(network_file(tmp_path / "wild.safetensors", network)))
        with pytest.raises(DivergedError):
            stylize_image(content, [content], tmp_path / "o.png", wild)
        assert not (tmp_path / "o.png.job").exists()
        stylize_image(content, [content], tmp_path / "o.png", dataclasses.replace(still, alpha=0.9))

    def test_a_killed_one_is_no_obstacle_either(self, tmp_path, content, still):
        def stop(result, total):
            raise AssertionError

        for last in range(1, 12):
            killed_at(
                last,
                lambda: stylize_image(content, [content], tmp_path / "o.png", still, run=RunOptions(on_frame=stop)),
            )
            if (tmp_path / "o.png.job" / "manifest.json").exists():
                break
        assert not list((tmp_path / "o.png.job").glob("frames/*"))
        stylize_image(content, [content], tmp_path / "o.png", dataclasses.replace(still, alpha=0.9))
        assert leftovers(tmp_path, "o.png") == ["o.png"]


class TestInputs:
    def change(self, path: Path, how: str) -> None:
        if how == "replaced":
            Image.fromarray(pixels(texture(48, 64, seed=9))).save(path.with_name("new.png"))
            os.replace(path.with_name("new.png"), path)
        elif how == "edited":
            with open(path, "r+b") as file:
                file.seek(-20, os.SEEK_END)
                file.write(b"x")
        else:
            path.unlink()

    @pytest.mark.parametrize(
        ("role", "how"), [("content", "replaced"), ("content", "edited"), ("style", "edited"), ("init", "removed")]
    )
    def test_one_that_changes_meanwhile_is_refused_and_the_job_stays(self, tmp_path, content, settings, how, role):
        files = {name: tmp_path / f"{name}.png" for name in ("content", "style", "init")}
        for file in files.values():
            file.write_bytes(content.read_bytes())
        settings = dataclasses.replace(settings, init=str(files["init"]), alphas=(0.9, 0.7, 0.5, 0.3, 0.1, 0.0))
        good = files[role].read_bytes()

        def paint(out, on_frame=None):
            make_sheet(files["content"], [files["style"]], tmp_path / out, settings, run=RunOptions(on_frame=on_frame))
            return (tmp_path / out).read_bytes()

        def on_frame(result, total):
            if result.index == 0:
                self.change(files[role], how)

        whole = paint("whole.png")
        with pytest.raises(MediaError, match=f"{role}.png (was changed or replaced|is not there any more)"):
            paint("o.png", on_frame)
        assert (tmp_path / "o.png.job" / "journal.jsonl").read_bytes()
        files[role].write_bytes(good)
        assert paint("o.png") == whole

    def test_a_touched_one_is_the_same(self, tmp_path, content, settings):
        make_sheet(
            content,
            [content],
            tmp_path / "o.png",
            settings,
            run=RunOptions(on_frame=lambda *_: os.utime(content, (1, 1))),
        )
        make_sheet(content, [content], tmp_path / "whole.png", settings)
        assert (tmp_path / "o.png").read_bytes() == (tmp_path / "whole.png").read_bytes()

    def test_the_working_folder_may_change(self, tmp_path, content, settings, monkeypatch):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        away = lambda *_: os.chdir("/")  # noqa: E731
        make_sheet("content.png", ["content.png"], ["o.png", Path("o.jpg")], settings, run=RunOptions(on_frame=away))
        assert leftovers(tmp_path, "o.") == ["o.jpg", "o.png"]


@pytest.mark.parametrize("number", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_at_any_call(tmp_path, content, settings, number):
    """Of saving: a `DiskError`, and the same command goes on."""
    code = getattr(errno, number)
    make_sheet(content, [content], tmp_path / "whole.png", settings)
    failed = 0
    for last in (9, 15, 21, 27):
        with failing_at(last, code):
            try:
                make_sheet(content, [content], tmp_path / "o.png", settings)
                succeeded = True
            except DiskError:
                succeeded = False
        if not succeeded:  # even if the output is there, the same command goes on
            failed += 1
            make_sheet(content, [content], tmp_path / "o.png", settings)
        assert (tmp_path / "o.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
        assert leftovers(tmp_path, "o.png") == ["o.png"]
        (tmp_path / "o.png").unlink()
    assert failed > 1


@contextmanager
def failing_at(last: int, code: int):
    """The `last` call that puts a file in its place or flushes one fails, and only that."""
    calls = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "fsync"):
            real = getattr(os, name)

            def call(*args, real=real, **kwargs):
                if next(calls) == last:
                    raise OSError(code, os.strerror(code))
                return real(*args, **kwargs)

            patch.setattr(os, name, call)
        yield


WRONG = [
    (stylize_image, {"content": None}, "content is None; give a path"),
    (stylize_image, {"content": b"content.png"}, "content is b'content.png'; give a path"),
    (stylize_image, {"content": np.zeros((2000, 2))}, "content is a ndarray; give a path"),
    (stylize_image, {"styles": "style.png"}, "styles is 'style.png'; give a list of paths"),
    (stylize_image, {"styles": None}, "styles is None; give a list of paths"),
    (stylize_image, {"styles": [None]}, r"styles is \[None\]; give a list of paths"),
    (stylize_image, {"styles": 3}, "styles is 3; give a list of paths"),
    (stylize_image, {"output": None}, "output is None; give a path or a list of paths"),
    (stylize_image, {"output": ["a.png", 3]}, r"output is \['a.png', 3\]; give a path or a list"),
    (
        stylize_image,
        {"settings": {"alpha": 0.3}},
        r"settings is {'alpha': 0.3}; give vidstyle.ImageSettings\(...\), or None",
    ),
    (stylize_image, {"settings": VideoSettings()}, r"settings is a VideoSettings; give vidstyle.ImageSettings\(...\)"),
    (animate_balance, {"settings": ImageSettings()}, "settings is an ImageSettings; give vidstyle.BalanceSettings"),
    (make_sheet, {"settings": ImageSettings()}, "settings is an ImageSettings; give vidstyle.SheetSettings"),
    (make_sheet, {"run": True}, "run is True; give vidstyle.RunOptions"),
    (stylize_image, {"run": RunOptions(on_pilot=print)}, "on_pilot is given, and a job of the kind 'image' never"),
    (make_sheet, {"run": RunOptions(on_fitted=print)}, "on_fitted is given, and a job of the kind 'sheet' never"),
    (animate_balance, {"run": RunOptions(observe=print)}, "observe is given, and a job of the kind 'balance'"),
    (animate_balance, {"content": 3.5}, "content is 3.5; give a path"),
]


@pytest.mark.parametrize(("function", "wrong", "match"), WRONG)
def test_arguments_of_wrong_types(tmp_path, content, function, wrong, match):
    right = {"content": content, "styles": [content], "output": tmp_path / "o.png"}
    with pytest.raises(UsageError, match=match):
        function(**{**right, **wrong})
    assert [path.name for path in tmp_path.iterdir()] == ["content.png"]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"overwrite": "no"}, "overwrite is 'no'; give True or False"),
        ({"restart": 1}, "restart is 1; give True or False"),
        ({"keep_job": None}, "keep_job is None; give True or False"),
        ({"on_frame": "print"}, "on_frame is 'print'; give a function, or None"),
    ],
)
def test_run_options_of_wrong_types(wrong, match):
    with pytest.raises(UsageError, match=match):
        RunOptions(**wrong)
