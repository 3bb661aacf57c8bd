"""torch's number of threads belongs to a job, and to no other thread of the process."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import numpy as np
import pytest
import torch
from conftest import pixels, texture
from PIL import Image

from vidstyle import SheetSettings, make_sheet
from vidstyle.jobs.threads import computing_as_the_painting, computing_with, pool

PAINT = """
import sys
from vidstyle import RunOptions, SheetSettings, make_sheet
content, style, network, out, stop = sys.argv[1:]
settings = SheetSettings(network=network, size=160, alphas=(.8, .5, .3, .1), first_iterations=8, device="cpu")
def on_frame(result, total):
    if result.index + 1 == int(stop):
        import os
        os._exit(9)
make_sheet(content, [style], out, settings, RunOptions(keep_job=True, on_frame=on_frame))
"""


def all_of_them():
    """Also in a pool of a pool."""
    with pool(1, "inner") as inner, computing_as_the_painting():
        return inner.submit(within).result(), inner.submit(torch.get_num_threads).result()


def within():
    with computing_as_the_painting():
        return torch.get_num_threads()


def test_other_threads_keep_their_number():
    usual = torch.get_num_threads()
    together = Barrier(4)

    def job(count):
        with computing_with(count):
            together.wait()
            mine = torch.get_num_threads()
            with pool(1, "helper") as helpers:
                helped = helpers.submit(torch.get_num_threads).result()
                assert helpers.submit(all_of_them).result() == (count, 1)
            together.wait()
        return mine, helped, torch.get_num_threads()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(job, (1, 2, 3, 4))) == [
            (count, 1, usual) for count in (1, 2, 3, 4)
        ]  # one beside the painting
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(torch.get_num_threads).result() == torch.get_num_threads() == usual


def test_none_changes_nothing_and_an_error_puts_it_back():
    usual = torch.get_num_threads()
    with computing_with(None):
        assert torch.get_num_threads() == usual
    with suppress(KeyError), computing_with(usual + 1):
        assert torch.get_num_threads() == usual + 1
        raise KeyError
    assert torch.get_num_threads() == usual


@pytest.fixture
def job(tmp_path, network):
    """Paints four pictures in a process of its own: with so many threads, killed after so many pictures."""
    Image.fromarray(pixels(texture(160, 160, seed=1))).save(tmp_path / "content.png")
    Image.fromarray(pixels(texture(80, 80, seed=2))).save(tmp_path / "style.png")

    def paint(out, threads, stop):
        inputs = [str(tmp_path / name) for name in ("content.png", "style.png")]
        run = subprocess.run(
            [sys.executable, "-c", PAINT, *inputs, str(network), str(tmp_path / out), str(stop)],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        assert run.returncode == (9 if stop else 0)
        folder = tmp_path / f"{out}.job"
        assert json.loads((folder / "manifest.json").read_text())["threads"] == job_threads.setdefault(out, threads)
        return [path.read_bytes() for path in sorted((folder / "frames").iterdir())]

    job_threads: dict[str, int] = {}
    return paint


@pytest.mark.slow
def test_killed_with_one_thread_and_resumed_with_two(job):
    one, two = job("one.png", 1, 0), job("two.png", 2, 0)
    if one == two:
        pytest.skip("on this machine the number of threads changes nothing")
    assert len(job("mixed.png", 1, 2)) < 4
    assert job("mixed.png", 2, 0) == one


def test_jobs_of_two_threads_of_a_process(tmp_path, network):
    """At the same time, each as if it were alone, and the sheet the same."""
    Image.fromarray(pixels(texture(64, 64, seed=1))).save(tmp_path / "content.png")
    settings = SheetSettings(network=str(network), size=64, alphas=(0.8, 0.3), first_iterations=4, device="cpu")
    outs = [tmp_path / f"{number}.png" for number in range(3)]

    def paint(out):
        return make_sheet(tmp_path / "content.png", [tmp_path / "content.png"], out, settings)

    paint(outs[0])
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(paint, outs[1:])) == outs[1:]
    alone, *together = (np.asarray(Image.open(out)) for out in outs)
    assert all(np.array_equal(alone, one) for one in together)
