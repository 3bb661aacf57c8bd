"""The text of a region: its mask, its style, and what else is its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from vidstyle.errors import UsageError
from vidstyle.settings.keys import mask_file, renamed_mask
from vidstyle.system.values import NUMBER, said

FORM = "MASK=STYLE, like sky.png=waves.jpg, and after it ,alpha=0.2 or ,scale=2 or both"
OWN = re.compile(rf"(.*),\s*(alpha|scale)\s*=\s*({NUMBER.pattern})\s*", re.DOTALL)
LARGEST_SCALE = 8


@dataclass(frozen=True)
class RegionFiles:
    """A region by the files that it is made of."""

    mask: str  #: where it is, as `MaskSettings.mask`
    style: str  #: a picture
    style_mask: str | None = None  #: where of that picture the style is; None for everywhere
    alpha: float | None = None  #: 1 = all content, 0 = all style; None for the alpha of what lies outside
    scale: float | None = None  #: size of the style relative to the result; None for that of the settings

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read MASK=STYLE[#MASK][,alpha=A][,scale=S]. Raises `UsageError` for every other text."""
        files, own = text, dict[str, float]()
        while (found := OWN.fullmatch(files)) and found[2] not in own:
            files, own[found[2]] = found[1], float(found[3])
        mask, _, rest = files.partition("=")
        style, sign, style_mask = rest.rpartition("#") if "#" in rest else (rest, "", "")
        if not mask.strip() or not style.strip() or (sign and not style_mask.strip()) or "=" in style + style_mask:
            raise UsageError(f"--region is {text!r}; give {FORM}, or STYLE#MASK for a part of the style")
        require_alpha(own.get("alpha"), "--region")
        require_scale(own.get("scale"), "--region")
        return cls(mask.strip(), style.strip(), style_mask.strip() or None, **own)

    def __str__(self) -> str:
        own = {"alpha": self.alpha, "scale": self.scale}
        style = self.style if self.style_mask is None else f"{self.style}#{self.style_mask}"
        return f"{self.mask}={style}" + "".join(f",{key}={one:.10g}" for key, one in own.items() if one is not None)

    @property
    def files(self) -> list[str]:
        """All files that are read."""
        return [file for file in (mask_file(self.mask), self.style, self.style_mask) if file is not None]

    def renamed(self, name: Callable[[str], str]) -> Self:
        """The same with each file by another name."""
        part = None if self.style_mask is None else name(self.style_mask)
        return replace(self, mask=renamed_mask(self.mask, name), style=name(self.style), style_mask=part)


def require_alpha(alpha: float | None, of: str) -> None:
    """Raise `UsageError` for an alpha of a region that is out of its range."""
    if alpha is not None and not 0 <= alpha <= 1:
        raise UsageError(f"{of} has alpha {said(alpha)}; it must be at least 0 and at most 1")


def require_scale(scale: float | None, of: str) -> None:
    """Raise `UsageError` for a scale of a region's style that is out of its range."""
    if scale is not None and not 0 < scale <= LARGEST_SCALE:
        raise UsageError(f"{of} has scale {said(scale)}; it must be above 0 and at most {LARGEST_SCALE}")
