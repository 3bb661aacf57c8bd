"""The settings of the jobs: for each option its default, its help text, its range, and whether it changes the painting.

Each job has a class of its own, made of parts that say what they are about, and has its own defaults. A field has one
meaning in all classes that have it. Imports nothing heavy, so that `vidstyle --help` need not wait for torch.
"""

from vidstyle.settings.backgrounds import BackgroundSettings
from vidstyle.settings.fields import SCHEDULED, Field, Job, Settings, kinds, option_name, options, typed
from vidstyle.settings.jobs import (
    JOBS,
    OVERLAP,
    BalanceSettings,
    Direction,
    EncodeSettings,
    ImageSettings,
    SheetSettings,
    Space,
    VideoSettings,
    encodes,
)
from vidstyle.settings.keys import KeyFile, mask_file, renamed_mask
from vidstyle.settings.parts import (
    Deinterlace,
    Device,
    EncodingSettings,
    Flow,
    Hdr,
    KeySettings,
    Layout,
    MaskSettings,
    MixSettings,
    MotionSettings,
    Optimizer,
    PaintingSettings,
    PlaybackSettings,
    Precision,
    ReadingSettings,
    WarmStart,
)
from vidstyle.settings.presets import PRESETS
from vidstyle.settings.regions import RegionFiles, require_alpha, require_scale

__all__ = [
    "JOBS",
    "OVERLAP",
    "PRESETS",
    "SCHEDULED",
    "BackgroundSettings",
    "BalanceSettings",
    "Deinterlace",
    "Device",
    "Direction",
    "EncodeSettings",
    "EncodingSettings",
    "Field",
    "Flow",
    "Hdr",
    "ImageSettings",
    "Job",
    "KeyFile",
    "KeySettings",
    "Layout",
    "MaskSettings",
    "MixSettings",
    "MotionSettings",
    "Optimizer",
    "PaintingSettings",
    "PlaybackSettings",
    "Precision",
    "ReadingSettings",
    "RegionFiles",
    "Settings",
    "SheetSettings",
    "Space",
    "VideoSettings",
    "WarmStart",
    "encodes",
    "kinds",
    "mask_file",
    "option_name",
    "options",
    "renamed_mask",
    "require_alpha",
    "require_scale",
    "typed",
]
