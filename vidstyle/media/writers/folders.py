"""The sink of a folder: every frame as a numbered PNG, for further editing."""

from __future__ import annotations

import io
import json
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from vidstyle.errors import DiskError, EncodingError, OutputExistsError
from vidstyle.media.writers.atomic import AtomicWriter
from vidstyle.system.files import appeared, check_place, flush
from vidstyle.system.renames import exchange, rename_new

FORMAT = "vidstyle-frames-1"
TIMING = "timing.json"  # marks a folder as ours, and says when each frame is shown
OURS = re.compile(r"timing\.json|\d{6,}\.png")


class FolderSink(AtomicWriter):
    """000000.png and so on, lossless, and `timing.json`; the folder appears when all of it is there."""

    def _start(self) -> None:
        self._frames = self._part("")
        self._frames.mkdir()

    def _write(self, pixels: np.ndarray) -> None:
        encoded = io.BytesIO()  # Pillow does not notice when a disk is full
        Image.fromarray(pixels).save(encoded, "PNG")
        file = self._frames / f"{self._written:06d}.png"
        file.write_bytes(encoded.getvalue())
        flush(file)
        with Image.open(file) as image:
            if not np.array_equal(np.asarray(image), pixels):
                raise EncodingError(f"{file.name} in {self.path} does not read back as it was written")

    def _finish(self) -> Path:
        info = self.info
        seconds = [float(time) for time in info.times]
        timing = {"format": FORMAT, "fps": str(info.fps), "seconds": seconds, "end": float(info.seconds)}
        (self._frames / TIMING).write_text(json.dumps(timing, indent=1) + "\n")
        flush(self._frames / TIMING)
        return self._frames

    def _replace(self, part: Path) -> None:
        """Put the folder in its place; an old one changes places with it, and goes with what else is left."""
        flush(part)
        place = self._place
        if not os.path.lexists(place):
            try:
                rename_new(part, place)
            except FileExistsError as error:
                raise appeared(self.path) from error
        else:
            refuse_foreign(place)
            if any(place.iterdir()) and not self.overwrite:
                raise appeared(self.path)
            _exchange(part, place, aside=self._part(".old"))
        flush(place.parent)


def _exchange(new: Path, old: Path, aside: Path) -> None:
    """Exchange two folders, at once where the system can. Raises `DiskError` if the old one just got other files."""
    if exchange(new, old):
        aside = new
    else:
        os.rename(old, aside)
        try:
            os.rename(new, old)
        except OSError:
            os.rename(aside, old)
            raise
    try:
        refuse_foreign(aside)
    except DiskError:
        if not exchange(aside, old):
            os.rename(old, new)
            os.rename(aside, old)
        raise


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a folder of frames can be written.

    Raises:
        DiskError: the folder above is missing or cannot be written, or `path` is a file, or a folder of other things.
        OutputExistsError: the folder is there, with frames, and may not be replaced.
    """
    place = check_place(path)
    if os.path.lexists(place):
        refuse_foreign(place)
        if any(place.iterdir()) and not overwrite:
            raise OutputExistsError(f"output {path} is there already; give -y to replace it, or another name")


def refuse_foreign(path: Path) -> None:
    """Raise `DiskError` unless `path` is an empty folder or one that holds frames of vidstyle and nothing else."""
    if not path.is_dir():
        raise DiskError(f"output {path} is a file; give another name for the folder of frames")
    files = list(path.iterdir())
    ours = not files
    with suppress(OSError, ValueError, AttributeError):
        ours = ours or json.loads((path / TIMING).read_bytes()).get("format") == FORMAT
    if not ours or not all(OURS.fullmatch(file.name) and file.is_file() for file in files):
        raise DiskError(f"the folder {path} holds files that are no frames of vidstyle; give the name of a new folder")
