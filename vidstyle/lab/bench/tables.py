"""The tables of a benchmark, for a terminal. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.console import RenderableType

from vidstyle.lab.bench.figures import BaselineSpeed, JobSpeed, Report, Scaling
from vidstyle.lab.bench.roofline import FrameCount
from vidstyle.lab.tables import Grid, bars, duration, memory, si, spaced

NOT_DECODED = (
    " Decoding was not measured: the pictures were taken as they were drawn, since libraries that read and write clips "
    "are not installed here (`vidstyle doctor` names them)."
)
LETTERS = {
    "decode": "D",
    "flow": "F",
    "wait": ".",
    "warp": "W",
    "aim": "A",
    "evaluate": "E",
    "optimise": "r",
    "save": "S",
}
NAMES = {"optimise": "the rest of optimise"}
BAR_WIDTH = 72  # characters
LOSSES = {"vidstyle": "vidstyle's loss", "baseline": "its own loss"}
RACE_RULES = (
    ". vidstyle paints from scratch with 1, 2, 3, 5, 8, 12, ... evaluations at each size, until the judge finds its "
    "picture as good; the time is that of the last try. Judged by the other's own loss, it minimises that one."
)


def tables(report: Report) -> Iterator[RenderableType]:
    """Everything in a report, in the order in which it is read."""
    machine, threads = report.machine, f", {report.machine.threads} threads" if report.machine.kind == "cpu" else ""
    parts: list[Grid | str] = [
        f"{machine.device}{threads}, torch {machine.torch}, vidstyle {report.vidstyle}",
        f"its limits in {machine.precision}: matrix product {si(machine.peak_flops)}FLOP/s "
        f"({machine.matrix_side}³), copy {si(machine.copy_bandwidth)}B/s",
        f"clip: {report.clip}; style: {', '.join(report.styles)}",
        inner_loop(report),
        stages(report.job),
        stacked(report.job),
    ]
    if report.roofline is not None:
        parts.append(bounds(report.roofline))
    if report.baseline is not None:
        parts.append(against(report.baseline))
    if report.scaling is not None:
        parts += growth(report.scaling, report.job)
    return spaced(parts)


def inner_loop(report: Report) -> Grid:
    """An evaluation, a still, a warm-started frame, a job."""
    one, still, warm, job = report.evaluation, report.still, report.warm, report.job
    sizes = "at one size" if still.scales == 1 else f"at the last of {still.scales} sizes, coarse to fine"
    frames = f"{warm.evaluations:g} evaluations; median of {warm.frames}"
    begins = "decoding" if job.decoded else "decoded pictures"
    holder = "tensors on the device" if report.machine.kind == "cuda" else "the whole process"
    rows = [
        ("an evaluation: loss and gradient", duration(one.seconds), ""),
        (f"  its {si(one.flops)}FLOP", f"{one.peak_fraction:.1%}", "of the matrix product's rate"),
        (f"  its {si(one.traffic)}B at the least", f"{one.bandwidth_fraction:.1%}", "of the copy's rate"),
        ("an iteration: that and a step", duration(one.iteration_seconds), "as a job runs it"),
        ("a still, from scratch", duration(still.seconds), f"{still.evaluations} evaluations {sizes}"),
        ("a warm-started frame", duration(warm.seconds), frames),
        ("the same frame from scratch", duration(warm.cold_seconds), f"{warm.speedup:.1f} times as long"),
        ("  style loss, warm / scratch", f"{warm.style_ratio:.2f}", "1 = as good, above 1 = worse"),
        ("  content loss, warm / scratch", f"{warm.content_ratio:.2f}", "the same"),
        (f"a job of {job.frames} frames, not encoded", duration(job.seconds), f"{begins} to saved frames"),
        ("  all its frames", f"{job.frames_per_second:.3g}", "frames a second"),
        ("  those after the first", f"{job.later_frames_per_second or 0:.3g}", "frames a second"),
        ("  its memory at the most", memory(job.peak_bytes), holder),
    ]
    title = f"{report.settings['network']}, {one.width}x{one.height} pixels, {report.machine.precision}"
    return Grid(title, ("", "measured", "<"), rows)


def stacked(job: JobSpeed) -> str:
    """The stages of a later frame as one bar of letters, each as long as its share."""
    parts = [(one.name, max(one.frame_seconds or 0.0, 0.0)) for one in job.stages if one.name in LETTERS]
    total = sum(seconds for _, seconds in parts)
    if not total:
        return ""
    ends = [
        round(BAR_WIDTH * sum(seconds for _, seconds in parts[:number]) / total) for number in range(len(parts) + 1)
    ]
    bar = "".join(LETTERS[name] * (end - start) for (name, _), (start, end) in zip(parts, pairwise(ends), strict=True))
    legend = ", ".join(f"{LETTERS[name]} {NAMES.get(name, name)}" for name, _ in parts)
    return f"a later frame, {duration(total)} of all threads:\n{bar}\n{legend}"


def bounds(frames: Sequence[FrameCount]) -> Grid:
    """What a frame asks of a device, counted, and the frame rates that GPUs cannot exceed."""
    names = list(dict.fromkeys(name for one in frames for name in one.seconds))
    return Grid(
        f"By count, not measured: a warm-started frame of {frames[0].evaluations} evaluations in bfloat16",
        ("network, pixels", "FLOP", "bytes", "kernels", *(f"{name} fps" for name in names)),
        [
            (
                f"{one.network} {one.width}x{one.height}",
                si(one.flops),
                si(one.traffic),
                f"{one.kernels}",
                *(f"< {1 / one.seconds[name]:.3g}" for name in names),
            )
            for one in frames
        ],
        "Each operator takes the longer of its operations at the GPU's peak rate and its bytes at that of its memory, "
        "and 2 µs for its start. Nothing was run on these GPUs: no machine reaches such rates, and decoding, flow and "
        "saving are not counted.",
    )


def stages(job: JobSpeed) -> Grid:
    """Where the time of a job goes."""
    rows = []
    for one in job.stages:
        later = "" if one.frame_seconds is None else duration(one.frame_seconds)
        rows.append((one.name, one.thread, duration(one.seconds), f"{one.seconds / job.seconds:.1%}", later))
    return Grid(
        f"Where the {duration(job.seconds)} of the job go",
        ("stage", "<thread", "whole job", "share", "later frame"),
        rows,
        f"The loop waited for the others {job.waiting:.1%} of the time; all other stages together take "
        f"{job.overlap:.2f} times the wall time. Ahead and behind are threads beside the loop; a later frame is one "
        f"after the first.{'' if job.decoded else NOT_DECODED}",
    )


def against(baseline: BaselineSpeed) -> Grid:
    """vidstyle beside the textbook program."""
    rows = []
    for race in baseline.races:
        faster = f"{race.speedup:.1f} times" if race.reached else "not reached"
        losses = f"{race.wanted:.4g}", f"{race.loss:.4g}"
        rows.append((LOSSES[race.judge], *losses, f"{race.evaluations}", duration(race.seconds), faster))
    return Grid(
        f"The textbook program: the still in {baseline.steps} steps, {baseline.evaluations} evaluations, "
        f"{duration(baseline.seconds)}",
        ("judged by", "it ends at", "vidstyle", "evaluations", "time", "faster"),
        rows,
        f"One of its evaluations takes {baseline.evaluation_ratio:.1f} times as long as one of vidstyle's. Its own "
        f"loss (alpha {baseline.alpha:g}) went from {baseline.first_loss:.4g} after the first step to "
        f"{baseline.last_loss:.4g}{RACE_RULES if rows else '; it diverged, so there is nothing to compare with.'}",
    )


def growth(scaling: Scaling, job: JobSpeed) -> Iterator[Grid]:
    """How the cost grows with pixels, styles and frames."""
    points, styles, seconds = scaling.sizes, scaling.styles, job.seconds_after
    left_out, reasons = ", ".join(map(str, scaling.left_out)), "; ".join(dict.fromkeys(scaling.left_out.values()))
    yield Grid(
        "Growth with the size",
        ("long side", "evaluation", "per megapixel", "memory", "<time, logarithmic"),
        [
            (f"{one.size}", *map(duration, (one.seconds, one.seconds / one.pixels * 1e6)), memory(one.peak_bytes), bar)
            for one, bar in zip(points, bars([one.seconds for one in points], logarithmic=True), strict=True)
        ],
        f"Left out: {left_out}, because {reasons}." if left_out else "",
    )
    yield Grid(
        "Growth with the styles",
        ("styles", "prepared once", "evaluation", "<time, linear"),
        [
            (f"{one.styles}", duration(one.prepare_seconds), duration(one.seconds), bar)
            for one, bar in zip(styles, bars([one.seconds for one in styles]), strict=True)
        ],
    )
    yield Grid(
        "Growth with the frames of the job",
        ("frames", "time", "memory so far", "<time, linear"),
        [
            (f"{count}", duration(seconds[count]), memory(job.peak_bytes_after[count]), bar)
            for count, bar in zip(seconds, bars(list(seconds.values())), strict=True)
        ],
    )
