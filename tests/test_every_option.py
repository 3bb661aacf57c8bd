"""Every option of every command is run once as a user would, and something is asserted about what it made.

The options come from the command line itself. To add one: a line in `CASES`, keyed by its name, or by command and name
where it means something else there. An option without a case fails, and so does a case without an option.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import math
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from clips import clicks, make_clip, pan, probe, texture
from conftest import SLIM_CFG, SLIM_VGG19, network_file, random_network
from PIL import Image, ImageFont, ImageSequence
from torchvision.models import optical_flow
from torchvision.models.vgg import make_layers
from typer.testing import CliRunner

from vidstyle.cli import app
from vidstyle.core import networks
from vidstyle.jobs.output.origin import origin_of
from vidstyle.lab.bench import baseline, machine, roofline, timings
from vidstyle.lab.distill import __main__ as distill
from vidstyle.lab.evaluate import patches
from vidstyle.settings import JOBS, option_name, options

pytestmark = pytest.mark.clips

FEW = "--first-iterations 5 --network {tiny} --device cpu --precision float32"
FEWER = "--size 64 --iterations 3 " + FEW
PLAIN = {  # what a command is given besides the option, and what it makes
    "video": (f"video {{two_shots}} {{style}} {{other}} {FEWER}", "o/"),
    "balance": (f"balance {{photo}} {{style}} {{other}} --seconds 1 --fps 6 --space linear {FEWER}", "o/"),
    "image": (f"image {{photo}} {{style}} {{other}} --size 64 {FEW}", "o.png"),
    "sheet": (f"sheet {{two_shots}} {{style}} --size 64 {FEW}", "o.png"),
    "encode": ("encode {job}", "o/"),
    "bench": (f"bench {{clip}} {{style}} --frames 3 {FEWER}", "o.json"),
    "consistency": (f"consistency {{photo}} {{style}} --frames 4 --clips pan {FEWER}", "o.json"),
    "uniformity": (f"uniformity {{photo}} {{style}} --seconds 1 --fps 4 {FEWER}", "o.json"),
    "measure": (f"measure {{clip}} {{painted}} --style {{style}} --iterations 3 {FEW}", "o.json"),
    "compare": (f"compare {{photo}} {{style}} --size 64 --tries 0 --weights {{vgg19}} {FEW}", "o/"),
    "batch": ("batch {batch}", "o.png"),
    "mask": ("mask {thing} --box 60,30,70,70", "o.png"),
    "plan": (f"plan {{two_shots}} {{style}} {{other}} {FEWER}", "o/"),
    "show": ("show {result}", ""),
    "watch": ("watch {job}", ""),
    "doctor": ("doctor", ""),
    "guide": ("guide", ""),
}
PRECIOUS = b"there already"
UNHEARD = "127.0.0.1:1" if importlib.util.find_spec("ray") else "vidstyle[cluster]"  # of a cluster that is not there
UNNAMED = ("doctor", "batch", "show", "watch")  # commands that are given no -o
JOBS_FILE = """
[defaults]
job = "image"
styles = {style!r}
network = {tiny!r}
first-iterations = 1
size = 32
[[job]]
name = "o"
content = {photo!r}
output = "o.png"
[[job]]
name = "p"
content = {other!r}
output = "p.png"
"""
MEASURING = ("bench", "consistency", "uniformity", "measure")
VGG = "--network vgg19 --weights {vgg19}"
JUDGE = "--judge vgg19 --weights {vgg19}"
RAFT = "--flow raft-small --flow-weights {raft}"
BLOG = "--preset blog --network {tiny} --first-iterations 2 --content-layers relu4_2 --style-layers relu1_1"


@dataclass(frozen=True)
class Run:
    """A command that was run with an option, and, when it is asked for, without."""

    out: Path
    text: str  #: what it printed
    plain: Callable[[], Run]

    @property
    def pictures(self) -> list[np.ndarray]:
        """Those of the output, by another reader than vidstyle."""
        if self.out.is_dir():
            return [np.asarray(Image.open(file)) for file in sorted(self.out.glob("*.png"))]
        if self.out.suffix == ".mp4":
            import av

            with av.open(str(self.out)) as container:
                return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        with Image.open(self.out) as image:
            kind = "RGBA" if image.mode == "RGBA" else "RGB"
            return [np.asarray(frame.convert(kind)) for frame in ImageSequence.Iterator(image)]

    @property
    def times(self) -> list[float]:
        """Milliseconds of each frame of a GIF."""
        with Image.open(self.out) as image:
            return [frame.info["duration"] for frame in ImageSequence.Iterator(image)]

    @property
    def figures(self) -> Any:
        return json.loads((self.out / "report.json" if self.out.is_dir() else self.out).read_text())

    @property
    def job(self) -> Path:
        """The folder of a kept job."""
        return self.out.with_name(self.out.name + ".job")

    def file(self, name: str) -> bytes:
        return (self.out.parent / name).read_bytes()


Holds = Callable[[Run], bool]


@dataclass(frozen=True)
class Case:
    """An option as it is typed, and what must be true of the run."""

    typed: str
    holds: Holds
    output: str = ""  #: where not the command's usual one
    both: str = ""  #: what the run that it is compared with is given, too
    file: str = ""  #: what is painted, where not the command's usual one
    code: int = 0  #: the exit code


def same(run: Run) -> bool:
    return all(map(np.array_equal, run.pictures, run.plain().pictures))


def other(run: Run) -> bool:
    """As many pictures as without the option, of the same size, and not the same."""
    shapes = [[picture.shape for picture in one.pictures] for one in (run, run.plain())]
    return shapes[0] == shapes[1] and not same(run)


def close(run: Run) -> bool:
    """The same pictures but for rounding, which grows from evaluation to evaluation."""
    pairs = zip(run.pictures, run.plain().pictures, strict=True)
    return all(np.abs(one.astype(int) - two).mean() <= 3 for one, two in pairs)


def grounded(color: tuple[int, int, int]) -> Holds:
    """What was transparent has a colour."""
    return lambda run: {tuple(picture[0, 0].tolist()) for picture in run.pictures} == {color} and other_kind(run)


def other_kind(run: Run) -> bool:
    """Opaque pictures, which are transparent without the option."""
    return [one.pictures[0].shape[2] for one in (run, run.plain())] == [3, 4]


def count(number: int) -> Holds:
    return lambda run: len(run.pictures) == number != len(run.plain().pictures)


def wide(number: int) -> Holds:
    return lambda run: {picture.shape[1] for picture in run.pictures} == {number}


def says(*words: str) -> Holds:
    return lambda run: all(word in run.text for word in words)


def silent(run: Run) -> bool:
    return run.text == "" and run.out.exists()


def shorter(run: Run) -> bool:
    """A sheet of fewer rows."""
    return run.pictures[0].shape[0] < run.plain().pictures[0].shape[0]


def longer(milliseconds: float, frame: int) -> Holds:
    """A frame of a GIF is shown for so much longer."""
    return lambda run: run.times[frame] - run.plain().times[frame] == milliseconds


def sounds(run: Run) -> bool:
    return bool(probe(run.out)["audio"])


def strip(run: Run) -> bool:
    """There is more under the painting, which is 192x128."""
    return run.pictures[0].shape[0] > 140


def replaced(run: Run) -> bool:
    return run.out.read_bytes() != PRECIOUS


def at(found: Any, path: str) -> Any:
    """What JSON holds at a path like job/frames; * takes the set of what all entries hold."""
    for number, name in enumerate(names := path.split("/")):
        if name == "*":
            return {at(each, "/".join(names[number + 1 :])) for each in found}
        found = found[int(name) if isinstance(found, list) else name]
    return found


def tried_again(run: Run) -> bool:
    """The network's pastiche is painted at a second alpha, unless its content distance is the reference's already."""
    pair = run.figures["pairs"][0]
    apart = abs(math.log(pair["same_alpha"]["content"] / pair["reference"]["content"]))
    return len(list(run.out.glob("*-network-*.png"))) == (2 if apart > 0.05 else 1)


def measured_otherwise(run: Run) -> bool:
    return bool(run.figures["consistency"] != run.plain().figures["consistency"])


def figure(path: str, value: Any) -> Holds:
    """What the figures say there."""
    return lambda run: bool(at(run.figures, path) == value)


def manifest(path: str, value: Any) -> Holds:
    """What the manifest of a kept job says there."""
    return lambda run: bool(at(json.loads((run.job / "manifest.json").read_text()), path) == value)


def plotted(words: str) -> Holds:
    """Words are printed, and nothing is made."""
    return lambda run: words in run.text and not any(run.out.parent.iterdir())


def shown(result: Path) -> str:
    """What vidstyle show says of a result."""
    return str(CliRunner().invoke(app, ["show", str(result)]).output)


def origin(run: Run) -> str:
    """The settings that a result holds."""
    return origin_of(run.out).encoded()


def first_frames(run: Run) -> bool:
    """Two shots, each a strip of two pictures; nothing else is made."""
    sheet = np.asarray(Image.open(run.out.with_name("o.first.png")))
    painted = {file.name for file in (run.job / "frames").iterdir()}
    return sheet.shape[1] > 128 and painted == {"000000.png", "000003.png"} and not run.out.exists()


VERBOSE = Case("-v", lambda run: "packages: torch " in run.text and "options: " in run.text)
CASES = {
    # What is painted
    "--alpha": Case("--alpha .9", other),
    "--size": Case("--size 32", wide(32)),
    "--network": Case("--network compact", other),
    "--weights": Case("--network vgg19 --weights {vgg19}", other),
    "--device": Case("--device cpu --keep-job", manifest("settings/device", "cpu")),
    "--precision": Case("--precision bfloat16", other),
    "--cuda-graphs": Case("--no-cuda-graphs", same),
    "--low-memory": Case("--low-memory", close),
    "--memory": Case("--memory 6GB", same),
    "--seed": Case("--seed 7", other, both="--init noise"),
    "--iterations": Case("--iterations 20", other),
    "--first-iterations": Case("--first-iterations 20", other, both="--tolerance 0"),
    "--tolerance": Case("--tolerance 1", other, both="--first-iterations 20"),
    "--warm-tolerance": Case("--warm-tolerance 1", other, both="--iterations 20"),
    "--optimizer": Case("--optimizer adam", other),
    "--content-layers": Case("--content-layers relu2_1", other),
    "--style-layers": Case("--style-layers relu1_1,relu3_1", other),
    "--style-layer-weights": Case("--style-layer-weights 1,0,0,0,2", other),
    "--style-metric": Case("--style-metric gram", other),
    "--content-focus": Case("--content-focus 0", other),
    "--recolor": Case("--recolor .5", other),
    "--match-colors": Case("--match-colors 0", other),
    "--colors-only": Case("--colors-only", other),
    "--style-scale": Case("--style-scale .5", other),
    "--background": Case("--background black", grounded((0, 0, 0)), file="cut_frames"),
    ("image", "--background"): Case("--background '#00ff00'", grounded((0, 255, 0)), file="cut"),
    ("balance", "--background"): Case("--background black", grounded((0, 0, 0)), file="cut"),
    ("sheet", "--background"): Case("--background black", other, file="cut_frames"),
    ("encode", "--background"): Case("--background black", says("the content is not transparent")),
    "--mask": Case("--mask {mask}", other),
    "--feather": Case("--feather 8", other, both="--mask {mask}"),
    "--region": Case("--region {mask}={other},alpha=.1", other),
    "--first": Case("--first {photo}", other),
    "--key": Case("--key 1={photo}", other),
    "--first-weight": Case("--first-weight .5", other, both="--first {photo}"),
    "--mix": Case("--mix 1,0", other),
    "--preserve-color": Case("--preserve-color 1", other),
    ("balance", "--first-iterations"): Case("--first-iterations 20", other, both="--from .5 --tolerance 0"),
    ("balance", "--coarse-to-fine"): Case("--no-coarse-to-fine", other, both="--from .5 --size 192"),
    ("balance", "--tolerance"): Case("--tolerance 1", other, both="--from .5 --first-iterations 20"),
    "--tv-weight": Case("--tv-weight 1", other),
    "--init": Case("--init {other}", other),
    "--objective": Case("--objective blog", other),
    "--coarse-to-fine": Case("--no-coarse-to-fine", other, both="--size 192"),
    "--preset": Case(BLOG, other),
    # How a clip is painted
    "--warm-start": Case("--warm-start previous", other),
    "--temporal-weight": Case("--temporal-weight 3", other),
    "--long-term": Case("--long-term 2", other),
    "--flow": Case(RAFT, other),
    "--flow-weights": Case(f"{RAFT} --keep-job", lambda run: not manifest("flow_weights", "")(run)),
    "--loop": Case("--loop", other),
    "--split-after": Case("--split-after 32 --keep-job", manifest("settings/split_after", 32)),
    "--boil": Case("--boil .3", other),
    "--start": Case("--start .1", count(3)),
    "--end": Case("--end .1", count(3)),
    "--cuts": Case("--no-cuts", other),
    "--deinterlace": Case("--deinterlace off", other, file="fields"),
    "--hdr": Case("--hdr refuse", says("tonemap"), file="hlg", code=3),
    "--input-fps": Case("--input-fps 5", lambda run: run.times[0] == 200, "o.gif", file="stills"),
    ("sheet", "--input-fps"): Case("--input-fps 5", lambda run: not same(run), file="stills"),
    "--bits": Case("--bits 16", lambda run: run.out.read_bytes()[24] == 16),
    "--shots": Case("--shots", says("length s")),
    "--only-first": Case("--only-first", first_frames),
    "--redo": Case("--redo 0-2", says("is no job folder of vidstyle"), code=9),
    "--report": Case("--report", lambda run: {"o.report.json", "o.report.html"} <= set(os.listdir(run.out.parent))),
    "--plot-schedule": Case("--plot-schedule", plotted("alpha: 0.4 all the time")),
    # How an animation is painted
    ("balance", "--plot-schedule"): Case("--plot-schedule", plotted("alpha: 1 at the start")),
    ("balance", "--alpha"): Case("--alpha '0s:.2, end:.9'", other),
    "--from": Case("--from .5", other),
    "--to": Case("--to .5", other),
    "--seconds": Case("--seconds 2", count(12)),
    ("balance", "--fps"): Case("--fps 4", count(4)),
    "--bounce": Case("--no-bounce", other),
    "--space": Case("--space even", other),
    "--direction": Case("--direction backward", other),
    "--timelapse": Case("--timelapse", other),
    # A sheet
    "--alphas": Case("--alphas .1,.9", lambda run: run.pictures[0].shape[1] > run.plain().pictures[0].shape[1]),
    ("sheet", "--size"): Case("--size 96", lambda run: run.pictures[0].shape[1] > run.plain().pictures[0].shape[1]),
    ("sheet", "--cuts"): Case("--no-cuts", shorter),
    ("sheet", "--start"): Case("--start .15", shorter),
    ("sheet", "--end"): Case("--end .1", shorter),
    # How a job runs
    "--output": Case("-o {folder}/second.webp", lambda run: run.file("second.webp")[:4] == b"RIFF"),
    ("image", "--output"): Case("-o {folder}/second.jpg", lambda run: run.file("second.jpg")[:2] == b"\xff\xd8"),
    ("sheet", "--output"): Case("-o {folder}/second.jpg", lambda run: run.file("second.jpg")[:2] == b"\xff\xd8"),
    "--yes": Case("-y", replaced, "o.gif"),
    ("image", "--yes"): Case("-y", replaced),
    ("sheet", "--yes"): Case("-y", replaced),
    "--restart": Case("--restart", same),
    "--keep-job": Case("--keep-job", lambda run: any((run.job / "frames").iterdir())),
    "--quiet": Case("-q", silent),
    "--verbose": VERBOSE,
    "--threads": Case("--threads 1 --keep-job", manifest("threads", 1)),
    ("batch", "--threads"): Case("--threads 1", same),
    "--workers": Case("--workers 2", same, both="--threads 1"),
    "--same-device": Case("--same-device --workers 1", same, both="--threads 1"),
    "--ray-address": Case("--workers ray --ray-address 127.0.0.1:1", says(UNHEARD), code=2),
    ("plan", "--ray-address"): Case(
        "--workers ray --ray-address a:1", lambda run: commanded("--ray-address")(run) and "a:1" in run.text
    ),
    # What is made of the frames
    "--crf": Case("--crf 45", lambda run: run.out.stat().st_size < run.plain().out.stat().st_size, "o.mp4"),
    "--plays": Case("--plays 3", lambda run: Image.open(run.out).info["loop"] == 2, "o.gif"),
    "--pingpong": Case("--pingpong", count(10)),
    "--hold-first": Case("--hold-first 1", longer(1000, 0), "o.gif"),
    "--hold-last": Case("--hold-last 1", lambda run: sum(run.times) - sum(run.plain().times) == 1000, "o.gif"),
    "--fps": Case("--fps 12", lambda run: probe(run.out)["times"][1] == Fraction(1, 12), "o.mp4"),
    "--width": Case("--width 32", wide(32)),
    "--layout": Case("--layout wipe", other),
    "--gauge": Case("--gauge", strip, both="{large}"),
    "--caption": Case("--caption Words", strip, both="{large}"),
    "--font": Case("--caption Words --font {font}", strip, both="{large}"),
    "--title": Case("--title Words", lambda run: len(run.times) > len(run.plain().times), "o.gif", "{large}"),
    "--title-seconds": Case("--title-seconds 1", lambda run: run.times[0] == 1000, "o.gif", "{large} --title Words"),
    "--poster": Case("--poster {folder}/p.png", lambda run: run.file("p.png")[1:4] == b"PNG"),
    "--figure": Case("--figure {folder}/f.json", lambda run: b'"alt"' in run.file("f.json")),
    "--sound": Case("--no-sound", lambda run: not sounds(run) and sounds(run.plain()), "o.mp4"),
    "--metadata": Case("--no-metadata", lambda run: "not hold the settings" in shown(run.out)),
    "--params-from": Case("--params-from {result}", lambda run: '"recolor":0.25' in origin(run)),
    ("encode", "--params-from"): Case("--params-from {result}", lambda run: '"crf":30' in origin(run)),
    "--max-size": Case("--max-size 20kB", lambda run: run.out.stat().st_size <= 20_000, "o.gif", "{large}"),
    "--for": Case("--for slack", says("o.gif", "of 2 MB"), "o.gif"),
    # What is measured, besides the settings below
    **{(command, "--yes"): Case("-y", replaced) for command in MEASURING},
    **{(command, "--preset"): Case(BLOG, figure("settings/objective", "blog")) for command in MEASURING},
    **{(command, "--quiet"): Case("-q", silent) for command in MEASURING if command != "bench"},
    **{(command, "--verbose"): VERBOSE for command in ("compare", *MEASURING)},
    # Masks
    ("mask", "--box"): Case("--box 60,30,35,35", says("nothing stands out in the box"), code=3),
    ("mask", "--points"): Case("--points -80,60", other),
    ("mask", "--frame"): Case("--frame 1 --points +90,60", lambda run: len(run.pictures) == 4, "o/", file="clip"),
    ("mask", "--size"): Case("--size 64", wide(64)),
    ("mask", "--output"): Case("", lambda run: set(np.unique(run.pictures[0])) <= {0, 255}),
    ("mask", "--yes"): Case("-y", replaced),
    # Many jobs
    ("batch", "--only"): Case("--only p", lambda run: [one.name for one in run.out.parent.glob("*.png")] == ["p.png"]),
    ("batch", "--dry-run"): Case("--dry-run", lambda run: "would be painted" in run.text and not run.out.exists()),
    ("batch", "--yes"): Case("-y", replaced),
    # What is planned, besides the options of video, which are in the command that is printed
    ("plan", "--time-budget"): Case("--time-budget 1h", plotted("it fits 60.0 min as it is")),
    ("plan", "--json"): Case("--json", lambda run: json.loads(run.text)["frames_left"] == 6),
    ("plan", "--output"): Case("-o {folder}/second.gif", plotted("second.gif")),
    ("plan", "--quiet"): Case("-q", plotted("6 frames")),
    ("plan", "--verbose"): VERBOSE,
    ("plan", "--network"): Case("--network compact", lambda run: "--size 64" in run.text and "tiny" not in run.text),
    ("plan", "--preset"): Case(BLOG, plotted("--objective blog")),
    ("plan", "--params-from"): Case("--params-from {result}", plotted("--recolor 0.25")),
    ("watch", "--every"): Case("--every .05", says("finished")),
    ("watch", "--once"): Case("--once", lambda run: "finished" in run.text and len(run.text.splitlines()) == 1),
    ("doctor", "--report"): Case("--report", lambda run: "packages: torch " in run.text),
    **{(command, "--output"): Case("", lambda run: bool(run.figures["vidstyle"])) for command in MEASURING},
    ("bench", "--frames"): Case("--frames 2", says("a job of 2 frames")),
    ("bench", "--baseline"): Case(f"--baseline --baseline-steps 1 {VGG}", figure("baseline/steps", 1)),
    ("bench", "--baseline-steps"): Case(f"--baseline --baseline-steps 2 {VGG}", figure("baseline/steps", 2)),
    ("bench", "--scaling"): Case("--scaling", figure("scaling/sizes/*/size", {32})),
    ("bench", "--roofline"): Case("--roofline", figure("roofline/*/width", {64})),
    ("consistency", "--frames"): Case("--frames 3", figure("clips/*/frames", {3})),
    ("consistency", "--clips"): Case("--clips zoom", figure("clips/*/clip", {"zoom"})),
    ("consistency", "--beside"): Case("--no-beside", figure("clips/*/warm_start", {"warped"})),
    ("consistency", "--judge"): Case(JUDGE, lambda run: run.figures["clips"] != run.plain().figures["clips"]),
    ("uniformity", "--beside"): Case("--no-beside", figure("styles/0/animations/*/space", {"even"})),
    ("uniformity", "--both-directions"): Case("--both-directions", figure("styles/0/other/direction", "backward")),
    ("uniformity", "--judge"): Case(JUDGE, figure("judge", "vgg19")),
    ("measure", "--style"): Case("--style {other}", figure("styles", ["style.png", "other.png"])),
    ("measure", "--pairs"): Case("--pairs 1", lambda run: len(run.figures["independence"]["pairs"]) == 1),
    ("measure", "--mask"): Case("--mask {mask}", measured_otherwise),
    ("measure", "--feather"): Case("--feather 9", measured_otherwise, both="--mask {mask}"),
    ("measure", "--judge"): Case(JUDGE, figure("independence/judge", "vgg19")),
    ("compare", "--output"): Case("", lambda run: (run.out / "sheet.png").exists()),
    ("compare", "--tries"): Case("--tries 1", tried_again),
    ("compare", "--pairs"): Case("--pairs 1", lambda run: len(run.figures["pairs"]) == 1),
    ("compare", "--beside"): Case("--beside {theirs}", figure("reference", "theirs")),
    ("compare", "--blind"): Case("--blind", lambda run: b"data:image/" in run.file("o/blind.html")),
    ("compare", "--yes"): Case("-y", lambda run: len(run.figures["pairs"]) == 1),
    ("compare", "--preset"): Case(BLOG, lambda run: run.figures["pairs"] != run.plain().figures["pairs"]),
}  # fmt: skip

# What the commands that measure are given all at once, and what their figures must say of it.
MEASURED: dict[str, tuple[str, Any]] = {
    "--alpha": ("--alpha .9", 0.9),
    "--size": ("--size 80", 80),
    "--weights": ("--weights {vgg19}", "vgg19.pth"),
    "--network": ("--network {tiny}", "tiny.safetensors"),
    "--device": ("--device cpu", "cpu"),
    "--precision": ("--precision float32", "float32"),
    "--cuda-graphs": ("--no-cuda-graphs", False),
    "--low-memory": ("--low-memory", True),
    "--memory": ("--memory 6GB", "6GB"),
    "--seed": ("--seed 7", 7),
    "--iterations": ("--iterations 3", 3),
    "--first-iterations": ("--first-iterations 4", 4),
    "--tolerance": ("--tolerance .1", 0.1),
    "--warm-tolerance": ("--warm-tolerance .2", 0.2),
    "--optimizer": ("--optimizer adam", "adam"),
    "--content-layers": ("--content-layers relu2_1", ["relu2_1"]),
    "--style-layers": ("--style-layers relu1_1,relu3_1", ["relu1_1", "relu3_1"]),
    "--style-layer-weights": ("--style-layer-weights 1,2", [1, 2]),
    "--style-metric": ("--style-metric gram", "gram"),
    "--content-focus": ("--content-focus 2", 2),
    "--recolor": ("--recolor .5", 0.5),
    "--match-colors": ("--match-colors .5", 0.5),
    "--style-scale": ("--style-scale .5", 0.5),
    "--mix": ("--mix 2", [2]),
    "--preserve-color": ("--preserve-color .5", 0.5),
    "--tv-weight": ("--tv-weight .1", 0.1),
    "--init": ("--init noise", "noise"),
    "--objective": ("--objective normalized", "normalized"),  # blog cannot be given with --style-metric
    "--coarse-to-fine": ("--no-coarse-to-fine", False),
    "--warm-start": ("--warm-start warped", "warped"),
    "--temporal-weight": ("--temporal-weight 3", 3),
    "--long-term": ("--long-term 2,4", [2, 4]),
    "--flow": ("--flow raft-small", "raft-small"),
    "--flow-weights": ("--flow-weights {raft}", "raft.pth"),
    "--loop": ("--loop", True),
    "--boil": ("--boil .3", 0.3),
    "--cuts": ("--no-cuts", False),
    "--deinterlace": ("--deinterlace off", "off"),
    "--hdr": ("--hdr refuse", "refuse"),
    "--input-fps": ("--input-fps 5", 5),
    "--start": ("--start .04", 0.04),
    "--end": ("--end .16", 0.16),
    "--seconds": ("--seconds 2", 2),
    "--fps": ("--fps 5", 5),
    "--from": ("--from .9", 0.9),
    "--to": ("--to .1", 0.1),
    "--bounce": ("--no-bounce", False),
    "--space": ("--space linear", "linear"),
    "--direction": ("--direction backward", "backward"),
    "--timelapse": ("--timelapse", True),
}
TOGETHER = {
    "uniformity": ("--timelapse", "--alpha"),
    "measure": ("--start", "--end", "--input-fps"),
    "bench": ("--input-fps",),
}  # cannot be given with the others

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = [
    (command, max(parameter.opts, key=len))
    for command in COMMANDS
    for parameter in COMMANDS[command].params
    if parameter.param_type_name == "option"
]


def commanded(option: str) -> Holds:
    """The command that is printed has the option, and nothing is made."""

    def holds(run: Run) -> bool:
        (command,) = (line for line in run.text.splitlines() if line.startswith("vidstyle video "))
        flags = {re.sub("^--no-", "--", word) for word in shlex.split(command)}
        return ("-y" if option == "--yes" else option) in flags and {*run.out.parent.iterdir()} <= {run.out}

    return holds


def case_of(command: str, option: str) -> Case | None:
    if command == "plan" and (command, option) not in CASES and option in CASES:
        case = CASES[option]
        return case if case.code else dataclasses.replace(case, holds=commanded(option))
    return CASES.get((command, option)) or (None if command in (*MEASURING, "compare") else CASES.get(option))


def test_every_option_has_a_case_and_every_case_an_option() -> None:
    lacking = [one for one in OPTIONS if case_of(*one) is None and (one[0] not in PLAIN or one[1] not in MEASURED)]
    served = "".join(file.read_text() for file in Path(__file__).parent.glob("test_studio*.py"))
    lacking = [one for one in lacking if one[0] != "studio" or one[1].replace("--open", "--no-open") not in served]
    assert not lacking, "add a line to CASES"
    used = {(command, option) if (command, option) in CASES else option for command, option in OPTIONS}
    assert set(CASES) <= used
    assert set(MEASURED) <= {option for _, option in OPTIONS}
    assert {*PLAIN, "studio"} == set(COMMANDS)  # a server runs until it is ended: it has its own tests


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands name, by the words in braces."""
    folder = tmp_path_factory.mktemp("files")
    network_file(folder / "tiny.safetensors", random_network())
    for name, seed in (("photo", 1), ("style", 2), ("other", 3)):
        Image.fromarray(texture(192, 128, seed)).save(folder / f"{name}.png")
    thing = texture(192, 128, 1) // 3
    thing[np.hypot(*(np.indices((128, 192)) - np.array([65, 95])[:, None, None])) < 25] = (210, 120, 20)
    Image.fromarray(thing).save(folder / "thing.png")
    mask = np.zeros((128, 192), np.uint8)
    mask[:, :140] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    make_clip(folder / "clip.mp4", pan(4, 192, 128), rate=24)
    make_clip(folder / "painted.mp4", pan(4, 96, 64), rate=24)
    (folder / "stills").mkdir()
    for number, frame in enumerate(pan(3, 192, 128)):
        Image.fromarray(frame).save(folder / "stills" / f"{number}.png")
    (folder / "cut_frames").mkdir()
    cut = np.dstack([texture(192, 128, 1), np.where(np.arange(192) < 60, 0, 255)[None].repeat(128, 0)])
    Image.fromarray(cut.astype(np.uint8)).save(folder / "cut.png")
    for number in range(3):
        Image.fromarray(cut.astype(np.uint8)).save(folder / "cut_frames" / f"{number}.png")
    (folder / "theirs").mkdir()
    Image.fromarray(texture(96, 64, 4)).save(folder / "theirs" / "photo-style.png")
    fields = {"x264-params": "tff=1"}
    make_clip(folder / "fields.mp4", pan(3, 192, 128, speed=9), rate=24, options=fields)
    hlg = {"x264-params": "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"}
    make_clip(folder / "hlg.mp4", pan(3, 192, 128), rate=24, options=hlg)
    pictures = (*pan(3, 192, 128), *(255 - frame for frame in pan(3, 192, 128, seed=9)))  # two shots
    make_clip(folder / "two_shots.mp4", pictures, rate=24, sound=clicks(6 / 24))
    torch.manual_seed(0)
    torch.save(optical_flow.raft_small(weights=None).state_dict(), folder / "raft.pth")
    vgg = make_layers(SLIM_CFG)
    torch.save({f"features.{key}": value for key, value in vgg.state_dict().items()}, folder / "vgg19.pth")
    font = ImageFont.load_default(12)
    (folder / "font.ttf").write_bytes(font.font_bytes)  # type: ignore[union-attr]
    found = {path.stem: str(path) for path in folder.iterdir()} | {"job": f"{folder}/kept.mp4"}
    done = invoke("video {two_shots} {style} -o {job} --size 192 --iterations 2 --keep-job " + FEW, found)
    assert done.exit_code == 0, done.output
    line = "video {clip} {style} -o {result} --recolor .25 --crf 30 --size 32 --iterations 1 " + FEW
    found["result"] = f"{folder}/result.webp"
    assert (done := invoke(line, found)).exit_code == 0, done.output
    return found | {"job": f"{folder}/kept.mp4.job"}


def invoke(line: str, words: dict[str, str]) -> Any:
    return CliRunner().invoke(app, [word.format(**words) for word in shlex.split(line)])


@pytest.fixture(scope="module")
def plain(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Case], Run]:
    """A command without an option; run once for all options that can be compared with it."""

    @functools.cache
    def run(command: str, output: str, typed: str, file: str) -> Run:
        return run_in(tmp_path_factory.mktemp("plain"), command, Case(typed, silent, output, file=file), files)

    return lambda command, case: run(command, case.output, case.both, case.file)


def run_in(
    folder: Path, command: str, case: Case, files: dict[str, str], plain: Callable[[], Run] | None = None
) -> Run:
    line, usual = PLAIN[command] if case.typed != "--shots" else ("video {two_shots}", "")
    out = folder / (case.output or usual)
    if case.typed == "-y":
        file = out if out.suffix else out / "report.json"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(PRECIOUS)
    named = "" if command in UNNAMED or case.typed == "--shots" else "-o {out}" + "/" * (not out.suffix)
    if command == "batch":
        (folder / "jobs.toml").write_text(JOBS_FILE.format(**files))
    words = files | {
        "batch": str(folder / "jobs.toml"),
        "out": str(out),
        "folder": str(folder),
        "large": "" if command == "encode" else "--size 192",
    }
    words |= {name: files[case.file] for name in ("two_shots", "clip", "photo", "thing") if case.file}
    done = invoke(f"{line} {named} {case.both} {case.typed}".format(**words), {})
    assert done.exit_code == case.code, (case, done.output, done.exception)
    return Run(out, done.output, plain or (lambda: pytest.fail("nothing is compared with this")))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark repeats no measurement more than it must, and VGG-19 is slim."""
    monkeypatch.setattr(machine, "BUDGET", 0.0)
    monkeypatch.setattr(machine, "MATRIX_SIDE", {"cpu": 64})
    monkeypatch.setattr(machine, "COPIED_BYTES", 2**16)
    monkeypatch.setattr(timings, "IN_A_ROW", {"cpu": 2})
    monkeypatch.setattr(timings, "SIZES", (32,))
    monkeypatch.setattr(roofline, "SIZES", ((64, 48),))
    monkeypatch.setattr(patches, "COUNT", 100)
    monkeypatch.setattr(networks, "VGG19_BLOCKS", SLIM_VGG19)
    monkeypatch.setattr(baseline, "cfgs", {"E": SLIM_CFG})


def cases() -> Iterator[Any]:
    """A command and an option; a case that several commands share is slow for all but the first of them."""
    seen = set()
    for command, option in OPTIONS:
        if (case := case_of(command, option)) is not None:
            again = case in seen or (command == "plan" and (command, option) not in CASES)
            yield pytest.param(command, option, marks=pytest.mark.slow if again else ())
            seen.add(case)


@pytest.mark.parametrize(("command", "option"), [*cases()])
def test_an_option_does_what_it_says(
    command: str, option: str, files: dict[str, str], plain: Callable[[str, Case], Run], tmp_path: Path
) -> None:
    case = case_of(command, option)
    assert case is not None
    run = run_in(tmp_path, command, case, files, lambda: plain(command, case))
    assert case.holds(run), run.text


@pytest.mark.parametrize("command", MEASURING)
def test_what_measures_reads_every_option_of_the_job(command: str, files: dict[str, str], tmp_path: Path) -> None:
    given = {option: MEASURED[option] for one, option in OPTIONS if one == command and option in MEASURED}
    given |= {"--weights": (JUDGE, "vgg19.pth")} if command != "bench" else {"--network": ("--network vgg19", "vgg19")}
    for option in TOGETHER.get(command, ()):
        given.pop(option)
    run = run_in(tmp_path, command, Case(" ".join(typed for typed, _ in given.values()), silent), files)
    kind = JOBS["balance" if command == "uniformity" else "video"]
    names = {option_name(field): field.name for field in options(kind).values()}
    used = run.figures["settings"]
    for name in ("weights", "flow_weights", "network"):
        used[name] = Path(used.get(name) or "").name
    assert {option: used[names[option]] for option in given} == {option: value for option, (_, value) in given.items()}


DISTILLED = (
    "--teacher {vgg19} --images {pictures} --out {out} --checkpoint {folder}/own.checkpoint --export-every 1 "
    "--validate-every 1 --blocks 4,4/4,4/6,6,6,6/6,6,6,6/6 --steps 4 --minutes 9 --apprenticeship .1 --stages .2 "
    "--crop 32 --batch 2 --pool 2 --pastiches 1 --repeats 1 --memory 2 --paint 1 --lr .01 --lr-rest .001 "
    "--calibration 0 --seed 3 --device cpu --precision float32"
)


def test_a_network_is_distilled_with_every_option(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {option for action in distill.command_line()._actions for option in action.option_strings}
    assert own - {"-h", "--help", "--begin"} == {word for word in DISTILLED.split() if word.startswith("--")}
    words = files | {"pictures": str(Path(files["photo"]).parent), "folder": str(tmp_path)}
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    distill.main(DISTILLED.format(**words, out=first).split())
    assert "loss" in (text := capsys.readouterr().out) and "held out, 1 - R2 / style" in text
    assert [len(block) for block in networks.compact(first).blocks] == [2, 2, 4, 4, 1]
    (tmp_path / "own.checkpoint").unlink()
    distill.main([*DISTILLED.format(**words, out=second).split(), "--begin", str(first)])
    assert networks.compact(second).blocks == networks.compact(first).blocks
    assert second.read_bytes() != first.read_bytes()
