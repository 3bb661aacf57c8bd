"""The public functions from two threads, and in processes that were spawned or forked: the same bytes as alone."""

import json
import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from clips import make_clip, pan
from conftest import in_fresh_process, pixels, texture
from PIL import Image

from vidstyle import ImageSettings, RunOptions, VideoSettings, stylize_image, stylize_video
from vidstyle.errors import UsageError

GUARD = 600  # seconds after which a deadlock is one


@pytest.fixture
def files(tmp_path, network):
    """Two clips, a style, and the settings of a small painting."""
    for number in (1, 2):
        make_clip(tmp_path / f"{number}.mp4", pan(6, height=48, width=64, seed=number))
    Image.fromarray(pixels(texture(40, 40, seed=2))).save(tmp_path / "style.png")
    return tmp_path, {"network": str(network), "size": 64, "iterations": 3, "first_iterations": 4, "device": "cpu"}


def paint(folder, values, number, name):
    out = Path(folder) / f"{name}{number}.mp4"
    stylize_video(f"{folder}/{number}.mp4", [f"{folder}/style.png"], out, VideoSettings(**values))
    return out.read_bytes()


def handles(process):
    return process.num_handles() if sys.platform == "win32" else process.num_fds()


def left():
    """What a call must not leave behind."""
    us = psutil.Process()
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("vidstyle")]
    return handles(us), ours, {child.pid for child in us.children(recursive=True)}


def test_two_threads_at_once_paint_what_each_paints_alone(files):
    folder, values = files
    alone = [paint(folder, values, number, "alone") for number in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(paint, folder, values, number, "at-once") for number in (1, 2)]
        together = [call.result(timeout=GUARD) for call in calls]
    assert together == alone


@pytest.mark.parametrize("method", [pytest.param("spawn", marks=pytest.mark.slow), "fork"])
def test_other_processes_paint_the_same(files, method):
    """A forked one is a child of a process that has painted, with threads of its libraries."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {method}")
    folder, values = files
    in_fresh_process(paint_in_others, folder, json.dumps(values), method)


def paint_in_others(folder: str, encoded: str, method: str) -> None:
    values = json.loads(encoded)
    alone = [paint(folder, values, number, "alone") for number in (1, 2)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        calls = [pool.apply_async(paint, (folder, values, number, method)) for number in (1, 2)]
        assert [call.get(timeout=GUARD) for call in calls] == alone


@pytest.mark.parametrize("kind", [KeyboardInterrupt, UsageError, SystemExit])
def test_a_call_that_is_interrupted_leaves_nothing_running(files, kind):
    folder, values = files
    paint(folder, values, 1, "first")  # libraries keep threads and handles of their own from then on
    before = left()

    def stop(result, total):
        if result.index == 2:
            raise kind

    out = folder / "out.mp4"
    with pytest.raises(kind):
        stylize_video(
            f"{folder}/1.mp4", [f"{folder}/style.png"], out, VideoSettings(**values), run=RunOptions(on_frame=stop)
        )
    assert left() == before
    assert not out.exists()
    stylize_video(f"{folder}/1.mp4", [f"{folder}/style.png"], out, VideoSettings(**values))  # no lock is held
    assert out.read_bytes() == (folder / "first1.mp4").read_bytes()


def drift(count, folder, network):
    """Paint so many frames; of each tenth of them: bytes held, handles, threads, seconds of the processor so far."""
    clip = make_clip(folder / "long.mp4", pan(count, height=48, width=64, speed=1))
    Image.fromarray(pixels(texture(40, 40, seed=2))).save(folder / "style.png")
    us, found = psutil.Process(), []

    def look(result, total):
        if result.index % (count // 10) == count // 20:
            found.append((us.memory_info().rss, handles(us), us.num_threads(), sum(us.cpu_times()[:2])))

    settings = VideoSettings(network=str(network), iterations=1, first_iterations=1, device="cpu")
    stylize_video(clip, [folder / "style.png"], folder / "out.mp4", settings, run=RunOptions(on_frame=look))
    assert len(found) == 10
    return found


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.soak)])
def test_memory_handles_and_threads_are_flat(tmp_path, network, count):
    found = drift(count, tmp_path, network)
    _, handles, threads, _ = found[1]
    for _, handles_then, threads_then, _ in found[2:]:
        assert handles_then <= handles + 3  # a frame is saved, and one decoded, meanwhile
        assert threads_then <= threads + 1  # fewer, once all is decoded
    assert found[-1][0] - found[1][0] < 40 * 2**20
    took = np.diff([seconds for *_, seconds in found])
    if count >= 3000:  # of the processor, which other programs hardly lengthen
        assert np.median(took[-3:]) < 1.5 * np.median(took[:3])


def test_one_picture_in_many_threads(tmp_path, network):
    Image.fromarray(pixels(texture(40, 48, seed=1))).save(tmp_path / "picture.png")
    settings = ImageSettings(network=str(network), size=32, first_iterations=2, device="cpu")
    barrier = threading.Barrier(4)

    def one(number):
        barrier.wait(GUARD)
        out = tmp_path / f"{number}.png"
        stylize_image(tmp_path / "picture.png", [tmp_path / "picture.png"], out, settings)
        return out.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len({call.result(timeout=GUARD) for call in [pool.submit(one, number) for number in range(4)]}) == 1
