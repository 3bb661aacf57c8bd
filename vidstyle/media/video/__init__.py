"""Clips: the only modules that open video, through PyAV.

`containers` opens a file, `clock` knows when its frames are shown, `colors` makes them sRGB, `fields` deinterlaces
them, `reader` brings these together, and `clip` is what the rest of vidstyle sees.
"""

from vidstyle.media.video.clip import Clip, survey, transparent
from vidstyle.media.video.containers import CLIP_FORMATS, open_container, sound_tracks

__all__ = ["CLIP_FORMATS", "Clip", "open_container", "sound_tracks", "survey", "transparent"]
