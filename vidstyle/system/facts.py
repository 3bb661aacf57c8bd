"""Facts for a bug report, without the names of folders and people."""

from __future__ import annotations

import functools
import os
import platform
import re
import shlex
import sys
import sysconfig
import traceback
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from vidstyle.errors import VidstyleError
from vidstyle.system import libraries, limits, memory
from vidstyle.system.version import __version__

PACKAGES = (
    *("torch", "torchvision", "numpy", "opencv-python", "opencv-python-headless", "pillow", "pillow-heif", "av"),
    *("imageio", "imageio-ffmpeg", "safetensors", "filelock", "typer", "rich", "ray"),
)
HOMES = re.compile(r"[/\\](?:home|Users)[/\\][^/\\]+(?=[/\\])")
ABSOLUTE = re.compile(r"(?<![\w./\\~…:])(?:file:)?(?:[A-Za-z]:)?[/\\](?:[^/\\\s'\",;:()]+[/\\])+")  # folders of a path


def machine() -> list[str]:
    """Lines that say on what vidstyle runs."""
    packages = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    return [
        f"vidstyle {__version__}, Python {platform.python_version()}, {system()}",
        f"packages: {', '.join(packages)}",
        f"ffmpeg: {_ffmpeg()}",
        f"device: {_device()}; {os.cpu_count()} processors, {torch.get_num_threads()} threads of torch",
        f"memory: {_memory()}",
        f"encodings: {sys.stdout.encoding if sys.stdout else None}, file names {sys.getfilesystemencoding()}",
    ]


def system() -> str:
    """The operating system and the processor's kind. `platform.platform` would start a program to find out more."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def options(given: Mapping[str, Any]) -> str:
    """Options as they were typed, in a line; of a file only its suffix."""
    shown = (f"--{name.replace('_', '-')} {_shown(value)}" for name, value in given.items() if value is not None)
    return f"options: {' '.join(shown) or 'none'}"


def trace(error: BaseException) -> str:
    """The traceback of an error."""
    return scrubbed("".join(traceback.format_exception(error)).rstrip())


def scrubbed(text: str) -> str:
    """`text` with folders left out of every absolute path. Those of code begin with their package."""
    code = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")} | {
        str(Path(__file__).resolve().parents[2])
    }
    for folder in sorted(code, key=len, reverse=True):
        text = text.replace(folder + os.sep, "")
    for folder in {str(Path.home()), os.getcwd()} - {os.sep}:
        text = text.replace(folder + os.sep, "…/")  # they may have blanks in them
    return ABSOLUTE.sub("…/", HOMES.sub("/…", text))


def _shown(value: Any) -> str:
    text = str(value)
    return f"FILE{Path(text).suffix}" if os.sep in text or Path(text).suffix[1:].isalpha() else shlex.quote(text)


@functools.cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@functools.cache
def _ffmpeg() -> str:
    if libraries.missing():
        return "not looked for without " + ", ".join(libraries.missing())
    from vidstyle.system import ffmpeg  # not at the top: it needs one of those libraries

    try:
        return ffmpeg.version()
    except VidstyleError as error:
        return scrubbed(str(error))


def _device() -> str:
    if torch.cuda.is_available():
        return (
            f"cuda, {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        )
    return "cpu; mps is there, for --device mps" if torch.backends.mps.is_available() else "cpu"


def _memory() -> str:
    free, host, limited = memory.available(torch.device("cpu")), limits.host_available(), limits.rlimits()
    if free is None:
        return "unknown on this system"
    below = " in the limits of a control group or of ulimit" if host is not None and free < host else ""
    return f"{free / 1e9:.1f} GB free{below}" + "".join(
        f", {name} {size / 1e9:.1f} GB" for name, size in limited.items()
    )
