"""Available memory on Linux: free memory, control groups and resource limits.

Every function reads the files below `root`, so that any system can be described by a folder. Nothing here needs torch.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path("/")
RESERVE = 500 * 10**6  # bytes of address space: the stacks and heaps of threads, and code that oneDNN writes, took 340
KINDS = {"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}  # a resource limit, and its line in /proc/self/status


class Group(NamedTuple):
    """The names that a version of control groups gives its files and their lines."""

    kind: str  #: of the mounted file system
    limits: tuple[str, ...]
    used: str
    prefix: str  #: of the lines of memory.stat that count all groups below, too


VERSIONS = (
    Group("cgroup2", ("memory.max", "memory.high"), "memory.current", ""),
    Group("cgroup", ("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_"),
)


def available(root: Path = ROOT) -> int | None:
    """Bytes that this process can still take, by the tightest of all limits; None where the system does not say."""
    found = [host_available(root), groups_available(root), rlimits_available(root)]
    return min((size for size in found if size is not None), default=None)


def host_available(root: Path = ROOT) -> int | None:
    """Bytes that the whole system has left, as the kernel estimates: without swap, with page cache it can drop."""
    return _kilobytes(root / "proc/meminfo").get("MemAvailable")


def resident(pid: int, root: Path = ROOT) -> int | None:
    """Bytes of memory that a process has now; None if there is no such process, or the system does not say."""
    return _kilobytes(root / f"proc/{pid}/status").get("VmRSS")


def groups_available(root: Path = ROOT) -> int | None:
    """Bytes left to the control group of this process, and to each one above it; None where none is limited."""
    found = [size for folder, group in _groups(root) if (size := _left(folder, group)) is not None]
    return min(found, default=None)


def rlimits_available(root: Path = ROOT, limits: Mapping[str, int] | None = None) -> int | None:
    """Bytes left below RLIMIT_AS and RLIMIT_DATA (`ulimit -v`, `-d`), with some in reserve; None without a limit.

    Args:
        limits: bytes by name; those of this process if None.
    """
    used = _kilobytes(root / "proc/self/status")
    limits = rlimits() if limits is None else limits
    left = [limit - used[KINDS[name]] - RESERVE for name, limit in limits.items() if KINDS[name] in used]
    return max(0, min(left)) if left else None


def rlimits() -> dict[str, int]:
    """The resource limits on this process's memory that are set, in bytes, by name."""
    if sys.platform != "linux":  # elsewhere they do not exist, or are not enforced
        return {}
    import resource

    soft = {name: resource.getrlimit(getattr(resource, name))[0] for name in KINDS}
    return {name: limit for name, limit in soft.items() if limit != resource.RLIM_INFINITY}


def _groups(root: Path) -> Iterator[tuple[Path, Group]]:
    """The folder of each memory group that holds this process, from its own up to the top that can be seen."""
    own = [line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines() if line.count(":") >= 2]
    paths = {"cgroup2": next((path for number, _, path in own if number == "0"), None)}
    paths["cgroup"] = next((path for _, names, path in own if "memory" in names.split(",")), None)
    for line in _text(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        fields, (name, _, options) = place.split(), [*kind.split(), "", "", ""][:3]
        own_path = paths.get(name)
        if own_path is None or len(fields) < 5 or (name == "cgroup" and "memory" not in options.split(",")):
            continue
        top = root / _unescaped(fields[4]).lstrip("/")
        mounted, path = PurePosixPath(_unescaped(fields[3])), PurePosixPath(own_path)
        # A container may see only its own group, under a path that is named from outside of it.
        below = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
        folder = top / below if ".." not in below.parts else top
        group = next(group for group in VERSIONS if group.kind == name)
        yield from ((place, group) for place in (folder, *folder.parents) if place.is_relative_to(top))


def _left(folder: Path, group: Group) -> int | None:
    """Bytes below the limit of one group. Page cache counts as left unless it is mapped: it goes when it has to."""
    texts = [_text(folder / name).strip() for name in group.limits]
    limits = [int(text) for text in texts if text.isdecimal()]
    used = _text(folder / group.used).strip()
    if not limits or not used.isdecimal():
        return None
    lines = [line.split() for line in _text(folder / "memory.stat").splitlines()]
    stat = {pair[0].removeprefix(group.prefix): int(pair[1]) for pair in lines if pair[0].startswith(group.prefix)}
    mapped = stat.get("file_mapped", stat.get("mapped_file", 0))
    cache = max(0, stat.get("inactive_file", 0) + stat.get("active_file", 0) - mapped)
    return max(0, min(limits) - max(0, int(used) - cache))


def _kilobytes(path: Path) -> dict[str, int]:
    """The sizes, in bytes, of a file with lines like `VmSize:  1234 kB`."""
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", _text(path), re.MULTILINE)}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # there is none, or it may not be read
        return ""


def _unescaped(path: str) -> str:
    """A path of /proc/self/mountinfo: blanks and the like are octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
