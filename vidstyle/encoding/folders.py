"""The sink that keeps every frame as a numbered PNG in a folder, for whoever edits them further."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from vidstyle.encoding.partfile import PartFile
from vidstyle.errors import DiskError, OutputExistsError, VidstyleError
from vidstyle.files import check_place

FORMAT = "vidstyle-frames-1"
TIMING = "timing.json"  # marks a folder as ours, and says when each frame is shown
OURS = re.compile(r"timing\.json|\d{6,}\.png")


class FolderSink(PartFile):
    """000000.png and so on, lossless, and `timing.json`; the folder appears when all of it is there."""

    def _start(self) -> None:
        self._folder = self.path.with_name(f".{self.path.name}.part")
        self._old = self.path.with_name(f".{self.path.name}.old")
        self._clean()  # of a run that was killed
        self._folder.mkdir()

    def _write(self, pixels: np.ndarray) -> None:
        encoded = io.BytesIO()  # Pillow does not notice when a disk is full
        Image.fromarray(pixels).save(encoded, "PNG")
        file = self._folder / f"{self._written:06d}.png"
        file.write_bytes(encoded.getvalue())
        with Image.open(file) as image:
            if not np.array_equal(np.asarray(image), pixels):
                raise VidstyleError(f"{file.name} does not read back as it was written; nothing was kept")

    def _finish(self) -> Path:
        timing = {"format": FORMAT, "fps": str(self.info.fps), "seconds": [float(time) for time in self.info.times]}
        (self._folder / TIMING).write_text(json.dumps(timing, indent=1) + "\n")
        return self._folder

    def _replace(self, part: Path) -> None:
        if not self.path.exists():
            os.rename(part, self.path)
            return
        refuse_foreign(self.path)
        os.rename(self.path, self._old)
        try:
            os.rename(part, self.path)
        except OSError:
            os.rename(self._old, self.path)
            raise

    def _clean(self) -> None:
        with suppress(OSError):
            if self._old.is_dir() and not self.path.exists():  # killed between two renames
                os.rename(self._old, self.path)
        for folder in (self._folder, self._old):
            shutil.rmtree(folder, ignore_errors=True)


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Find out before any work whether a folder of frames can be written.

    Raises:
        DiskError: the folder above is missing or cannot be written, or `path` is a file, or a folder of other things.
        OutputExistsError: the folder is there, with frames, and may not be replaced.
    """
    check_place(path)
    if path.exists():
        refuse_foreign(path)
        if any(path.iterdir()) and not overwrite:
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
