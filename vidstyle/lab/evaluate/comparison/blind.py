"""The HTML page of a blind test: a person chooses the better of two unnamed paintings, pair by pair."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from vidstyle.lab.evaluate.comparison.figures import Pair, Report
from vidstyle.lab.evaluate.comparison.sheet import pastiches
from vidstyle.media.stills import pictures

PAGE = Path(__file__).with_name("blind.html")
SMALL = 320  # pixels of the long side of content and style
LARGEST_WEBP = 16383  # pixels of a side
PLACE = "{{comparison}}"  # where the page has the pictures and names


def blind_page(report: Report) -> str:
    """The whole page: pictures, names and the program are in it, and it asks nobody for anything."""
    data = {
        "names": {"reference": report.reference, "network": report.network},
        "pairs": [_shown(pair) for pair in report.pairs],
    }
    text = json.dumps(data).replace("<", "\\u003c")  # no name of a file ends the script
    return PAGE.read_text(encoding="utf-8").replace(PLACE, text)


def _shown(pair: Pair) -> dict[str, Any]:
    reference, network = pastiches(pair)
    height, width = network.shape[:2]
    return {
        "content": {"name": pair.content.stem, "image": _small(pair.content)},
        "style": {"name": pair.style.stem, "image": _small(pair.style)},
        "width": width,
        "height": height,
        "images": {"reference": _data(reference), "network": _data(network)},
    }


def _small(path: Path) -> str:
    image = pictures.load_picture(path, enough=SMALL)
    height, width = image.shape[:2]
    factor = min(1.0, SMALL / max(height, width))
    image = pictures.resize(image, max(1, round(width * factor)), max(1, round(height * factor)))
    return _data((image * 255).round().astype(np.uint8))


def _data(image: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URI, without loss."""
    encoded = io.BytesIO()
    kind = "webp" if features.check("webp") and max(image.shape[:2]) <= LARGEST_WEBP else "png"
    Image.fromarray(image).save(encoded, kind.upper(), **({"lossless": True} if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode()}"
