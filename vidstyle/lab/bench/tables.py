"""Tables, for a terminal, of a benchmark and of temporal consistency. Nothing is printed here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from rich import box
from rich.bar import Bar
from rich.console import RenderableType
from rich.table import Table

from vidstyle.lab.bench.figures import BaselineSpeed, ConsistencyReport, JobSpeed, Report, Scaling, SyntheticClipFigures
from vidstyle.lab.evaluate.report.tables import Grid, number, share, shown, signed
from vidstyle.lab.evaluate.synthetic import HIDDEN

BAR = 20  # characters
NOT_DECODED = (
    " Decoding was not measured: the pictures were taken as they were drawn, since libraries that read and write clips "
    "are not installed here (`vidstyle doctor` names them)."
)
JUDGES = {"vidstyle": "vidstyle's loss", "baseline": "its own loss"}
RACE_RULES = (
    ". vidstyle paints from scratch with 1, 2, 3, 5, 8, 12, ... evaluations at each size, until the judge finds its "
    "picture as good; the time is that of the last try. Judged by the other's own loss, it minimises that one."
)


def tables(report: Report) -> Iterator[RenderableType]:
    """Everything in a report, in the order in which it is read."""
    machine, threads = report.machine, f", {report.machine.threads} threads" if report.machine.kind == "cpu" else ""
    yield f"{machine.device}{threads}, torch {machine.torch}, vidstyle {report.vidstyle}"
    yield (
        f"its limits in {machine.precision}: matrix product {si(machine.peak_flops)}FLOP/s "
        f"({machine.matrix_side}³), copy {si(machine.copy_bandwidth)}B/s"
    )
    yield f"clip: {report.clip}; style: {', '.join(report.styles)}"
    parts = [inner_loop(report), stages(report.job)]
    if report.baseline is not None:
        parts.append(against(report.baseline))
    if report.scaling is not None:
        parts += growth(report.scaling, report.job)
    for part in parts:
        yield ""
        yield part


def inner_loop(report: Report) -> Table:
    """An evaluation, a still, a warm-started frame, a job."""
    one, still, warm, job = report.evaluation, report.still, report.warm, report.job
    table = _table(
        f"{report.settings['network']}, {one.width}x{one.height} pixels, {report.machine.precision}",
        "",
        ">measured",
        "",
    )
    sizes = "at one size" if still.scales == 1 else f"at the last of {still.scales} sizes, coarse to fine"
    used = "tensors on the device" if report.machine.kind == "cuda" else "the whole process"
    begins = "decoding" if job.decoded else "decoded pictures"
    rows = [
        ("an evaluation: loss and gradient", duration(one.seconds), ""),
        (f"  its {si(one.flops)}FLOP", f"{one.peak_fraction:.1%}", "of the matrix product's rate"),
        (f"  its {si(one.traffic)}B at the least", f"{one.bandwidth_fraction:.1%}", "of the copy's rate"),
        ("an iteration: that and a step", duration(one.iteration_seconds), "as a job runs it"),
        ("a still, from scratch", duration(still.seconds), f"{still.evaluations} evaluations {sizes}"),
        (
            "a warm-started frame",
            duration(warm.seconds),
            f"{warm.evaluations:g} evaluations; median of {warm.frames}",
        ),
        ("the same frame from scratch", duration(warm.cold_seconds), f"{warm.speedup:.1f} times as long"),
        ("  style loss, warm / scratch", f"{warm.style_ratio:.2f}", "1 = as good, above 1 = worse"),
        ("  content loss, warm / scratch", f"{warm.content_ratio:.2f}", "the same"),
        (f"a job of {job.frames} frames, not encoded", duration(job.seconds), f"{begins} to saved frames"),
        ("  all its frames", f"{job.frames_per_second:.3g}", "frames a second"),
        ("  those after the first", f"{job.later_frames_per_second or 0:.3g}", "frames a second"),
        ("  its memory at the most", memory(job.peak_bytes), used),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def stages(job: JobSpeed) -> Table:
    """Where the time of a job goes."""
    table = _table(
        f"Where the {duration(job.seconds)} of the job go", "stage", "thread", ">whole job", ">share", ">later frame"
    )
    for stage in job.stages:
        later = "" if stage.frame_seconds is None else duration(stage.frame_seconds)
        share = f"{stage.seconds / job.seconds:.1%}"
        table.add_row(stage.name, stage.thread, duration(stage.seconds), share, later)
    table.caption = (
        f"The loop waited for the others {job.waiting:.1%} of the time; all other stages together take "
        f"{job.overlap:.2f} times the wall time. Ahead and behind are threads beside the loop; a later frame is one "
        "after the first."
    )
    if not job.decoded:
        table.caption += NOT_DECODED
    return table


def against(baseline: BaselineSpeed) -> Table:
    """vidstyle beside the textbook program."""
    table = _table(
        f"The textbook program: the still in {baseline.steps} steps, {baseline.evaluations} evaluations, "
        f"{duration(baseline.seconds)}",
        "judged by", ">it ends at", ">vidstyle", ">evaluations", ">time", ">faster",
    )  # fmt: skip
    for race in baseline.races:
        faster = f"{race.speedup:.1f} times" if race.reached else "not reached"
        losses = f"{race.wanted:.4g}", f"{race.loss:.4g}"
        table.add_row(JUDGES[race.judge], *losses, f"{race.evaluations}", duration(race.seconds), faster)
    table.caption = (
        f"One of its evaluations takes {baseline.evaluation_ratio:.1f} times as long as one of vidstyle's. Its own "
        f"loss (alpha {baseline.alpha:g}) went from {baseline.first_loss:.4g} after the first step to "
        f"{baseline.last_loss:.4g}"
    )
    table.caption += RACE_RULES if baseline.races else "; it diverged, so there is nothing to compare with."
    return table


def growth(scaling: Scaling, job: JobSpeed) -> Iterator[Table]:
    """How the cost grows with pixels, styles and frames."""
    sizes = _table("Growth with the size", "long side", ">evaluation", ">per megapixel", ">memory", "time, logarithmic")
    bars = log_bars([point.seconds for point in scaling.sizes])
    for point, bar in zip(scaling.sizes, bars, strict=True):
        each = duration(point.seconds / point.pixels * 1e6)
        sizes.add_row(f"{point.size}", duration(point.seconds), each, memory(point.peak_bytes), bar)
    reasons = dict.fromkeys(scaling.left_out.values())
    if reasons:
        sizes.caption = f"Left out: {', '.join(map(str, scaling.left_out))}, because {'; '.join(reasons)}."
    yield sizes
    styles = _table("Growth with the styles", "styles", ">prepared once", ">evaluation", "time, linear")
    bars = linear_bars([point.seconds for point in scaling.styles])
    for one, bar in zip(scaling.styles, bars, strict=True):
        styles.add_row(f"{one.styles}", duration(one.prepare_seconds), duration(one.seconds), bar)
    yield styles
    frames = _table("Growth with the frames of the job", "frames", ">time", ">memory so far", "time, linear")
    bars = linear_bars(list(job.seconds_after.values()))
    for (count, seconds), bar in zip(job.seconds_after.items(), bars, strict=True):
        frames.add_row(f"{count}", duration(seconds), memory(job.peak_bytes_after[count]), bar)
    yield frames


def consistency(report: ConsistencyReport) -> Iterator[RenderableType]:
    """Films whose motion is known, in the order in which it is read."""
    one, used = report.clips[0], report.settings
    yield (
        f"{used['network']}, {one.width}x{one.height} pixels, {one.frames} frames each, alpha {used['alpha']}, "
        f"vidstyle {report.vidstyle}"
    )
    yield f"picture: {report.picture}; style: {', '.join(report.styles)}"
    for grid in (flicker(report.clips), price(report.clips), cost(report.clips)):
        yield ""
        yield shown(grid)


def flicker(clips: Sequence[SyntheticClipFigures]) -> Grid:
    """Warping errors."""
    rows = []
    for label, clip in zip(_labels(clips), clips, strict=True):
        errors = clip.consistency
        row = errors.warping.mean, errors.warping.worst, errors.input_warping.mean, clip.warping_ratio
        rows.append((label, *map(number, row), number(clip.return_ratio) if clip.returns else ""))
    return Grid(
        "Flicker where the motion is known",
        ("clip", "error", "worst", "input", "÷ anew", "returns ÷ anew"),
        tuple(rows),
        "Warping error of neighbours along the exact motion (mean squared difference, RGB in [0, 1]); the input's own "
        "is what resampling and noise leave. ÷ anew: beside the error of frames painted from scratch, 1 = as much "
        f"flicker as without any memory. Returns: the same of what was hidden for {HIDDEN} frames, since before.",
    )


def price(clips: Sequence[SyntheticClipFigures]) -> Grid:
    """What consistency costs."""
    rows = []
    for label, clip in zip(_labels(clips), clips, strict=True):
        beside, drift, luma = clip.independence, clip.drift, clip.drift.corrected_luma
        sharp = drift.sharpness.least, drift.sharpness.most, drift.sharpness.last, drift.corrected_sharpness.last
        distances = number(beside.style_ratio), number(beside.content_ratio)
        rows.append((label, *distances, *map(share, sharp), signed(max(luma.least, luma.most, key=abs))))
    return Grid(
        "What it costs",
        ("clip", "style", "content", "dullest", "sharpest", "last", "÷ input", "luma"),
        tuple(rows),
        "Style and content distance, beside those of frames from scratch: above 1 = worse. Sharpness (mean length of "
        "the gradient) of the later frames as a share of the first one's; ÷ input: the last, beside the input's own "
        "share. Luma: the largest drift since the first frame beyond the input's own, in 1/255; paint does not follow "
        "the input's light one for one, so where the view changes that is not all drift.",
    )


def cost(clips: Sequence[SyntheticClipFigures]) -> Grid:
    """The estimated motion, and the time."""
    rows = []
    for label, clip in zip(_labels(clips), clips, strict=True):
        errors = ("–" if math.isnan(x) else f"{x:.3f}" for x in (clip.flow_error.mean, clip.flow_error.worst))
        times = clip.seconds, clip.flow_seconds, clip.warp_seconds
        rows.append((label, *errors, f"{clip.evaluations:.1f}", *map(duration, times), share(clip.motion_share)))
    return Grid(
        "The estimated motion, and the time of a frame",
        ("clip", "error", "worst", "evals", "painting", "flow", "warp", "share"),
        tuple(rows),
        "Error: pixels from the exact flow, mean of a frame. Evaluations and times of a frame after the first; flow: "
        "with its masks, beside the painting; warp: carrying paintings along it, part of the painting; share: of both, "
        "in the time that flow and painting take together.",
    )


def _labels(clips: Sequence[SyntheticClipFigures]) -> Iterator[str]:
    """The name of each clip; of one that is painted once more, how."""
    before = None
    for clip in clips:
        yield clip.clip if clip.clip != before else f"  {clip.warm_start}"
        before = clip.clip


def log_bars(values: Sequence[float]) -> list[Bar]:
    """A bar for each positive value; an equal ratio is an equal length."""
    low, high = math.log(min(values) / 2), math.log(max(values))
    return [Bar(high - low, 0, math.log(value) - low, width=BAR) for value in values]


def linear_bars(values: Sequence[float]) -> list[Bar]:
    """A bar for each value, from zero."""
    return [Bar(max(values), 0, value, width=BAR) for value in values]


def duration(seconds: float) -> str:
    """Like 1.23 ms, 170 ms, 2.31 s, 35.2 s, 12.3 min."""
    if seconds < 1:
        return f"{_three(seconds * 1e3)} ms"
    return f"{_three(seconds)} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def memory(size: int | None) -> str:
    """Bytes, like 1.25 GB."""
    return "unknown" if size is None else f"{si(size)}B"


def si(number: float) -> str:
    """Three digits and a prefix: 172 G, 1.25 M."""
    power = min(max(int(math.log10(max(number, 1)) // 3), 0), 4)
    return f"{_three(number / 1000**power)} {' kMGT'[power].strip()}"


def _three(number: float) -> str:
    """Three digits, none of them as a power of ten."""
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _table(title: str, *columns: str) -> Table:
    """A table; columns that begin with > are set to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left", box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        side: Literal["right", "left"] = "right" if column.startswith(">") else "left"
        table.add_column(column.removeprefix(">"), justify=side, no_wrap=place == 0)
    return table
