"""Every command and every program that the README and the guide show is run, at less cost, on copies of samples."""

import functools
import re
import shlex
import shutil
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from clips import clicks, make_clip
from conftest import SLIM_CFG, network_file, random_network
from test_every_option import COMMANDS, hurried  # noqa: F401 (a fixture)
from torchvision.models.vgg import make_layers

import vidstyle as vidstyle_package
from vidstyle.cli import HELP
from vidstyle.lab.distill import __main__ as distill
from vidstyle.settings import JOBS, options

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "vidstyle/guide").glob("*.md"))]
FEW = "--first-iterations 1 --network {tiny} -y"
CHEAP = {  # what is added to a command; of an option that is given twice the later one counts
    "video": f"--iterations 1 --end .2 --size 96 {FEW}",
    "balance": f"--iterations 1 --seconds 1 --fps 4 {FEW}",
    "image": f"--size 96 {FEW}",
    "sheet": f"--size 64 --end .2 {FEW}",
    "encode": "-y",
    "measure": f"--end .2 {FEW}",
    "compare": f"--size 64 --tries 0 {FEW}",
    "consistency": f"--size 64 --frames 3 --clips pan --iterations 1 {FEW}",
    "uniformity": f"--size 64 --seconds 1 --fps 4 --iterations 1 {FEW}",
    "bench": "--size 64 --frames 3 --iterations 1 --first-iterations 1 --network {tiny}",
    "mask": "--size 256 -y",
    "plan": "--iterations 1 --first-iterations 1 --end .2 --size 96 --network {tiny}",
    "batch": "",
    "show": "",
    "watch": "--once",
    "doctor": "",
    "guide": "",
}
DISTILLING = (
    "--blocks 4,4/4,4/6,6,6,6/6,6,6,6/6 --steps 2 --crop 32 --batch 2 --pool 2 --pastiches 1 --repeats 1 --memory 2 "
    "--paint 1 --calibration 0 --device cpu"
)
OUTPUTS = ("-o", "--out", "--poster", "--figure")
CHEAPER = {
    "iterations": 1,
    "first_iterations": 1,
    "fps": 4.0,
    "end": 0.2,
    "size": 96,
}  # in Python
DISTILL_OPTIONS = {option for action in distill.command_line()._actions for option in action.option_strings}
COMMAND = r"^(?:.*&& )?((?:vidstyle|python -m vidstyle[.]lab[.]distill) .*)$"


def fenced(page, language):
    """The texts of the fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def blocks():
    """The commands of each fenced block that has any."""
    for page in PAGES:
        for number, block in enumerate(fenced(page, r"\w*")):
            if found := re.findall(COMMAND, block.replace("\\\n", " "), re.M):
                yield pytest.param(found, id=f"{page.stem}-{number}")


def programs():
    """The blocks of Python."""
    for page in PAGES:
        for number, block in enumerate(fenced(page, "python")):
            yield pytest.param(block, id=f"{page.stem}-{number}")


@pytest.fixture(scope="module")
def short_samples(samples, tmp_path_factory):
    """A folder with the samples, of the clip its first frames."""
    av = pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("short") / "samples"
    shutil.copytree(samples, folder, ignore=shutil.ignore_patterns("*.py", "ride.mp4"))
    with av.open(str(samples / "ride.mp4")) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(clip.decode(video=0), 8)]
        make_clip(folder / "ride.mp4", frames, rate=clip.streams.video[0].average_rate, sound=clicks(8 / 24))
    return folder


@pytest.fixture
def tiny(tmp_path, monkeypatch, samples, short_samples):
    """The file of a tiny network, in a current folder with all that the pages name."""
    shutil.copytree(short_samples, tmp_path / "samples")
    for folder, name in (("photos", "valley.jpg"), ("paintings", "swirls.jpg"), ("theirs", "")):
        (tmp_path / folder).mkdir()
        if name:
            shutil.copy(samples / name, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    torch.save({f"features.{key}": value for key, value in make_layers(SLIM_CFG).state_dict().items()}, "vgg19.pth")
    return network_file(tmp_path / "tiny.safetensors", random_network())


def cheap(words, tiny):
    """What is added to a command so that it takes little time."""
    added = CHEAP[words[0]].format(tiny=tiny)
    if "--shots" in words:
        return "--end .2"
    if "vgg19" in words:
        instead = "--baseline-steps 1 " * (words[0] == "bench") + "--weights vgg19.pth"
        added = added.replace(f"--network {tiny}", instead)
    if words[0] == "balance":  # of a job that is kept, larger outputs are made
        added += " --space linear" if "--keep-job" in words else " --size 96"
    if words[-2:] == ["--warm-start", "none"]:
        added = added.replace("--iterations 1 ", "", 1)
    if words[0] == "sheet" and words[1].endswith((".jpg", ".png")):
        added = added.replace("--end .2", "")
    if words[0] == "sheet" and words[2].startswith("-"):  # without a style nothing is painted
        added = "--end .2 -y"
    if words[0] == "consistency" and words[1].startswith("-"):
        added = added.replace("-y", "")
    return added


@pytest.mark.clips
@pytest.mark.parametrize("commands", [*blocks()])
def test_what_is_shown_works(vidstyle, commands, tmp_path, tiny):
    for line in commands:
        if line.startswith("python"):
            words = shlex.split(line)[3:]
            distill.main([*words, *shlex.split(DISTILLING)])
        else:
            words = shlex.split(line)[1:]
            before = set(tmp_path.rglob("*"))
            done = vidstyle(*words, *shlex.split(cheap(words, tiny)))
            assert done.exit_code == 0, (line, done.output, done.exception)
        stops = {"--plot-schedule", "--shots"} & {*words}
        outputs = [value for flag, value in pairwise(words) if flag in OUTPUTS] if not stops else []
        if "--only-first" in words:
            outputs = [str(Path(output).with_suffix(".first.png")) for output in outputs]
        assert all((tmp_path / output).exists() for output in outputs)
        assert outputs or before == set(tmp_path.rglob("*"))


def _cheaper(kind, own, **given):
    return kind(**{**given, **own})


@pytest.mark.clips
@pytest.mark.parametrize("program", [*programs()])
def test_programs_run(program, tiny, monkeypatch):
    for kind in JOBS.values():
        unread = {"fps"} if kind.job != "balance" else set()
        unread |= {"end"} if "stylize_frames" in program else set()  # refused there
        own = {name: value for name, value in CHEAPER.items() if name in options(kind) and name not in unread}
        own |= {"network": str(tiny)} if "network" in options(kind) else {}
        monkeypatch.setattr(vidstyle_package, kind.__name__, functools.partial(_cheaper, kind, own))
    before = set(Path().iterdir())
    exec(compile(program, "page", "exec"), {})
    assert set(Path().iterdir()) - before  # each writes something


@pytest.mark.clips
def test_the_examples_of_vidstyle_alone_work(vidstyle, tiny):
    for sample, name in (("ride.mp4", "clip.mp4"), ("valley.jpg", "photo.jpg"), ("swirls.jpg", "painting.jpg")):
        shutil.copy(Path("samples") / sample, name)
    commands = [shlex.split(line)[1:] for line in re.findall(COMMAND, HELP, re.M)]
    assert len(commands) == 3
    for words in commands:
        done = vidstyle(*words, *shlex.split(cheap(words, tiny)))
        assert done.exit_code == 0, done.output
        assert Path(words[-1]).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_within_a_sentence_exist(page):
    known = {name: {flag for one in command.params for flag in one.opts} for name, command in COMMANDS.items()}
    every = set().union(*known.values(), DISTILL_OPTIONS, ("--slow", "--soak"))  # the last two are those of the tests
    sentences = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for code in re.findall(r"`([^`]+)`", sentences):
        words = code.split()
        flags = {re.sub("^--no-", "--", word) for word in words if re.match("--?[a-z]", word)} - {"--help"}
        if words[0] == "vidstyle" and len(words) > 1 and words[1] != "COMMAND":
            assert flags <= known[words[1]], code
        elif words[0].startswith("-"):
            assert flags <= every, code
