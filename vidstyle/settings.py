"""The settings of a job: for each option its default, its help text, its range, and the jobs that it applies to.

Imports nothing heavy, so that `vidstyle --help` need not wait for torch.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime, settled
from vidstyle.system.sites import SITES, bytes_of
from vidstyle.system.values import (
    HEAVIEST,
    LARGEST,
    LEAST_SIDE,
    LONG_SIDE,
    SLOWEST,
    converted,
    out_of_range,
    said,
    setting,
)

Job = Literal["video", "balance", "image", "sheet", "encode"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Precision = Literal["auto", "float32", "bfloat16"]
Optimizer = Literal["lbfgs", "adam"]
Flow = Literal["dis", "raft", "raft-small"]
WarmStart = Literal["warped", "previous", "none"]
Space = Literal["even", "linear"]
Direction = Literal["forward", "backward", "both"]
Deinterlace = Literal["auto", "off"]
Hdr = Literal["tonemap", "refuse"]
StyleMetric = Literal["wasserstein", "gram"]
Objective = Literal["normalized", "blog"]
Site = Literal["anywhere", "github", "slack", "web"]
Layout = Literal["plain", "pair", "triptych", "wipe"]
ENCODING: dict[str, Any] = {"only": ("video", "balance", "encode"), "paints": False}
RECODING = ENCODING | {"only": ("video", "encode")}
SCHEDULED = (OverTime, OverTime | None, tuple[OverTime, ...])  # the kinds of settings that may change over time


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every choice a render depends on. Raises `UsageError` for a value outside its range.

    What is `OverTime` is a number or a text like "0s:1, end:0" (see `schedule`), kept in its shortest spelling.
    """

    alpha: OverTime = setting(
        0.4, "Balance of content and style: 1 = all content, 0 = all style.", low=0, high=1, only=("video", "image")
    )
    alphas: tuple[float, ...] = setting(
        (),
        "Balance of content and style in each column; when empty, 1,.95,.8,.5,.3,0 for a picture and .5 for a clip.",
        low=0,
        high=1,
        only=("sheet",),
    )
    size: int = setting(
        512,
        "Long side of the result in pixels; the input is never enlarged, and 0 keeps its size.",
        only=("video", "balance", "image"),
        **LONG_SIDE,
    )
    sheet_size: int = setting(
        256,
        "Long side of each picture in pixels; the input is never enlarged, and 0 keeps its size.",
        only=("sheet",),
        flag="size",
        **LONG_SIDE,
    )
    network: str = setting("compact", "compact (embedded), vgg19, or a file made by vidstyle.lab.distill.")
    weights: str | None = setting(None, "VGG-19 weights: a torchvision checkpoint or a features-only safetensors file.")
    device: Device = setting("auto", "Where to compute; auto takes CUDA, else the CPU.")
    precision: Precision = setting(
        "auto",
        "Number format inside the network: float32 (TF32 on CUDA), bfloat16, or auto: bfloat16 where it is native.",
    )
    cuda_graphs: bool = setting(True, "On CUDA, record an iteration once as a CUDA graph and replay it.", paints=False)
    low_memory: bool = setting(False, "Keep fewer activations: larger pictures fit the memory, in a third more time.")
    memory: str | None = setting(
        None, "Memory of the device that may be used, like 6GB, instead of what is counted as free.", paints=False
    )
    seed: int = setting(0, "Seed of the random numbers.", low=0, high=2**32 - 1)
    iterations: int = setting(
        40, "Evaluations of the loss for a warm-started frame, at most.", low=1, high=LARGEST, only=("video",)
    )
    animation_iterations: int = setting(
        12,
        "Evaluations of the loss for a frame of the animation, at most.",
        low=1,
        high=LARGEST,
        only=("balance",),
        flag="iterations",
    )
    first_iterations: int = setting(
        40,
        "Evaluations of the loss at each scale, at most, for a still or the first frame of a shot.",
        low=1,
        high=LARGEST,
    )
    tolerance: float = setting(
        5e-4,
        "Stop a still or first frame when five evaluations lower the loss by less than this fraction.",
        low=0,
        high=1,
    )
    warm_tolerance: float = setting(
        0.03,
        "The same for a warm-started frame, which then takes few evaluations where little has changed.",
        low=0,
        high=1,
        only=("video",),
    )
    optimizer: Optimizer = setting("lbfgs", "L-BFGS or Adam.")
    content_layers: tuple[str, ...] = setting(("relu4_2",), "Layers whose features are compared with the content's.")
    content_focus: float = setting(
        1.0,
        "How much less plain areas of the content count than detailed ones: 0 equally, 1 in proportion to the "
        "variance of their features.",
        low=0,
        high=4,
    )
    style_layers: tuple[str, ...] = setting(
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        "Layers whose features are compared with the style's by --style-metric.",
    )
    style_layer_weights: tuple[float, ...] = setting(
        (),
        "Weight of each style layer; when empty, half as much for each deeper block, or with gram all equal.",
        low=0,
        high=HEAVIEST,
    )
    style_metric: StyleMetric = setting(
        "wasserstein",
        "Distance of two styles: wasserstein (of Gaussians of the features), or gram (of Gram matrices).",
    )
    recolor: float = setting(
        1.0,
        "How far the content gets the styles' colours before it is painted, 0 to 1; less as alpha nears 1.",
        low=0,
        high=1,
    )
    style_scale: float = setting(
        1.0, "Size of the style relative to the result: below 1 finer strokes, above 1 coarser.", above=0, high=8
    )
    mix: tuple[OverTime, ...] = setting(
        (),
        "Share of each style, blended in their statistics; all equal when empty.",
        low=0,
        high=HEAVIEST,
        only=("video", "balance", "image"),
    )
    preserve_color: OverTime = setting(0.0, "How far the content's own colours are preserved, 0 to 1.", low=0, high=1)
    tv_weight: float = setting(
        0.05, "Weight of the total variation loss beside the style loss; smooths the result.", low=0, high=HEAVIEST
    )
    init: str = setting(
        "content",
        "What a still or the first frame of a shot starts from: content, noise, or a picture file.",
    )
    objective: Objective = setting(
        "normalized", "normalized: both losses are about 1 at the start; blog: raw losses, as in the post."
    )
    coarse_to_fine: bool = setting(True, "Paint a still or the first frame of a shot at small sizes first.")
    warm_start: WarmStart = setting(
        "warped",
        "What a frame starts from: the previous pastiche warped along the optical flow (warped), that pastiche as it "
        "is (previous), or --init (none).",
        only=("video",),
    )
    temporal_weight: OverTime = setting(
        0.03,
        "Weight of the temporal loss: the difference from the warped previous pastiche, where nothing is occluded.",
        low=0,
        high=HEAVIEST,
        only=("video", "balance"),
    )
    long_term: tuple[int, ...] = setting(
        (3, 6, 9),
        "How many frames back to look for what is occluded in the previous frame; empty for none.",
        low=2,
        high=64,
        only=("video",),
    )
    flow: Flow = setting(
        "dis",
        "Estimator of the optical flow: dis (dense inverse search), raft or raft-small (networks; slower, for small "
        "objects that move far).",
        only=("video",),
    )
    flow_weights: str | None = setting(
        None,
        "RAFT's weights: a torchvision checkpoint or a safetensors file; torchvision's are downloaded when empty.",
        only=("video",),
    )
    loop: bool = setting(
        False,
        "Lead the last frames of the painting back to its first, for a clip that loops.",
        only=("video",),
    )
    cuts: bool = setting(
        True,
        "Detect cuts, and paint each shot without a warm start from the one before.",
        only=("video", "sheet"),
    )
    start: float = setting(
        0.0,
        "Second of the clip at which painting starts.",
        low=0,
        high=LARGEST,
        only=("video", "sheet"),
    )
    end: float | None = setting(
        None, "Second of the clip before which painting stops.", above=0, high=LARGEST, only=("video", "sheet")
    )
    deinterlace: Deinterlace = setting(
        "auto", "auto: deinterlace a clip that is marked interlaced; off: do not.", only=("video", "sheet")
    )
    input_fps: float | None = setting(
        None,
        "Frames per second of a clip that is an image sequence; 25 if empty.",
        above=0,
        high=240,
        only=("video", "sheet"),
    )
    hdr: Hdr = setting("tonemap", "HDR clips: tonemap to SDR, or refuse.", only=("video", "sheet"))
    seconds: float = setting(4.0, "Length of the animation.", above=0, high=3600, only=("balance",))
    fps: float = setting(12.0, "Frames per second of the animation.", low=SLOWEST, high=120, only=("balance",))
    animation_alpha: OverTime | None = setting(
        None, "Alpha over time, instead of --from and --to.", low=0, high=1, only=("balance",), flag="alpha"
    )
    alpha_from: float = setting(1.0, "Alpha at the start.", low=0, high=1, only=("balance",), flag="from")
    alpha_to: float = setting(0.0, "Alpha at the turning point.", low=0, high=1, only=("balance",), flag="to")
    bounce: bool = setting(
        True, "Play back to the start, so that the animation loops without a seam.", only=("balance",)
    )
    space: Space = setting(
        "even",
        "even: the picture changes by equal steps between keys, found by pilot renders; linear: alpha does.",
        only=("balance",),
    )
    direction: Direction = setting(
        "forward",
        "forward: painted from the content towards the style, whichever is shown first; backward: from the style; "
        "both: each way is painted as it is shown.",
        only=("balance",),
    )
    timelapse: bool = setting(
        False, "Show how the painting develops at one --alpha, instead of the balance.", only=("balance",)
    )
    bits: int = setting(
        8,
        "Bits per channel: 8, or 16 in PNG and TIFF, from the painting before rounding.",
        low=8,
        high=16,
        only=("image",),
        paints=False,
    )
    crf: int = setting(18, "Quality of MP4, WebM, WebP and AVIF: 0 best, 51 worst.", low=0, high=51, **ENCODING)
    plays: int = setting(
        0,
        "How often a GIF, WebP, AVIF or APNG is played: a number, once or forever (0).",
        low=0,
        high=65535,
        words={"forever": 0, "once": 1},
        **ENCODING,
    )
    pingpong: bool = setting(False, "Append the frames in reverse order.", **RECODING)
    hold_first: float = setting(0.0, "Seconds to hold the first frame.", low=0, high=60, **ENCODING)
    hold_last: float = setting(0.0, "Seconds to hold the last frame, or the turning point.", low=0, high=60, **ENCODING)
    frame_rate: float | None = setting(
        None,
        "Frames per second of the outputs, if not those of the clip.",
        low=SLOWEST,
        high=120,
        flag="fps",
        **RECODING,
    )
    width: int | None = setting(
        None,
        "Width of the outputs in pixels, if smaller than the painting.",
        low=LEAST_SIDE,
        high=LARGEST,
        **ENCODING | {"only": ("video", "balance", "sheet", "encode")},
    )
    layout: Layout = setting(
        "plain",
        "What is shown: plain (the painting), pair (content | painting), triptych (content | painting | style), or "
        "wipe (a line moves there and back, the content left of it).",
        **ENCODING,
    )
    gauge: bool = setting(False, "Show a gauge of alpha, between content and style, under the picture.", **ENCODING)
    caption: str | None = setting(None, "Text under the picture.", **ENCODING)
    title: str | None = setting(None, "Text of a title card before the first frame.", **ENCODING)
    title_seconds: float = setting(2.0, "Seconds for which the title card is shown.", above=0, high=60, **ENCODING)
    font: str | None = setting(
        None, "Font file (.ttf, .otf) of caption and title; the embedded one knows English letters only.", **ENCODING
    )
    poster: str | None = setting(None, "PNG to write with one representative frame.", **ENCODING)
    figure: str | None = setting(
        None, "JSON file to write for an article: caption, alt text, parameters, outputs and HTML.", **ENCODING
    )
    sound: bool = setting(True, "Keep the sound in MP4 and WebM.", **RECODING)
    max_size: str | None = setting(
        None,
        "Largest size of an output, like 5MB or 900kB (not PNG); the least visible reductions are made.",
        **ENCODING,
    )
    site: Site = setting(
        "anywhere", "Site where it will be shown; sets --max-size and a largest --width.", flag="for", **ENCODING
    )

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            kind, name = kinds()[option.name], option_name(option)
            value = converted(getattr(self, option.name), kind, name)
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(get_args(kind))}")
            if kind in SCHEDULED:
                value = settled(value, name, functools.partial(out_of_range, option))
            object.__setattr__(self, option.name, value)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and (wish := out_of_range(option, number)):
                    raise UsageError(f"{name} is {said(number)}; it must be {wish}")
        _require_together(self)
        if self.max_size is not None:
            bytes_of(self.max_size)
        if self.memory is not None:
            bytes_of(self.memory, "--memory")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Settings:
        """The settings of a named preset, with `changes` on top. Raises `UsageError` for an unknown name."""
        if name not in PRESETS:
            raise UsageError(f"there is no preset {name!r}; presets: {', '.join(PRESETS)}")
        return cls(**{**PRESETS[name], **changes})

    @property
    def limit(self) -> int | None:
        """The bytes that an output may take; None if that does not matter."""
        site = SITES.get(self.site)
        text = self.max_size or (site.max_size if site else None)
        return bytes_of(text) if text else None

    @property
    def memory_limit(self) -> int | None:
        """The bytes of the device's memory that may be used; None for what is free."""
        return None if self.memory is None else bytes_of(self.memory, "--memory")

    def shares(self, styles: int) -> tuple[OverTime, ...]:
        """The share of each of `styles` style images. Raises `UsageError` if `mix` has another length."""
        mix = self.mix or (1.0,) * styles
        if len(mix) != styles:
            raise UsageError(f"--mix has {len(mix)} numbers for {styles} style image(s); give one for each")
        return mix


@functools.cache
def kinds() -> dict[str, Any]:
    """The type of each setting."""
    return get_type_hints(Settings)


OPTIONS = {option.name: option for option in dataclasses.fields(Settings)}
PRESETS: dict[str, dict[str, Any]] = {
    # The program of the blog post this method is best known from: 31 outer steps of 20 evaluations, from noise.
    "blog": {
        "network": "vgg19",
        "objective": "blog",
        "precision": "float32",
        "alpha": 0.5,
        "content_layers": ("conv2_2",),
        "style_layers": ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
        "init": "noise",
        "coarse_to_fine": False,
        "first_iterations": 620,
        "tolerance": 0.0,
        "tv_weight": 0.0,
    },
    # The losses of vidstyle 0.2, which painted clips with --warm-tolerance .01.
    "gatys": {
        "alpha": 0.3,
        "style_metric": "gram",
        "content_focus": 0.0,
        "recolor": 0.0,
        "tv_weight": 0.0,
        "first_iterations": 80,
    },
}


def option_name(option: dataclasses.Field[Any]) -> str:
    """The command-line spelling of a field of `Settings`."""
    return "--" + (option.metadata["flag"] or option.name).replace("_", "-")


def typed(value: object) -> str:
    """A setting as it is written on the command line: a list with commas, with semicolons if schedules are in it."""
    parts = [str(part) for part in (value if isinstance(value, tuple) else (value,))]
    return ("; " if any(":" in part for part in parts) else ",").join(parts)


# Settings that are read only beside others: which, their option, whether those are as they must be, and what they are.
BELONGS: tuple[tuple[str, str, Callable[[Any], bool], str], ...] = (
    ("title_seconds", "--title-seconds", lambda its: its.title is not None, "--title"),
    ("font", "--font", lambda its: its.title is not None or its.caption is not None, "--caption or --title"),
    ("flow_weights", "--flow-weights", lambda its: its.flow != "dis", "--flow raft or raft-small"),
    ("flow", "--flow", lambda its: its.warm_start == "warped" or its.loop, "--warm-start warped"),
    ("loop", "--loop", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("long_term", "--long-term", lambda its: its.warm_start == "warped", "--warm-start warped"),
    ("temporal_weight", "--temporal-weight", lambda its: its.warm_start == "warped", "--warm-start warped"),
    ("iterations", "--iterations", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("warm_tolerance", "--warm-tolerance", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("temporal_weight", "--temporal-weight", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("alpha_from", "--from", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("alpha_to", "--to", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("content_focus", "--content-focus", lambda its: its.objective == "normalized", "--objective normalized"),
    ("recolor", "--recolor", lambda its: its.objective == "normalized", "--objective normalized"),
    ("style_metric", "--style-metric", lambda its: its.objective == "normalized", "--objective normalized"),
)


def _require_together(its: Any) -> None:
    """Raise `UsageError` if the settings contradict each other, or one of them is not used beside the others."""
    for name, option, read, what in BELONGS:
        if getattr(its, name) != getattr(type(its), name) and not read(its):
            raise UsageError(f"{option} belongs to {what}; give that, too, or leave it out")
    if its.bits not in (8, 16):
        raise UsageError(f"--bits is {its.bits}; it must be 8 or 16")
    if its.end is not None and its.end <= its.start:
        raise UsageError(f"--end {its.end:g} must come after --start {its.start:g}")
    if its.animation_alpha is not None and (its.alpha_from, its.alpha_to) != (1.0, 0.0):
        raise UsageError("--alpha says all that --from and --to do; give it without them")
    if its.style_layer_weights and len(its.style_layer_weights) != len(its.style_layers):
        raise UsageError(
            f"--style-layer-weights has {len(its.style_layer_weights)} numbers for {len(its.style_layers)} style layers"
        )
    for option, layers in (("--style-layers", its.style_layers), ("--content-layers", its.content_layers)):
        if not layers:
            raise UsageError("--style-layers and --content-layers need at least one layer each")
        if twice := next((layer for layer in layers if layers.count(layer) > 1), None):
            raise UsageError(f"{option} names {twice!r} twice; name each layer once")
    for option, weights in (("--mix", its.mix), ("--style-layer-weights", its.style_layer_weights)):
        if weights and not any(weights):
            raise UsageError(f"{option} must not be all zeros")
