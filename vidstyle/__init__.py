"""vidstyle: neural style transfer of video, of balance animations and of pictures.

    from vidstyle import animate_balance, encode_job, make_sheet, measure_clip, stylize_image, stylize_video
    from vidstyle import BalanceSettings, EncodeSettings, SheetSettings, ImageSettings, VideoSettings, RunOptions
    from vidstyle import Region, stylize, stylize_frames  # arrays in, arrays out

Importing the package is cheap, and changes nothing outside it; torch is imported when one of the functions is first
looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidstyle.errors import VidstyleError
from vidstyle.settings import BalanceSettings, EncodeSettings, ImageSettings, SheetSettings, VideoSettings
from vidstyle.system.version import __version__ as __version__
from vidstyle.types import Region, Result

if TYPE_CHECKING:
    from vidstyle.api import (
        RunOptions,
        animate_balance,
        encode_job,
        find_shots,
        make_mask,
        make_sheet,
        stylize,
        stylize_frames,
        stylize_image,
        stylize_video,
    )
    from vidstyle.lab.evaluate.figures import Measurement
    from vidstyle.lab.evaluate.report import measure_clip

__all__ = [
    "BalanceSettings",
    "EncodeSettings",
    "ImageSettings",
    "Measurement",
    "Region",
    "Result",
    "RunOptions",
    "SheetSettings",
    "VideoSettings",
    "VidstyleError",
    "animate_balance",
    "encode_job",
    "find_shots",
    "make_mask",
    "make_sheet",
    "measure_clip",
    "stylize",
    "stylize_frames",
    "stylize_image",
    "stylize_video",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vidstyle import api
        from vidstyle.lab.evaluate import report

        return next(getattr(module, name) for module in (api, report) if hasattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
