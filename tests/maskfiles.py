"""What tests of masks, regions and key frames have in common: their files, fast settings, and what was painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vidstyle import BalanceSettings, VideoSettings

FAST = {"first_iterations": 4, "device": "cpu", "precision": "float32"}


def half(height: int, width: int, columns: int) -> np.ndarray:
    """A mask (H, W), white in so many columns from the left."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, :columns] = 255
    return mask


def saved(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


def paintings(folder: Path) -> list[np.ndarray]:
    """The frames in a folder of PNGs."""
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def settings_for(files: Path, kind: type = VideoSettings, **changes: Any) -> Any:
    """Settings that paint fast, with the network in a folder of files."""
    frames = {"iterations": 3} if kind in (VideoSettings, BalanceSettings) else {}
    return kind(network=str(files / "tiny.safetensors"), **{"size": 96, **FAST, **frames, **changes})
