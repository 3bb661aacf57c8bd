"""`vidstyle doctor`: what vidstyle finds on a machine, and the command that installs what is missing."""

from __future__ import annotations

import functools
import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from vidstyle.compose import lettering
from vidstyle.core import networks
from vidstyle.errors import JobError, VidstyleError
from vidstyle.jobs.folder.inputs import file_hash
from vidstyle.jobs.folder.layout import LOG
from vidstyle.motion import raft
from vidstyle.system import facts, libraries, limits, memory, weightfile

ENOUGH_MEMORY = 3 * 10**8  # bytes: a picture of 512x512 pixels with the compact network
ENOUGH_DISK = 2 * 10**9  # bytes: a minute of 1080p frames and their state
NEEDED = {  # modules, and the packages that they are in
    "vidstyle.system.opencv": "opencv-python",
    "PIL.Image": "pillow",
    "safetensors.torch": "safetensors",
    **{name: name for name in ("torchvision", "numpy", "filelock", "rich", "jinja2")},
}


@dataclass(frozen=True)
class Finding:
    """What a check has found."""

    text: str
    ok: bool = True  #: False if a job would fail
    mend: str = ""  #: what to do about it, or how to have more


def examine() -> dict[str, Finding]:
    """Check everything that a job needs; what is found of each subject."""
    return {subject: _checked(check) for subject, check in CHECKS.items()}


def report(job: Path | None = None) -> list[str]:
    """Lines for a report of a bug: this machine, and what the log of a job folder holds. Raises `JobError`."""
    lines = [f"{'ok' if one.ok else 'MISSING'} {name}: {facts.scrubbed(one.text)}" for name, one in examine().items()]
    if job is None:
        return [*facts.machine(), *lines]
    log = job / LOG
    if not log.is_file():
        raise JobError(f"{job} holds no {LOG}; give the folder of a job, OUTPUT.job")
    return [*facts.machine(), *lines, f"{LOG}:", *log.read_text(errors="replace").splitlines()]


def _checked(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except VidstyleError as error:
        return Finding(f"{error}", ok=False, mend="pip install --force-reinstall --no-deps vidstyle")
    except Exception as error:  # a library that is broken may raise anything
        return Finding(f"{type(error).__name__}: {error}", ok=False, mend="pip install --upgrade vidstyle")


def _device() -> Finding:
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return Finding(f"cuda, {torch.cuda.get_device_name()}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
    text = f"cpu, {torch.get_num_threads()} threads; no CUDA device (torch {torch.__version__})"
    if torch.backends.mps.is_available():
        return Finding(text, mend="maybe faster: --device mps, on which no test has run")
    return Finding(text, mend="faster: a CUDA device, and the torch build that fits its driver")


def _libraries() -> Finding:
    for name, package in NEEDED.items():
        try:
            importlib.import_module(name)
        except ImportError as error:
            mend = f"pip install --force-reinstall {package}"
            return Finding(f"{name} cannot be imported ({error})", ok=False, mend=mend)
    return Finding(f"torch {torch.__version__}, {', '.join(NEEDED.values())}")


def _memory() -> Finding:
    free, host = memory.available(torch.device("cpu")), limits.host_available()
    if free is None:
        return Finding("unknown on this system")
    limited = " below the limit of a control group or of ulimit" if host is not None and free < host else ""
    enough = free > ENOUGH_MEMORY
    return Finding(f"{free / 1e9:.1f} GB free{limited}", enough, "" if enough else "end other programs")


def _clips() -> Finding:
    if lacking := libraries.missing():
        text = f"cannot be read or written without {', '.join(lacking)}; stills can"
        return Finding(text, ok=False, mend=libraries.pip_install(lacking))
    from vidstyle.system import ffmpeg  # not at the top: it needs one of those libraries

    return Finding(ffmpeg.version())


def _lettering() -> Finding:
    if not lettering.available():
        text = "cannot be drawn: this Pillow has no FreeType"
        return Finding(text, ok=False, mend="pip install --upgrade pillow")
    return Finding(f"{' '.join(map(str, lettering.face(16).getname()))}, or a font file")


def _compact() -> Finding:
    network = networks.compact()
    count = sum(parameter.numel() for parameter in network.parameters())
    return Finding(f"embedded, {count / 1e6:.2f} M parameters, {networks.fingerprint(network)[:12]}")


def _weights(url: str, size: str, asks: str, gives: str) -> Finding:
    path, wanted = weightfile.downloaded(url), weightfile.promised(url)
    if not path.exists():
        mend = f"the first job with {asks} downloads them ({size}); offline, give a file with {gives}"
        return Finding("not downloaded", mend=mend)
    if not (found := file_hash(path)).startswith(wanted):
        return Finding(f"{path} is damaged (sha256 {found[:8]}, not {wanted})", False, f"rm '{path}'")
    return Finding(f"{path}, sha256 {found[:12]}")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free > ENOUGH_DISK
    return Finding(f"{free / 1e9:.1f} GB free in {Path.cwd()}", enough, "" if enough else "free some space")


CHECKS: dict[str, Callable[[], Finding]] = {
    "device": _device,
    "libraries": _libraries,
    "memory": _memory,
    "clips": _clips,
    "text in pictures": _lettering,
    "compact network": _compact,
    "VGG-19 weights": functools.partial(_weights, networks.VGG19_URL, "548 MB", "--network vgg19", "--weights"),
    "RAFT weights": functools.partial(_weights, raft.LARGE.url, "21 MB", "--flow raft", "--flow-weights"),
    "disk": _disk,
}
