"""The settings of each job, with its defaults. What a job does not use, its class does not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from vidstyle.errors import UsageError
from vidstyle.schedule import OverTime, constant
from vidstyle.settings.backgrounds import BackgroundSettings
from vidstyle.settings.fields import Field, Job, Settings, options
from vidstyle.settings.parts import (
    ALPHA,
    METADATA,
    TEMPORAL_WEIGHT,
    WIDTH,
    EncodingSettings,
    KeySettings,
    MaskSettings,
    MixSettings,
    MotionSettings,
    PaintingSettings,
    PlaybackSettings,
    ReadingSettings,
)
from vidstyle.system.values import LARGEST, LONG_SIDE, SLOWEST, setting

Space = Literal["even", "linear"]
Direction = Literal["forward", "backward", "both"]
OVERLAP = 16  # frames at the seam of a shot that is split


@dataclass(frozen=True, kw_only=True)
class VideoSettings(
    PlaybackSettings,
    EncodingSettings,
    MotionSettings,
    ReadingSettings,
    KeySettings,
    MaskSettings,
    MixSettings,
    PaintingSettings,
):
    """Settings of `stylize_video`: a clip, each frame painted from the one before."""

    job: ClassVar[Job] = "video"
    alpha: OverTime = ALPHA()
    split_after: int | None = setting(
        None,
        f"Split a shot of more frames into parts that workers paint at the same time; {OVERLAP} frames at each seam "
        "are painted twice and blended.",
        low=2 * OVERLAP,
        high=LARGEST,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_read(self.warm_start == "warped", "--warm-start warped", "first", "key")
        self._require_read(self.warm_start != "none", "--warm-start warped or previous", "split_after")
        if self.loop and self.split_after is not None:
            raise UsageError(
                "--loop leads the end of a clip to its beginning, so no part is on its own; leave out --split-after"
            )
        self._require_read(not self.colors_only, "a painting without --colors-only", "first", "key")


@dataclass(frozen=True, kw_only=True)
class BalanceSettings(EncodingSettings, MaskSettings, MixSettings, PaintingSettings):
    """Settings of `animate_balance`: one picture, painted again and again while alpha changes."""

    job: ClassVar[Job] = "balance"
    alpha: OverTime | None = setting(None, "Alpha over time, instead of --from and --to.", low=0, high=1)
    alpha_from: float = setting(1.0, "Alpha at the start.", low=0, high=1, flag="from")
    alpha_to: float = setting(0.0, "Alpha at the turning point.", low=0, high=1, flag="to")
    seconds: float = setting(4.0, "Length of the animation.", above=0, high=3600)
    fps: float = setting(12.0, "Frames per second of the animation.", low=SLOWEST, high=120)
    iterations: int = setting(12, "Evaluations of the loss for a frame of the animation, at most.", low=1, high=LARGEST)
    temporal_weight: OverTime = TEMPORAL_WEIGHT()
    bounce: bool = setting(True, "Play back to the start, so that the animation loops without a seam.")
    space: Space = setting(
        "even", "even: the picture changes by equal steps between keys, found by pilot renders; linear: alpha does."
    )
    direction: Direction = setting(
        "forward",
        "forward: painted from the content towards the style, whichever is shown first; backward: from the style; "
        "both: each way is painted as it is shown.",
    )
    timelapse: bool = setting(False, "Show how the painting develops at one --alpha, instead of the balance.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_read(not self.colors_only, "a painting without --colors-only", "timelapse", "temporal_weight")
        balance = "a balance without --timelapse"
        self._require_read(not self.timelapse, balance, "temporal_weight", "alpha_from", "alpha_to")
        if self.alpha is not None and (self.alpha_from, self.alpha_to) != (1.0, 0.0):
            raise UsageError("--alpha says all that --from and --to do; give it without them")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """The same; a preset's alpha is that of a timelapse, since a balance goes through all alphas."""
        return super().preset(name, **changes if changes.get("timelapse") else {"alpha": None, **changes})


@dataclass(frozen=True, kw_only=True)
class ImageSettings(BackgroundSettings, MaskSettings, MixSettings, PaintingSettings):
    """Settings of `stylize_image`: one picture, painted once. None of its numbers may change over time."""

    job: ClassVar[Job] = "image"
    alpha: OverTime = ALPHA()
    bits: int = setting(
        8,
        "Bits per channel: 8, or 16 in PNG and TIFF, from the painting before rounding.",
        low=8,
        high=16,
        paints=False,
    )
    metadata: bool = METADATA()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits not in (8, 16):
            raise UsageError(f"--bits is {self.bits}; it must be 8 or 16")
        constant(self.alpha, "--alpha")
        constant(self.preserve_color, "--preserve-color")
        for share in self.mix:
            constant(share, "--mix")


@dataclass(frozen=True, kw_only=True)
class SheetSettings(BackgroundSettings, ReadingSettings, PaintingSettings):
    """Settings of `make_sheet`: small pictures, each painted as a still, on one sheet."""

    job: ClassVar[Job] = "sheet"
    size: int = setting(
        256, "Long side of each picture in pixels; the input is never enlarged, and 0 keeps its size.", **LONG_SIDE
    )
    alphas: tuple[float, ...] = setting(
        (),
        "Balance of content and style in each column; when empty, 1,.95,.8,.5,.3,0 for a picture and .4 for a clip.",
        low=0,
        high=1,
    )
    width: int | None = WIDTH()
    metadata: bool = METADATA()

    def __post_init__(self) -> None:
        super().__post_init__()
        constant(self.preserve_color, "--preserve-color")
        if self.background == "none":
            raise UsageError("--background none is for one painting, and a sheet has a ground of its own; leave it out")


@dataclass(frozen=True, kw_only=True)
class EncodeSettings(PlaybackSettings, EncodingSettings):
    """Settings of `encode_job`: outputs of a finished job, of which nothing is painted anew."""

    job: ClassVar[Job] = "encode"

    @classmethod
    def of(cls, settings: Settings) -> EncodeSettings:
        """The encoding that the settings of a job ask for."""
        own = [option.name for option in options(type(settings)).values() if encodes(option)]
        return cls(**{name: getattr(settings, name) for name in own})


JOBS: dict[Job, type[Settings]] = {
    kind.job: kind for kind in (VideoSettings, BalanceSettings, ImageSettings, SheetSettings, EncodeSettings)
}


def encodes(option: Field) -> bool:
    """Whether a field of some job only says how outputs are made of painted frames, as `EncodeSettings` do."""
    return option.name in options(EncodeSettings) and not option.metadata["paints"]
