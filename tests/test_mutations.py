"""A job folder with random damage: painting ends with the same pictures, or it is refused with exit 9."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import pixels, texture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_checkpoint import MANIFEST, paint_until, pictures

from vidstyle import BalanceSettings, RunOptions, animate_balance
from vidstyle.errors import JobError
from vidstyle.jobs.folder.opening import open_job

PLACES = st.floats(0, 1, exclude_max=True)
JUNK = st.sampled_from(
    [b"", b"{}", b"[]", b"null", b"\xff\xfe\x00", b"[" * 5000, b'{"index": 1e999}\n', b"\n\n", b"0" * 9999]
)
WORDS = st.sampled_from(
    [(b"0", b"1"), (b"1", b"-1"), (b'"', b""), (b":", b": null"), (b"[", b"[["), (b"}", b""), (b"a", b"b")]
)
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
    st.tuples(st.just("cut"), PLACES, st.none()),
    st.tuples(st.just("put"), PLACES, JUNK),
    st.tuples(st.just("be"), PLACES, JUNK),
    st.tuples(st.just("word"), PLACES, WORDS),
    st.tuples(st.just("copy"), PLACES, PLACES),
    st.tuples(st.just("gone"), PLACES, st.none()),
    st.tuples(st.just("folder"), PLACES, st.none()),
)
WOUNDS = st.lists(st.tuples(PLACES, DAMAGE), min_size=1, max_size=3)


def damage(folder: Path, wounds) -> None:
    for which, (kind, where, what) in wounds:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if not files:
            return
        file = files[int(which * len(files))]
        data = file.read_bytes()
        place = int(where * len(data))
        if kind == "flip" and data:
            file.write_bytes(data[:place] + bytes([data[place] ^ what]) + data[place + 1 :])
        elif kind == "cut":
            file.write_bytes(data[:place])
        elif kind == "put":
            file.write_bytes(data[:place] + what + data[place:])
        elif kind == "be":
            file.write_bytes(what)
        elif kind == "word":
            at = data.find(what[0], place)
            file.write_bytes(data if at < 0 else data[:at] + what[1] + data[at + len(what[0]) :])
        elif kind == "copy":
            file.write_bytes(files[int(what * len(files))].read_bytes())
        elif kind == "gone":
            file.unlink()
        elif kind == "folder":
            shutil.rmtree(file.parent) if file.parent != folder else file.unlink()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A job of the painter of `test_checkpoint`: undisturbed, and begun."""
    folder = tmp_path_factory.mktemp("begun")
    paint_until(folder / "whole", 9, 9)
    paint_until(folder / "begun", 6, 9)
    return folder


@settings(max_examples=60, deadline=None)
@given(wounds=WOUNDS)
def test_the_pictures_are_the_same_or_it_is_refused(begun, wounds):
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "begun"
        shutil.copytree(begun / "begun.job", output.with_name("begun.job"))
        damage(output.with_name("begun.job"), wounds)
        try:
            paint_until(output, 9, 9)
        except JobError:
            return
        assert pictures(output) == pictures(begun / "whole")


@pytest.fixture
def stopped(tmp_path, network):
    """An animation that was stopped after four of seven frames, and the frames of an undisturbed one."""
    Image.fromarray(pixels(texture(32, 32, seed=1))).save(tmp_path / "content.png")
    words = ["balance", tmp_path / "content.png", tmp_path / "content.png", "--network", network, "--device", "cpu"]
    words += [
        "--size",
        32,
        "--iterations",
        1,
        "--first-iterations",
        1,
        "--seconds",
        1,
        "--fps",
        12,
        "--space",
        "linear",
    ]
    own = BalanceSettings(network=str(network), device="cpu", size=32, iterations=1, first_iterations=1, seconds=1)

    class Stop(Exception):
        pass

    def stop(result, total):
        if result.index == 3:
            raise Stop

    inputs = tmp_path / "content.png", [tmp_path / "content.png"]
    linear = BalanceSettings(**{**vars(own), "space": "linear"})
    animate_balance(*inputs, f"{tmp_path}/whole/", linear)
    with pytest.raises(Stop):
        animate_balance(*inputs, f"{tmp_path}/begun/", linear, run=RunOptions(on_frame=stop))
    return tmp_path, words


def check_command(vidstyle, stopped, wounds) -> None:
    folder, words = stopped
    with tempfile.TemporaryDirectory() as name:
        job = Path(name) / "begun.job"
        shutil.copytree(folder / "begun.job", job)
        damage(job, wounds)
        done = vidstyle(*words, "-o", f"{name}/begun/", "-q")
        if done.exit_code == 9:
            assert len(done.output.strip().splitlines()) == 1 and "Traceback" not in done.output
            return
        assert done.exit_code == 0, done.output
        assert [path.name for path in Path(name).iterdir()] == ["begun"]
        for file in (folder / "whole").glob("*.png"):
            assert np.array_equal(Image.open(file), Image.open(Path(name) / "begun" / file.name))


QUIETLY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.clips
@settings(max_examples=6, deadline=None, suppress_health_check=QUIETLY)
@given(wounds=WOUNDS)
def test_the_same_command_paints_the_same_or_exits_with_9(vidstyle, stopped, wounds):
    check_command(vidstyle, stopped, wounds)


@pytest.mark.soak
@settings(max_examples=400, deadline=None, suppress_health_check=QUIETLY)
@given(wounds=WOUNDS)
def test_the_same_command_paints_the_same_or_exits_with_9_often(vidstyle, stopped, wounds):
    check_command(vidstyle, stopped, wounds)


def test_every_file_of_a_folder_once(begun, tmp_path):
    """Each of them empty, and each of them gone."""
    files = sorted(path.relative_to(begun / "begun.job") for path in (begun / "begun.job").rglob("*") if path.is_file())
    assert len(files) > 9
    for number, (file, gone) in enumerate((file, gone) for file in files for gone in (True, False)):
        output = tmp_path / f"{number}"
        shutil.copytree(begun / "begun.job", tmp_path / f"{number}.job")
        hit = tmp_path / f"{number}.job" / file
        hit.unlink() if gone else hit.write_bytes(b"")
        if file.name == "manifest.json":
            with pytest.raises(JobError), open_job(output, MANIFEST):
                pass
        else:
            paint_until(output, 9, 9)
            assert pictures(output) == pictures(begun / "whole"), file
