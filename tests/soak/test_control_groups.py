"""Painting in a control group with too little memory, as a small container has: never killed, one sentence instead."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import make_clip, pan, texture
from PIL import Image

from vidstyle.system import limits

MB = 10**6
NO_MEMORY = 5
LIMITS = sorted({*range(200, 2100, 100), *range(420, 560, 20)})  # MB: from less than the libraries take
OFTEN = ("image", 1000)  # tried in the short version, too
VGG19 = os.environ.get("VIDSTYLE_VGG19")
JOBS = {
    "image": "image {photo} {style} -o out.png --first-iterations 2",
    "video": "video {clip} {style} -o out.mp4 --first-iterations 2 --iterations 1",
    "balance": "balance {photo} {style} -o out.gif --seconds 0.3 --first-iterations 2 --iterations 1",
    "sheet": "sheet {photo} {style} -o out.png --first-iterations 1 --alphas 0.2,0.8",
    "low memory": "image {photo} {style} -o out.png --first-iterations 2 --low-memory",
    "float32": "image {photo} {style} -o out.png --first-iterations 2 --precision float32",
    "VGG-19": f"image {{photo}} {{style}} -o out.png --first-iterations 2 --network vgg19 --weights {VGG19}",
}
cases = pytest.mark.parametrize(
    ("job", "limit"),
    [
        pytest.param(
            job,
            limit,
            marks=[
                pytest.mark.slow if (job, limit) == OFTEN else pytest.mark.soak,
                pytest.mark.skipif(job == "VGG-19" and not VGG19, reason="VIDSTYLE_VGG19 is not set"),
            ],
        )
        for job, limit in itertools.product(JOBS, LIMITS)
    ],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("large")
    Image.fromarray(texture(1500, 1000, seed=1)).save(folder / "photo.png")
    Image.fromarray(texture(400, 300, seed=2)).save(folder / "style.png")
    make_clip(folder / "clip.mp4", pan(6, 1280, 960), rate=10)
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def group(request) -> Iterator[Path]:
    """A control group, of version 1 or 2, below the one of this process."""
    own = next(limits._groups(limits.ROOT), None)
    if own is None:
        pytest.skip("this system has no control groups")
    folder = own[0] / f"vidstyle_{os.getpid()}"
    try:
        folder.mkdir()
        present = [folder / name for name in ("memory.limit_in_bytes", "memory.max") if (folder / name).exists()]
        if not present:
            folder.rmdir()
            pytest.skip("memory is not limited by the groups that can be made here")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    while (folder / "cgroup.procs").read_text():  # what was killed is gone in a moment
        time.sleep(0.1)
    folder.rmdir()


def run_within(group: Path, limit: int, words: list[str], where: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with at most so many MB."""
    name = "memory.max" if (group / "memory.max").exists() else "memory.limit_in_bytes"
    (group / name).write_text(str(limit * MB))

    def enter() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    command = [sys.executable, "-m", "vidstyle", *words, "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=where, preexec_fn=enter)


@cases
def test_it_paints_or_says_what_fits_and_that_fits(group, files, tmp_path, job, limit):
    words = JOBS[job].format(**files).split()
    size = "1200"
    while True:
        done = run_within(group, limit, [*words, "--size", size], tmp_path)
        assert done.returncode in (0, NO_MEMORY), done.stderr
        if done.returncode == 0:
            return
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not list(tmp_path.iterdir())
        named = re.search(r"the largest --size that fits is (\d+)", done.stderr)
        assert size == "1200", f"{size} was named, and then refused: {done.stderr}"
        if named is None:
            assert limit <= (700 if job == "VGG-19" else 600), done.stderr
            return
        size = named[1]
