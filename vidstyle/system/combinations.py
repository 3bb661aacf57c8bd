"""Settings that cannot be meant together: what one of them makes the job ignore is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidstyle.errors import UsageError

# Settings that are read only beside others: which, their option, whether those are as they must be, and what they are.
BELONGS: tuple[tuple[str, str, Callable[[Any], bool], str], ...] = (
    ("title_seconds", "--title-seconds", lambda its: its.title is not None, "--title"),
    ("font", "--font", lambda its: its.title is not None or its.caption is not None, "--caption or --title"),
    ("flow_weights", "--flow-weights", lambda its: its.flow != "dis", "--flow raft or raft-small"),
    ("flow", "--flow", lambda its: its.warm_start == "warped" or its.loop, "--warm-start warped"),
    ("loop", "--loop", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("long_term", "--long-term", lambda its: its.warm_start == "warped", "--warm-start warped"),
    ("temporal_weight", "--temporal-weight", lambda its: its.warm_start == "warped", "--warm-start warped"),
    ("iterations", "--iterations", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("warm_tolerance", "--warm-tolerance", lambda its: its.warm_start != "none", "--warm-start warped or previous"),
    ("temporal_weight", "--temporal-weight", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("alpha_from", "--from", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("alpha_to", "--to", lambda its: not its.timelapse, "a balance without --timelapse"),
    ("recolor", "--recolor", lambda its: its.objective == "normalized", "--objective normalized"),
    ("style_metric", "--style-metric", lambda its: its.objective == "normalized", "--objective normalized"),
)


def require_together(its: Any) -> None:
    """Raise `UsageError` if `Settings` cannot be meant together, or one of them is not read beside the others."""
    for name, option, read, what in BELONGS:
        if getattr(its, name) != getattr(type(its), name) and not read(its):
            raise UsageError(f"{option} belongs to {what}; give that, too, or leave it out")
    if its.bits not in (8, 16):
        raise UsageError(f"--bits is {its.bits}; it must be 8 or 16")
    if its.end is not None and its.end <= its.start:
        raise UsageError(f"--end {its.end:g} must come after --start {its.start:g}")
    if its.animation_alpha is not None and (its.alpha_from, its.alpha_to) != (1.0, 0.0):
        raise UsageError("--alpha says all that --from and --to do; give it without them")
    if its.style_layer_weights and len(its.style_layer_weights) != len(its.style_layers):
        raise UsageError(
            f"--style-layer-weights has {len(its.style_layer_weights)} numbers for {len(its.style_layers)} style layers"
        )
    for option, layers in (("--style-layers", its.style_layers), ("--content-layers", its.content_layers)):
        if not layers:
            raise UsageError("--style-layers and --content-layers need at least one layer each")
        if twice := next((layer for layer in layers if layers.count(layer) > 1), None):
            raise UsageError(f"{option} names {twice!r} twice; name each layer once")
    for option, weights in (("--mix", its.mix), ("--style-layer-weights", its.style_layer_weights)):
        if weights and not any(weights):
            raise UsageError(f"{option} must not be all zeros")
