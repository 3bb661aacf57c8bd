"""The tree of errors, with one exit code for each class. Only the command line turns a class into an exit.

VidstyleError              1  a bug in vidstyle, or an unforeseen error
├── UsageError             2  an option, a suffix or a combination that is invalid, or not possible on this machine
├── MediaError             3  an input that is missing, damaged, empty or not what its name says
├── OutputExistsError      4  the output exists and is not to be overwritten
├── MemoryLimitError       5  the picture does not fit the device, or memory ran out
├── DivergedError          6  the optimisation of a frame produced no finite picture
├── DiskError              7  the output folder is missing, read-only or full
├── WeightsError           8  network weights are missing, damaged or of another network
├── JobError               9  the job folder belongs to other inputs or settings, or to a running process
├── SizeError             10  an output cannot be made as small as --max-size says
└── EncodingError         11  an output cannot be made of the painted frames, which are kept

Each text says what was got, what is wanted and what to do. A signal that asks to stop exits with 128 and its number:
130 SIGINT (Ctrl-C), 143 SIGTERM, 129 SIGHUP. Nobody reading the output, as in `vidstyle doctor | head -1`, is 141.
"""

from __future__ import annotations


class VidstyleError(Exception):
    """Base of the tree; the text is written for the person at the keyboard."""

    exit_code = 1


class UsageError(VidstyleError):
    """An option, a suffix or a combination that is invalid, or not possible on this machine."""

    exit_code = 2


class MediaError(VidstyleError):
    """An input that is missing, damaged, empty or not what its name says."""

    exit_code = 3


class OutputExistsError(VidstyleError):
    """The output exists and is not to be overwritten."""

    exit_code = 4


class MemoryLimitError(VidstyleError):
    """The picture does not fit the device, or memory ran out."""

    exit_code = 5


class DivergedError(VidstyleError):
    """The optimisation of a frame produced no finite picture."""

    exit_code = 6


class DiskError(VidstyleError):
    """The output folder is missing, read-only or full."""

    exit_code = 7


class WeightsError(VidstyleError):
    """Network weights are missing, damaged or of another network."""

    exit_code = 8


class JobError(VidstyleError):
    """The job folder belongs to other inputs or settings, or to a running process."""

    exit_code = 9


class SizeError(VidstyleError):
    """An output cannot be made as small as --max-size says."""

    exit_code = 10


class EncodingError(VidstyleError):
    """An output cannot be made of the painted frames, which are kept."""

    exit_code = 11
