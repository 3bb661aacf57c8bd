"""Named sets of painting settings."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # The program of the blog post this method is best known from: 31 outer steps of 20 evaluations, from noise.
    "blog": {
        "network": "vgg19",
        "objective": "blog",
        "precision": "float32",
        "alpha": 0.5,
        "content_layers": ("conv2_2",),
        "style_layers": ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
        "init": "noise",
        "coarse_to_fine": False,
        "first_iterations": 620,
        "tolerance": 0.0,
        "tv_weight": 0.0,
    },
    # The losses of vidstyle 0.2, which painted clips with --warm-tolerance .01.
    "gatys": {
        "alpha": 0.3,
        "style_metric": "gram",
        "content_focus": 0.0,
        "recolor": 0.0,
        "match_colors": 0.0,
        "tv_weight": 0.0,
        "first_iterations": 80,
    },
}
