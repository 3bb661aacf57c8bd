"""The parts that the settings of the jobs are made of, by what they are about."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal, Self

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime
from vidstyle.settings.backgrounds import BackgroundSettings
from vidstyle.settings.fields import Settings, options
from vidstyle.settings.keys import KeyFile
from vidstyle.settings.presets import PRESETS
from vidstyle.settings.regions import RegionFiles
from vidstyle.system.sites import SITES, bytes_of
from vidstyle.system.values import HEAVIEST, LARGEST, LEAST_SIDE, LONG_SIDE, SLOWEST, setting

Device = Literal["auto", "cuda", "mps", "cpu"]
Precision = Literal["auto", "float32", "bfloat16"]
Optimizer = Literal["lbfgs", "adam"]
Flow = Literal["dis", "raft", "raft-small"]
WarmStart = Literal["warped", "previous", "none"]
Deinterlace = Literal["auto", "off"]
Hdr = Literal["tonemap", "refuse"]
StyleMetric = Literal["wasserstein", "gram"]
Objective = Literal["normalized", "blog"]
Site = Literal["anywhere", "github", "slack", "web"]
Layout = Literal["plain", "pair", "triptych", "wipe"]
# Fields of several classes that have no part in common.
OF_NORMALIZED = "content_focus", "recolor", "match_colors", "style_metric"  # read for normalised losses alone
OF_MOVED = "warm_start", "temporal_weight", "long_term", "flow", "loop"  # the same of a clip
OF_PAINTED = (  # read where more than colours is painted
    *("content_layers", "content_focus", "style_layers", "style_layer_weights", "style_metric", "style_scale"),
    *("recolor", "match_colors", "preserve_color", "tv_weight", "init", "objective", "optimizer", "coarse_to_fine"),
)
ALPHA = functools.partial(setting, 0.4, "Balance of content and style: 1 = all content, 0 = all style.", low=0, high=1)
TEMPORAL_WEIGHT = functools.partial(
    setting,
    0.03,
    "Weight of the temporal loss: the difference from the warped previous pastiche, where nothing is occluded.",
    low=0,
    high=HEAVIEST,
)
WIDTH = functools.partial(
    setting,
    None,
    "Width of the outputs in pixels, if smaller than the painting.",
    low=LEAST_SIDE,
    high=LARGEST,
    paints=False,
)
METADATA = functools.partial(
    setting,
    True,
    "Write the settings and the hashes of the inputs into the metadata of the outputs; vidstyle show prints them.",
    paints=False,
)


@dataclass(frozen=True, kw_only=True)
class PaintingSettings(Settings):
    """How a picture is painted: network, losses, optimiser, scales and device. Every job that paints has them."""

    size: int = setting(
        512, "Long side of the result in pixels; the input is never enlarged, and 0 keeps its size.", **LONG_SIDE
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
        "wasserstein", "Distance of two styles: wasserstein (of Gaussians of the features), or gram (of Gram matrices)."
    )
    recolor: float = setting(
        1.0,
        "How far the content gets the styles' colours before it is painted, 0 to 1; less as alpha nears 1.",
        low=0,
        high=1,
    )
    match_colors: float = setting(
        0.7,
        "How far the painting's colours are matched to the styles', 0 to 1; less as alpha nears 1.",
        low=0,
        high=1,
    )
    style_scale: float = setting(
        1.0, "Size of the style relative to the result: below 1 finer strokes, above 1 coarser.", above=0, high=8
    )
    preserve_color: OverTime = setting(0.0, "How far the content's own colours are preserved, 0 to 1.", low=0, high=1)
    tv_weight: float = setting(
        0.05, "Weight of the total variation loss beside the style loss; smooths the result.", low=0, high=HEAVIEST
    )
    init: str = setting(
        "content", "What a still or the first frame of a shot starts from: content, noise, or a picture file."
    )
    objective: Objective = setting(
        "normalized", "normalized: both losses are about 1 at the start; blog: raw losses, as in the post."
    )
    coarse_to_fine: bool = setting(True, "Paint a still or the first frame of a shot at small sizes first.")
    colors_only: bool = setting(
        False, "Give the content the styles' colours and nothing else: no stroke is painted, and it takes a moment."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory is not None:
            bytes_of(self.memory, "--memory")
        normalized = self.objective == "normalized"
        self._require_read(normalized, "--objective normalized", *OF_NORMALIZED)
        self._require_read(not self.colors_only, "a painting without --colors-only", *OF_PAINTED)
        for option, layers in (("--style-layers", self.style_layers), ("--content-layers", self.content_layers)):
            if not layers:
                raise UsageError("--style-layers and --content-layers need at least one layer each")
            if twice := next((layer for layer in layers if layers.count(layer) > 1), None):
                raise UsageError(f"{option} names {twice!r} twice; name each layer once")
        if weights := self.style_layer_weights:
            if len(weights) != len(self.style_layers):
                raise UsageError(
                    f"--style-layer-weights has {len(weights)} numbers for {len(self.style_layers)} style layers"
                )
            if not any(weights):
                raise UsageError("--style-layer-weights must not be all zeros")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """The settings of a named preset, as far as the job has them, with `changes` on top.

        Raises `UsageError` for an unknown name.
        """
        if name not in PRESETS:
            raise UsageError(f"there is no preset {name!r}; presets: {', '.join(PRESETS)}")
        own = {option: value for option, value in PRESETS[name].items() if option in options(cls)}
        return cls(**{**own, **changes})

    @property
    def memory_limit(self) -> int | None:
        """The bytes of the device's memory that may be used; None for what is free."""
        return None if self.memory is None else bytes_of(self.memory, "--memory")


@dataclass(frozen=True, kw_only=True)
class MixSettings(Settings):
    """How several styles are blended in one painting."""

    mix: tuple[OverTime, ...] = setting(
        (), "Share of each style, blended in their statistics; all equal when empty.", low=0, high=HEAVIEST
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mix and not any(self.mix):
            raise UsageError("--mix must not be all zeros")

    def shares(self, styles: int) -> tuple[OverTime, ...]:
        """The share of each of `styles` style images. Raises `UsageError` if `mix` has another length."""
        mix = self.mix or (1.0,) * styles
        if len(mix) != styles:
            raise UsageError(f"--mix has {len(mix)} numbers for {styles} style image(s); give one for each")
        return mix


@dataclass(frozen=True, kw_only=True)
class MaskSettings(Settings):
    """Where a picture is painted, and where in which style."""

    mask: str | None = setting(
        None,
        "Where to paint: a picture, or for a clip as many of them, a clip, a folder or a pattern; white is painted, "
        "grey in part, and elsewhere the content stays. Transparency counts instead if there is any. key:FILE@FRAME is "
        "the mask of one frame of a clip, carried through its shot.",
    )
    feather: float = setting(
        4.0,
        "Pixels inside the border of the mask over which the painting fades into the content, and across the border of "
        "a region over which the styles blend.",
        low=0,
        high=1000,
    )
    region: tuple[str, ...] = setting(
        (),
        "A part of the picture with a style of its own: a mask as --mask takes it, and a style picture; of STYLE#MASK "
        "only what is white in that mask. Give it again for more regions; a later one lies over an earlier.",
        repeated="MASK=STYLE[,alpha=A][,scale=S]",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "region", tuple(str(RegionFiles.parsed(text)) for text in self.region))

    @property
    def regions(self) -> tuple[RegionFiles, ...]:
        """The regions, in their order."""
        return tuple(map(RegionFiles.parsed, self.region))


@dataclass(frozen=True, kw_only=True)
class KeySettings(Settings):
    """Frames of a clip that are painted already: key frames."""

    first: tuple[str, ...] = setting(
        (),
        "The first frame as somebody has painted it: the painting starts from that picture, in its style; with @FRAME, "
        "that of the shot that begins there. Give it again for more shots.",
        repeated="FILE[@FRAME]",
    )
    key: tuple[str, ...] = setting(
        (),
        "Another frame that is painted already, by its number as --shots counts: the painting is led to it and goes on "
        "from it. Give it again for more.",
        repeated="FRAME=FILE",
    )
    first_weight: float = setting(
        1.0,
        "Share of these pictures in the style, beside STYLE; at 1 STYLE does not count, and they are their frames.",
        low=0,
        high=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "first", tuple(KeyFile.of_first(text).as_first() for text in self.first))
        object.__setattr__(self, "key", tuple(KeyFile.of_key(text).as_key() for text in self.key))
        self._require_read(bool(self.keys), "--first or --key", "first_weight")

    @property
    def keys(self) -> tuple[KeyFile, ...]:
        """The key frames, in their order; those of `first` come first."""
        return (*map(KeyFile.of_first, self.first), *map(KeyFile.of_key, self.key))


@dataclass(frozen=True, kw_only=True)
class ReadingSettings(Settings):
    """How a clip is read: which part of it, its cuts, its fields, its light."""

    start: float = setting(0.0, "Second of the clip at which painting starts.", low=0, high=LARGEST)
    end: float | None = setting(None, "Second of the clip before which painting stops.", above=0, high=LARGEST)
    cuts: bool = setting(True, "Detect cuts, and paint each shot without a warm start from the one before.")
    deinterlace: Deinterlace = setting("auto", "auto: deinterlace a clip that is marked interlaced; off: do not.")
    hdr: Hdr = setting("tonemap", "HDR clips: tonemap to SDR, or refuse.")
    input_fps: float | None = setting(
        None, "Frames per second of a clip that is an image sequence; 25 if empty.", above=0, high=240
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end is not None and self.end <= self.start:
            raise UsageError(f"--end {self.end:g} must come after --start {self.start:g}")


@dataclass(frozen=True, kw_only=True)
class MotionSettings(Settings):
    """How a frame of a clip is painted from those before it: warm start, optical flow, temporal loss."""

    iterations: int = setting(
        40, "Evaluations of the loss for a warm-started frame, at most, at its full size.", low=1, high=LARGEST
    )
    warm_tolerance: float = setting(
        0.1,
        "The same for a warm-started frame, looked at after 3 evaluations and then after every five more.",
        low=0,
        high=1,
    )
    warm_start: WarmStart = setting(
        "warped",
        "What a frame starts from: the previous pastiche warped along the optical flow (warped), that pastiche as it "
        "is (previous), or --init (none).",
    )
    temporal_weight: OverTime = TEMPORAL_WEIGHT()
    long_term: tuple[int, ...] = setting(
        (3, 6, 9),
        "How many frames back to look for what is occluded in the previous frame; empty for none.",
        low=2,
        high=64,
    )
    flow: Flow = setting(
        "dis",
        "Estimator of the optical flow: dis (dense inverse search), raft or raft-small (networks; slower, for small "
        "objects that move far).",
    )
    flow_weights: str | None = setting(
        None, "RAFT's weights: a torchvision checkpoint or a safetensors file; torchvision's are downloaded when empty."
    )
    boil: float = setting(
        0.0,
        "Share of each frame that is painted anew, in patches that change from frame to frame: a living line.",
        low=0,
        high=1,
    )
    loop: bool = setting(False, "Lead the last frames of the painting back to its first, for a clip that loops.")

    def __post_init__(self) -> None:
        super().__post_init__()
        warped, warm = self.warm_start == "warped", self.warm_start != "none"
        self._require_read(self.flow != "dis", "--flow raft or raft-small", "flow_weights")
        self._require_read(warped or self.loop, "--warm-start warped", "flow")
        self._require_read(warm, "--warm-start warped or previous", "loop", "boil", "iterations", "warm_tolerance")
        self._require_read(warped, "--warm-start warped", "long_term", "temporal_weight")
        if getattr(self, "colors_only", False):
            self._require_read(False, "a painting without --colors-only", *OF_MOVED)


@dataclass(frozen=True, kw_only=True)
class EncodingSettings(BackgroundSettings):
    """How painted frames become outputs: quality, size, layout, words. None of them changes a painting."""

    crf: int = setting(18, "Quality of MP4, WebM, WebP and AVIF: 0 best, 51 worst.", low=0, high=51, paints=False)
    plays: int = setting(
        0,
        "How often a GIF, WebP, AVIF or APNG is played: a number, once or forever (0).",
        low=0,
        high=65535,
        words={"forever": 0, "once": 1},
        paints=False,
    )
    hold_first: float = setting(0.0, "Seconds to hold the first frame.", low=0, high=60, paints=False)
    hold_last: float = setting(
        0.0, "Seconds to hold the last frame, or the turning point.", low=0, high=60, paints=False
    )
    width: int | None = WIDTH()
    layout: Layout = setting(
        "plain",
        "What is shown: plain (the painting), pair (content | painting), triptych (content | painting | style), or "
        "wipe (a line moves there and back, the content left of it).",
        paints=False,
    )
    gauge: bool = setting(False, "Show a gauge of alpha, between content and style, under the picture.", paints=False)
    caption: str | None = setting(None, "Text under the picture.", paints=False)
    title: str | None = setting(None, "Text of a title card before the first frame.", paints=False)
    title_seconds: float = setting(2.0, "Seconds for which the title card is shown.", above=0, high=60, paints=False)
    font: str | None = setting(
        None, "Font file (.ttf, .otf) of caption and title; the embedded one knows English letters only.", paints=False
    )
    poster: str | None = setting(None, "PNG to write with one representative frame.", paints=False)
    figure: str | None = setting(
        None, "JSON file to write for an article: caption, alt text, parameters, outputs and HTML.", paints=False
    )
    max_size: str | None = setting(
        None,
        "Largest size of an output, like 5MB or 900kB (not PNG); the least visible reductions are made.",
        paints=False,
    )
    site: Site = setting(
        "anywhere", "Site where it will be shown; sets --max-size and a largest --width.", flag="for", paints=False
    )
    metadata: bool = METADATA()

    def __post_init__(self) -> None:
        super().__post_init__()
        titled = self.title is not None
        self._require_read(titled, "--title", "title_seconds")
        self._require_read(titled or self.caption is not None, "--caption or --title", "font")
        if self.max_size is not None:
            bytes_of(self.max_size)

    @property
    def limit(self) -> int | None:
        """The bytes that an output may take; None if that does not matter."""
        site = SITES.get(self.site)
        text = self.max_size or (site.max_size if site else None)
        return bytes_of(text) if text else None


@dataclass(frozen=True, kw_only=True)
class PlaybackSettings(Settings):
    """How the frames of a clip, or of a finished job, are played."""

    pingpong: bool = setting(False, "Append the frames in reverse order.", paints=False)
    fps: float | None = setting(
        None, "Frames per second of the outputs, if not those of the clip.", low=SLOWEST, high=120, paints=False
    )
    sound: bool = setting(True, "Keep the sound in MP4 and WebM.", paints=False)
