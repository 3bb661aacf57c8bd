"""What lies under a transparent painting."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vidstyle.errors import UsageError
from vidstyle.settings.fields import Settings
from vidstyle.system.values import setting

COLORS = {"white": (255, 255, 255), "black": (0, 0, 0)}
HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, kw_only=True)
class BackgroundSettings(Settings):
    """What becomes of the transparency of a content."""

    background: str | None = setting(
        None,
        "What a transparent painting is laid over: white, black, #rrggbb, or content (the content's colours as if "
        "nothing were transparent); none keeps it transparent in every output. When empty, it stays transparent where "
        "the output can hold that, and is laid over white elsewhere.",
        paints=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.background is None:
            return
        text = self.background.strip().lower()
        if text not in (*COLORS, "content", "none") and not HEX.fullmatch(text):
            raise UsageError(
                f"--background is {self.background!r}; give white, black, content, none, or a colour like #ffcc00"
            )
        object.__setattr__(self, "background", text)

    @property
    def keeps_transparency(self) -> bool:
        """Whether outputs that can be transparent are."""
        return self.background in (None, "none")

    @property
    def ground(self) -> tuple[int, int, int] | None:
        """The colour under a painting that is not to be transparent; None for the colours of the content."""
        if self.background == "content":
            return None
        text = self.background or "white"
        if text.startswith("#"):
            red, green, blue = bytes.fromhex(text[1:])
            return red, green, blue
        return COLORS.get(text, COLORS["white"])
