"""What the outputs of a call depend on, found out without painting; all that needs no frame is checked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vidstyle.core import networks
from vidstyle.jobs.arguments import RunOptions
from vidstyle.jobs.folder.inputs import file_hash, hash_of
from vidstyle.jobs.output.export import Outputs, check_outputs
from vidstyle.jobs.sources.clips import is_picture
from vidstyle.jobs.task_inputs import File
from vidstyle.jobs.tasks import Task
from vidstyle.media.stills import pictures
from vidstyle.media.stills.sequence import input_files
from vidstyle.settings import PaintingSettings, ReadingSettings, SheetSettings, VideoSettings
from vidstyle.system import libraries
from vidstyle.system.files import disk_errors

FIRST_FRAME = 0.001  # seconds of a clip that are decoded to see whether it is one


def dependencies(
    content: File, styles: Sequence[File], outputs: Outputs, settings: PaintingSettings, run: RunOptions
) -> Mapping[str, str]:
    """Hashes of the inputs, of the font and of the networks, by what they are. The arguments are those of a call.

    A clip is opened, not decoded: damage further on shows when it is painted.

    Raises:
        VidstyleError: the call cannot work, as far as that is known without the frames.
    """
    if isinstance(settings, SheetSettings) and not styles:
        check_outputs(outputs, moving=False, overwrite=run.overwrite, inputs=[content])
        _require_clip(content, settings)
        return {"content": hash_of(input_files(Path(content)))}
    task = Task(content, styles, outputs, settings, run)
    if isinstance(settings, VideoSettings) or (isinstance(settings, SheetSettings) and not is_picture(content)):
        _require_clip(content, settings)
    else:
        pictures.load_picture(content, enough=settings.size)
        task.mask()
        task.region_masks()
    found = dict(task.inputs.hashes) | {"network": networks.fingerprint(task.network)}
    if task.estimator is not None:
        found["flow"] = task.estimator.fingerprint
    if font := task.encoding.font:
        with disk_errors(Path(font)):
            found["font"] = file_hash(font)
    return found


def _require_clip(content: File, settings: ReadingSettings) -> None:
    """Raise `MediaError` if what is to be a clip has no first frame."""
    libraries.require("reading a clip", "av")
    from vidstyle.media.video import survey  # not at the top: it needs the libraries of clips

    survey(content, end=FIRST_FRAME, rate=settings.input_fps, deinterlace=settings.deinterlace, hdr=settings.hdr)
