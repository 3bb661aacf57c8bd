"""A batch: every job of a file is checked before the first is painted, and is painted once."""

import json
import os
import re
import signal
import tomllib
from pathlib import Path

import pytest
from clips import make_clip, pan
from conftest import network_file, pixels, random_network, texture
from PIL import Image

from vidstyle import ImageSettings, RunOptions, VideoSettings, stylize_image
from vidstyle.batch.runs import Batch
from vidstyle.batch.tables import header_lines, read_tables
from vidstyle.batch.workers import JobUnit
from vidstyle.cli.batches import worst
from vidstyle.errors import JobError, MediaError, UsageError

DEFAULTS = """
[defaults]
job = "image"
styles = "style.png"
network = "tiny.safetensors"
first-iterations = 1
size = 32
device = "cpu"
"""


class DyingAtB(JobUnit):
    """A job whose worker dies when it comes to paint b.png."""

    def __setstate__(self, values):
        vars(self).update(values)
        if self.job.content.endswith("b.png") and "again" not in self.job.outputs[0]:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def folder(tmp_path):
    network_file(tmp_path / "tiny.safetensors", random_network())
    for name, seed in (("a", 1), ("b", 3), ("c", 4), ("style", 2)):
        Image.fromarray(pixels(texture(48, 64, seed))).save(tmp_path / f"{name}.png")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def written(folder):
    """Writes the file of a batch."""

    def write(text, defaults=DEFAULTS):
        (folder / "jobs.toml").write_text(defaults + text)
        return folder / "jobs.toml"

    return write


def job(**given):
    return "\n[[job]]\n" + "\n".join(f"{name.replace('_', '-')} = {json.dumps(value)}" for name, value in given.items())


def outputs(folder):
    return {path.relative_to(folder / "out").as_posix(): path.read_bytes() for path in (folder / "out").iterdir()}


def rows(text):
    """How many jobs became what, by the table at the end."""
    found = re.findall(r" (painted in|would be painted|up to date|failed|cannot be painted) .*\d *$", text, re.M)
    return {what: found.count(what) for what in found}


@pytest.mark.clips
@pytest.mark.parametrize(
    "more",
    [(), pytest.param(("--workers", 2), marks=pytest.mark.slow)],
    ids=["in turn", "at once"],
)
def test_twelve_jobs_of_which_three_are_broken(vidstyle, folder, written, more):
    """Nine outputs, three lines, the exit code of the worst; repeated, nothing is painted."""
    make_clip(folder / "clip.mp4", pan(2, 64, 48), rate=24)
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:90])
    text = job(content="?.png", output="out/{name}.png")  # a, b, c
    text += job(job="video", content="clip.mp4", output="out/clip.gif", iterations=1)
    text += job(job="balance", content="a.png", output="out/balance.gif", seconds=1, fps=4, space="linear")
    text += job(job="sheet", content="a.png", output="out/sheet.png", alphas=[0.2, 0.8])
    text += job(content="b.png", output="out/light.png", alpha=0.9)
    text += job(content="b.png", output=["out/two.png", "out/two.jpg"], recolor=0)
    text += job(content="out/a.png", output="out/again.png")
    text += job(content="broken.png", output="out/broken.png")
    text += job(content="a.png", output="out/typo.png", contnt_focus=1)
    text += job(content="a.png", output="nowhere/o.png")
    file = written(text)
    done = vidstyle("batch", file, "-q", *more)
    assert done.exit_code == 7, (done.output, done.exception)
    lines = done.output.strip().splitlines()
    starts = [number for number, line in enumerate(file.read_text().splitlines(), 1) if line == "[[job]]"]
    told = sorted(int(re.match(rf"vidstyle: {re.escape(str(file))}:(\d+): ", line)[1]) for line in lines)
    assert told == [starts[-3], starts[-2] + 3, starts[-1]]  # the second is that of the option
    assert "did you mean 'content-focus'?" in done.output
    made = outputs(folder)
    assert set(made) == {*(f"{one}.png" for one in ("a", "b", "c", "sheet", "light", "two", "again"))} | {
        "two.jpg", "clip.gif", "balance.gif"
    }  # fmt: skip
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    again = vidstyle("batch", file, *more)
    assert again.exit_code == 7
    assert rows(again.output) == {"up to date": 9, "cannot be painted": 3}
    assert stamps == {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}


def test_a_job_is_painted_as_the_function_would(vidstyle, folder, written):
    file = written(job(content="a.png", output="out/a.png", alpha="0.7", init="b.png", style_layers="relu1_1,relu2_1"))
    assert vidstyle("batch", file, "-q").exit_code == 0
    settings = ImageSettings(
        alpha=0.7,
        init=str(folder / "b.png"),
        style_layers=("relu1_1", "relu2_1"),
        network=str(folder / "tiny.safetensors"),
        first_iterations=1,
        size=32,
        device="cpu",
    )
    stylize_image(folder / "a.png", [folder / "style.png"], folder / "same.png", settings, RunOptions())
    assert (folder / "same.png").read_bytes() == (folder / "out/a.png").read_bytes()


def test_what_has_changed_is_painted_anew_and_nothing_else(vidstyle, folder, written):
    def due(text, *options):
        done = vidstyle("batch", written(text), "--dry-run", *options)
        assert done.exit_code == 0, done.output
        return rows(done.output).get("would be painted", 0)

    first = job(content="a.png", output="out/a.png") + job(content="out/a.png", output="out/again.png")
    rest = job(content="b.png", output="out/b.png")
    assert due(first + rest) == 3
    assert not outputs(folder)  # a dry run paints nothing
    assert vidstyle("batch", folder / "jobs.toml", "-q").exit_code == 0
    assert due(first + rest) == 0
    assert due(first + rest + "\nalpha = 0.9") == 1
    assert due(first + rest + "\nfirst-iterations = 1") == 0  # what it is anyway
    (folder / "out/b.png").unlink()
    assert due(first + rest) == 1
    before = (folder / "a.png").read_bytes()
    Image.fromarray(pixels(texture(48, 64, 9))).save(folder / "a.png")
    assert due(first + rest) == 3  # what is painted of the painting, too
    (folder / "a.png").write_bytes(before)
    assert due(first + rest) == 1
    Image.fromarray(pixels(texture(48, 64, 9))).save(folder / "style.png")
    assert due(first + rest) == 3
    old = outputs(folder)
    assert vidstyle("batch", folder / "jobs.toml", "-q").exit_code == 0
    assert all(outputs(folder)[name] != data for name, data in old.items())
    assert due(first + rest) == 0


def test_what_somebody_else_made_is_not_replaced(vidstyle, folder, written):
    file = written(job(content="a.png", output="out/a.png") + job(content="b.png", output="out/b.png"))
    (folder / "out/a.png").write_bytes(b"precious")
    done = vidstyle("batch", file, "-q")
    assert (done.exit_code, (folder / "out/a.png").read_bytes()) == (4, b"precious")
    assert set(outputs(folder)) == {"a.png", "b.png"}
    assert vidstyle("batch", file, "-q", "-y").exit_code == 0
    assert (folder / "out/a.png").read_bytes() != b"precious"
    (folder / "out/a.png").write_bytes(b"edited")  # nor is a painting that somebody has worked on
    assert vidstyle("batch", file, "-q").exit_code == 4


def test_an_interrupted_job_goes_on_or_is_painted_anew(folder, written, monkeypatch):
    made = job(job="balance", content="a.png", output="out/o.png", seconds=1, fps=4, space="linear")
    batch = Batch(written(made))

    def stop(result, total):
        if result.index == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.paint(batch.jobs[0], on_frame=stop)
    seen = []
    batch = Batch(written(made))
    assert batch.is_due(batch.jobs[0])
    batch.paint(batch.jobs[0], on_frame=lambda result, total: seen.append(result.index))
    assert seen == [2]  # of three frames two were painted
    batch = Batch(written(made + "\nalpha = '0s:.5, end:.1'"))
    with pytest.raises(KeyboardInterrupt):
        batch.paint(batch.jobs[0], on_frame=stop)
    batch = Batch(written(made))
    batch.paint(batch.jobs[0], on_frame=lambda result, total: seen.append(result.index))
    assert seen == [2, 0, 1, 2]


def test_only_some_are_painted_and_what_they_read(vidstyle, folder, written):
    text = job(name="first", content="a.png", output="out/a.png") + job(content="out/a.png", output="out/again.png")
    text += job(name="all", content="[bc].png", output="out/{name}.png") + job(content="a.png", output="out/x.png", f=1)
    text += job(name="second", content="out/a.png", output="out/second.jpg")
    file = written(text)
    assert vidstyle("batch", file, "-q", "--only", "second").exit_code == 0  # whatever is wrong with others
    assert set(outputs(folder)) == {"a.png", "second.jpg"}
    assert vidstyle("batch", file, "-q", "--only", "all").exit_code == 0
    assert set(outputs(folder)) == {"a.png", "second.jpg", "b.png", "c.png"}
    done = vidstyle("batch", file, "--only", "secnd")
    assert done.exit_code == 2
    assert "no job is called 'secnd'; did you mean 'second'?" in done.output


def test_what_reads_a_failure_is_not_painted(vidstyle, folder, written, monkeypatch):
    text = job(content="out/a.png", output="out/again.png") + job(content="a.png", output="out/a.png")
    file = written(text + job(content="b.png", output="out/b.png"))

    def fail(*_):
        raise MediaError("it fails")

    from vidstyle.batch import runs

    monkeypatch.setitem(runs.FUNCTIONS, "image", lambda content, *rest: fail() if "a.png" in content else None)
    monkeypatch.setattr(runs.Records, "finish", lambda *_: None)
    done = vidstyle("batch", file)
    assert done.exit_code == 3
    assert done.output.count("it fails") == 1
    assert "whose output it reads, has failed" in done.output
    assert rows(done.output) == {"failed": 2, "painted in": 1}


def test_jobs_at_once_are_those_in_turn(vidstyle, folder, written):
    file = written(job(content="?.png", output="out/{name}.png") + job(content="out/b.png", output="out/again.png"))
    assert vidstyle("batch", file, "-q", "--threads", 1).exit_code == 0
    wanted = outputs(folder)
    for path in (folder / "out").iterdir():
        path.unlink()
    done = vidstyle("batch", file, "--threads", 1, "--workers", 2)
    assert done.exit_code == 0, done.output
    assert outputs(folder) == wanted and len(wanted) == 4
    assert done.output.index("out/b.png (") < done.output.index("out/again.png (")


@pytest.mark.slow
def test_a_worker_that_dies_twice_is_one_failure(vidstyle, folder, written, monkeypatch):
    from vidstyle.batch import workers

    file = written(job(content="?.png", output="out/{name}.png") + job(content="out/b.png", output="out/again.png"))
    monkeypatch.setattr(workers, "JobUnit", DyingAtB)
    done = vidstyle("batch", file, "--workers", 2)
    assert done.exit_code == 1, done.output
    assert "2 workers have died while they painted it" in done.output
    assert "whose output it reads, has failed" in done.output
    assert set(outputs(folder)) == {"a.png", "c.png"}


def test_a_pattern_leaves_out_what_was_made(folder, written):
    file = written(job(content="[ab]*.png", output="{name}-painted.png"))
    batch = Batch(file)
    for one in batch.jobs:
        batch.paint(one)
    again = Batch(file)
    assert [one.name for one in again.jobs] == ["a", "b"]
    assert not any(map(again.is_due, again.jobs))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[job]", "is no TOML: "),
        ("", "has no job; begin one with a line [[job]]"),
        ("[[jobs]]\n", "has 'jobs', and a batch has [defaults] and [[job]]"),
        (
            "[defaults]\nsiez = 3\n[[job]]\n",
            "[defaults] has 'siez', which is an option of no job; did you mean 'size'?",
        ),
    ],
)
def test_a_file_that_is_no_batch(vidstyle, written, folder, text, words):
    done = vidstyle("batch", written(text, ""))
    assert (done.exit_code, words in done.output) == (2, True), done.output
    assert not (folder / "jobs.toml.done.json").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"job": "vidoe"}, "it must be one of video, balance, image, sheet; did you mean 'video'?"),
        ({"aplha": 0.3}, "'aplha' is no option of image; did you mean 'alpha'?"),
        ({"pingpong": True}, "'pingpong' is no option of image, but of video"),
        ({"no_coarse_to_fine": True}, "did you mean 'coarse-to-fine'?"),
        ({"alpha": 2}, "--alpha is 2; it must be at least 0 and at most 1"),
        ({"alpha": "half"}, "did you mean 0.5?"),
        ({"coarse_to_fine": "yes"}, "--coarse-to-fine is 'yes'; it must be True or False"),
        ({"content": "*.tif"}, "no file matches"),
        ({"content": "[ab].png"}, "2 contents would be painted to one output out/o.png; write {name}"),
        ({"content": ["a.png", 3]}, "it must be a file, a pattern or a list of them"),
        ({"content": "none.png"}, "there is no file"),
        ({"styles": "none.png"}, "there is no file"),
        ({"output": "out/o.gif"}, "ends in '.gif'"),
        ({"output": "a.png"}, "give the output another name"),
        ({"network": "a.png"}, "a.png"),
        ({"preset": "none"}, "there is no preset 'none'"),
        ({"keep_job": "yes"}, "it must be true or false"),
    ],
)
def test_a_job_that_cannot_be_painted(folder, written, given, words):
    batch = Batch(written(job(**{"content": "a.png", "output": "out/o.png"} | given)))
    (trouble,) = batch.troubles
    assert words in str(trouble.error)
    assert not batch.jobs
    assert not outputs(folder)


def test_all_that_is_wrong_with_a_job_is_said(written):
    file = written(job(content="a.png", aplha=1, size="large", recolor="x"))
    _, troubles = read_tables(file)
    begin = file.read_text().splitlines().index("[[job]]") + 1
    assert sorted(trouble.line for trouble in troubles) == [begin, begin + 2, begin + 3, begin + 4]


def test_jobs_that_get_in_each_others_way(folder, written):
    text = job(content="a.png", output="out/a.png") + job(content="b.png", output=["out/b.png", "out/../out/a.png"])
    text += job(content="out/y.png", output="out/x.png") + job(content="out/x.png", output="out/y.png")
    batch = Batch(written(text))
    assert [one.content for one in batch.jobs] == [str(folder / "a.png")]
    twice, *circle = batch.troubles
    assert "is that of the job at line 10, too" in str(twice.error)
    assert ["waits for its own" in str(one.error) for one in circle] == [True, True]
    assert all(isinstance(one.error, UsageError) for one in batch.troubles)


def test_a_default_is_for_the_jobs_that_have_it(written):
    tables, troubles = read_tables(written(job(content="a.png", output="o.png"), DEFAULTS + "iterations = 3\n"))
    assert (len(tables), troubles) == (1, [])
    text = job(job="video", content="a.mp4", output="o.mp4")
    ((table,), _) = read_tables(written(text, DEFAULTS + "iterations = 3\n"))
    assert isinstance(table.settings, VideoSettings)
    assert table.settings.iterations == 3


def test_lines_of_tables_are_found_in_texts_too():
    text = 'x = """\n[[job]]\n"""\n[[job]] # one\na = 1\n  [[ job ]]\n'
    tomllib.loads(text)
    assert header_lines(text.splitlines(), 2) == [4, 6]
    assert header_lines(["job = [{}, {}]"], 2) == [1, 1]


def test_damaged_records_are_refused(folder, written):
    (folder / "jobs.toml.done.json").write_text("{}")
    with pytest.raises(JobError, match=r"is damaged .*remove it"):
        Batch(written(job(content="a.png", output="out/a.png")))


def test_the_records_name_no_folder_of_this_machine(vidstyle, folder, written):
    assert vidstyle("batch", written(job(content="a.png", output="out/a.png")), "-q").exit_code == 0
    assert str(folder) not in (folder / "jobs.toml.done.json").read_text()


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([0, 3, 2], 3), ([7, 1, 3], 1), ([0, 0], 0)])
def test_the_worst_code(codes, code):
    assert worst(codes) == code


def test_the_figures_of_the_readme_are_a_batch(samples):
    tables, troubles = read_tables(samples / "figures.toml")
    assert not troubles
    assert {Path(file).name for table in tables for file in table.outputs} >= {"balance.gif", "ride.gif"}
