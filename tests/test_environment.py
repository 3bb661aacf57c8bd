"""No process that vidstyle or one of its libraries starts loads a library from the current folder."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import vidstyle
from vidstyle.system import environment

pytestmark = pytest.mark.clips
ROOT = Path(vidstyle.__file__).parents[1]
MARKER = '#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen("{}", "w")); }}\n'
EMPTIED = ("librt.so.1", "libdl.so.2", "libpthread.so.0")  # their functions have moved to libc: a fake one does no harm
DIRTY = "import os; os.environ['LD_LIBRARY_PATH'] = '/nowhere:'"  # as of the shell; Python itself would load it, too
ENCODE = """
    from fractions import Fraction
    import numpy as np
    from vidstyle.system import ffmpeg
    from vidstyle.media.writers.sinks import open_sink
    from vidstyle.types import ClipInfo

    ffmpeg.version()
    with open_sink("out.mp4", ClipInfo(32, 32, Fraction(25), 1)) as sink:
        sink.write(np.zeros((32, 32, 3), np.uint8))
"""


def python(program, cwd, **variables):
    """What a program prints in a Python of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in environment.LOADER_PATHS}
    own = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **variables}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=cwd, env=clean | own, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.fixture
def trap(tmp_path):
    """A folder with a library that leaves a file behind when it is loaded, under a name that ffmpeg asks for."""
    from vidstyle.system import ffmpeg

    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or shutil.which("ldd") is None:
        pytest.skip("there is no C compiler, or no ldd")
    asked = subprocess.run(["ldd", ffmpeg.executable()], capture_output=True, text=True).stdout
    names = [name for name in EMPTIED if name in asked]
    if not names:
        pytest.skip("this ffmpeg loads no library that can be replaced")
    (tmp_path / "trap.c").write_text(MARKER.format(tmp_path / "loaded"))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / names[0], tmp_path / "trap.c"], check=True)
    subprocess.run([ffmpeg.executable(), "-version"], cwd=tmp_path, env={"LD_LIBRARY_PATH": "/nowhere:"}, check=False)
    assert (tmp_path / "loaded").exists()  # the trap works
    (tmp_path / "loaded").unlink()
    return tmp_path


@pytest.mark.parametrize("before", ["", DIRTY, "import cv2, vidstyle.motion.shots"])
def test_no_library_of_the_current_folder_is_loaded(trap, before):
    python(f"{before}\n{textwrap.dedent(ENCODE)}", trap)
    assert (trap / "out.mp4").stat().st_size > 0
    assert not (trap / "loaded").exists()


@pytest.mark.parametrize("imports", ["vidstyle.system.opencv", "vidstyle.motion.shots", "cv2, vidstyle.motion.shots"])
@pytest.mark.parametrize("given", [None, "/nowhere:/else"])
def test_search_paths_of_children(tmp_path, imports, given):
    """What a child gets is what we got, and never an element that is empty or relative."""
    given = {} if given is None else {"LD_LIBRARY_PATH": given}
    found = python(f"import {imports}, os\nprint(os.environ.get('LD_LIBRARY_PATH', ''))", tmp_path, **given).strip()
    assert all(map(os.path.isabs, found.split(":"))) if found else not given
    assert found.endswith(given.get("LD_LIBRARY_PATH", ""))
    if not imports.startswith("cv2"):
        assert found == given.get("LD_LIBRARY_PATH", "")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(":", None), ("", ""), ("/a:", "/a"), ("lib:/a::./b:/c", "/a:/c"), (".", None), (None, None)],
)
def test_tidy(monkeypatch, value, wanted):
    for name in environment.LOADER_PATHS:
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    environment.tidy()
    assert {os.environ.get(name) for name in environment.LOADER_PATHS} == {wanted}


def test_modules_of_the_current_folder_are_not_run(tmp_path):
    """`python -m vidstyle` has Python look into the current folder first."""
    for name in ("typer", "torch", "numpy", "cv2"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run')\n")
    command = [sys.executable, "-m", "vidstyle", "--version"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "vidstyle"), done.stderr
