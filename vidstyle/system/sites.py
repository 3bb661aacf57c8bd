"""File sizes as people write them, and the limits of sites that show moving pictures (`--for`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vidstyle.errors import UsageError

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
MOST = 10**15  # bytes; nothing is larger
LEAST = 1000  # bytes; no moving picture is smaller
LOOKED_UP = "2026-11-25"


@dataclass(frozen=True)
class Site:
    """What a site takes, and who says so; looked up on the day `LOOKED_UP`."""

    max_size: str
    width: int  #: pixels; more are not shown
    words: str  #: of the source
    source: str  #: its address


SITES: dict[str, Site] = {
    "github": Site(
        max_size="5MB",
        width=838,
        words="'GitHub caps them at 5MB', says the author of the proxy through which pictures in a README go; "
        "attachments may have 10 MB (docs.github.com, Attaching files). The width is ours: about a README's column.",
        source="https://github.com/atmos/camo/issues/95",
    ),
    "slack": Site(
        max_size="2MB",
        width=480,
        words="'Heard back from Slack that approximately 2MB is the threshold they use for whether to display a "
        "preview of an animated gif on iOS.' The width is ours: a conversation shows little more.",
        source="https://github.com/andyet/face.camp/issues/34",
    ),
    "web": Site(
        max_size="1MB",
        width=800,
        words="Both ours: no site forbids more, but Lighthouse measures a whole page against 1,600 KiB.",
        source="https://developer.chrome.com/docs/lighthouse/performance/total-byte-weight/",
    ),
}


def bytes_of(text: str, name: str = "--max-size") -> int:
    """The bytes that a text like "5MB", "900 kB", "1.5MiB" or "300000" says.

    Args:
        name: of the option, for messages.

    Raises:
        UsageError: it says none, or so few that no moving picture fits.
    """
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in UNITS:
        raise UsageError(f"{name} is {text!r}; give a size like 5MB, 900kB, 2MiB or a number of bytes")
    size = int(min(float(found[1]) * UNITS[found[2]], MOST))
    if size < LEAST:
        raise UsageError(f"{name} is {text!r}; no moving picture fits into less than {LEAST} bytes")
    return size


def said(size: float) -> str:
    """Bytes as people say them: 4.71 MB, 312 kB."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= 0.9995 * unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
