"""What a clip holds, by PyAV alone: `python tests/soak/check_output.py FILE …` prints it.

Nothing of vidstyle is used, so that a fault in how vidstyle reads cannot hide one in how it writes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from clips import heard_clicks, probe


def wrong(path: Path, *, times: Sequence[Fraction], seconds: Fraction, size: tuple[int, int], tick: Fraction) -> str:
    """What a clip holds that it should not; nothing if all is well.

    Args:
        times: of the pictures, in seconds; each within a `tick`.
        seconds: where the last picture ends.
        size: width and height.
    """
    found = probe(path)
    words = []
    if found["frames"] != len(times):
        words.append(f"{found['frames']} frames, not {len(times)}")
    elif (off := max(abs(a - b) for a, b in zip(found["times"], times, strict=True))) > tick:
        words.append(f"a picture comes {float(off):.4f} s off")
    if abs(found["seconds"] - seconds) > tick + max(b - a for a, b in pairwise(times)):
        words.append(f"{float(found['seconds']):.3f} s, not {float(seconds):.3f}")
    if found["size"] != size:
        words.append(f"{found['size']} pixels, not {size}")
    return ", ".join(words)


def clicks_off(path: Path, wanted: Sequence[float]) -> float:
    """The largest distance, in seconds, from one of the wanted clicks to the nearest that is heard."""
    heard, _ = heard_clicks(path)
    return max(min((abs(click - one) for one in heard), default=float("inf")) for click in wanted)


def facts(path: Path) -> dict[str, Any]:
    """What there is, to be printed."""
    found = probe(path)
    heard = heard_clicks(path)[0] if found["audio"] else []
    times = [round(float(time), 4) for time in found["times"]]
    return {**found, "times": times, "seconds": float(found["seconds"]), "clicks": [round(one, 4) for one in heard]}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, facts(Path(name)))
