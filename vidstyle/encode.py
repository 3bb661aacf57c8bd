"""Encode the frames of a finished job anew, with other settings; nothing is painted.

from vidstyle import Settings, encode_job

encode_job("ride.mp4.job", ["small.gif", "small.webm"], Settings(frame_rate=12, width=320))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.checkpoint import JobFolder, file_hash, reopen_job
from vidstyle.errors import JobError, MediaError
from vidstyle.outputs import SOUNDING, check_outputs, export
from vidstyle.pictures import check_file
from vidstyle.playback import Playback
from vidstyle.settings import Settings
from vidstyle.show import Show

if TYPE_CHECKING:
    from vidstyle.media import Clip

File = str | Path


def encode_job(
    job: File, output: File | Sequence[File], settings: Settings | None = None, *, overwrite: bool = False
) -> Path:
    """Encode a finished job that was kept (`keep_job`) into other files.

    Args:
        job: its folder, OUTPUT.job.
        output: one or several, of the formats that the job could have made.
        settings: crf, plays, pingpong, holds, frame_rate, width and sound are read.
        overwrite: replace existing outputs.

    Returns:
        The path of the output; of several, of the first.

    Raises:
        VidstyleError: of the class that `vidstyle.errors` draws; `JobError` if the job is not finished.
    """
    settings = settings or Settings()
    with reopen_job(Path(job)) as folder:
        if folder.painted < folder.frames:
            raise JobError(
                f"{job} holds {folder.painted} of {folder.frames} frames; finish it with the command that began it"
            )
        moving = folder.manifest.get("job") != "image"
        paths = check_outputs(output, moving=moving, overwrite=overwrite, plays=settings.plays)
        show = Show(_playback(folder), settings, moving=moving)
        sound = None
        if settings.sound and any(path.suffix.lower() in SOUNDING for path in paths):
            sound = _sound(folder.manifest)
        export(folder, show, paths, settings, sound)
    return paths[0]


def _playback(folder: JobFolder) -> Playback:
    try:
        return Playback.from_json(folder.manifest["playback"])
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(
            f"{folder.path} does not say how its frames are played; run the command that made it once more, with -y "
            "and --keep-job: it paints nothing anew"
        ) from error


def _sound(manifest: dict[str, Any]) -> Clip | None:
    """The clip whose sound goes along; None if it has none."""
    name = manifest["playback"].get("clip")
    if name is None:
        return None
    from vidstyle.media import survey

    advice = "put the painted clip back there, whose sound goes along, or give --no-sound"
    try:
        check_file(name)
    except MediaError as error:
        raise MediaError(f"{error}; {advice}") from error
    if file_hash(name) != manifest["inputs"]["content"]:
        raise MediaError(f"{name} is not the clip that was painted; {advice}")
    painted = manifest["settings"]
    return survey(name, start=painted["start"], end=painted["end"])
