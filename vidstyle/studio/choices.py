"""What is chosen on the page, as the settings of a job, as a command and as a call from Python."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidstyle.api import origin_of
from vidstyle.errors import UsageError
from vidstyle.settings import JOBS, ImageSettings, Job, Settings, VideoSettings, option_name, options
from vidstyle.settings.texts import as_typed
from vidstyle.studio.library import Library, safe_name

FORMATS: dict[Job, tuple[str, ...]] = {
    "video": ("mp4", "gif", "webm", "webp", "mov", "avif"),
    "balance": ("gif", "mp4", "webp", "webm", "avif"),
    "image": ("png", "jpg"),
}
FUNCTIONS = {"video": "stylize_video", "balance": "animate_balance", "image": "stylize_image"}
PREVIEW_SIZE = 256
RANGES = {"alpha": (0.0, 1.0), "style_scale": (0.25, 3.0), "preserve_color": (0.0, 1.0), "match_colors": (0.0, 1.0)}
DEFAULTS = {name: options(ImageSettings)[name].default for name in (*RANGES, "style_metric")}
NAMES_OF_FILES = ("mask", "region", "weights", "flow_weights", "font")  # settings whose files are not looked for


@dataclass(frozen=True)
class Choices:
    """Everything that is set on the page; a value of its own for each tab would be lost with it, so all share this."""

    content: str = ""  #: key of an item, or ""
    styles: tuple[str, ...] = ()  #: keys
    shares: tuple[float, ...] = ()  #: of each style
    second: float = 0.0  #: frame of a clip that the preview shows
    dials: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULTS))
    job: Job = "image"
    size: int = 512
    seconds: float = 4.0  #: length of a balance animation
    start: float = 0.0  #: of the part of a clip that is painted
    end: float | None = None
    format: str = "png"
    name: str = "painting"
    rest: Mapping[str, Any] = field(default_factory=dict)  #: other settings, taken from a result, by field

    @property
    def ready(self) -> bool:
        """Whether there is something to paint."""
        return bool(self.content and self.styles)

    def with_content(self, key: str, *, moves: bool) -> Choices:
        """Another content; a clip is painted as one."""
        job: Job = "video" if moves else "balance" if self.job == "balance" else "image"
        if key == self.content:
            return self.with_job(job)
        other = dataclasses.replace(self, content=key, second=0.0, start=0.0, end=None)
        return other.with_mask("").with_job(job)

    def with_job(self, job: Job) -> Choices:
        """Another kind of job, with a format that it can make."""
        kept = self.format in FORMATS[job] and job == self.job
        return dataclasses.replace(self, job=job, format=self.format if kept else FORMATS[job][0])

    def with_style(self, key: str) -> Choices:
        """A style more, or one less."""
        styles = [*self.styles, key] if key not in self.styles else [one for one in self.styles if one != key]
        shares = dict(zip(self.styles, self.shares, strict=True))
        return dataclasses.replace(self, styles=tuple(styles), shares=tuple(shares.get(one, 1.0) for one in styles))

    def with_dial(self, name: str, value: Any) -> Choices:
        """Another value of a dial."""
        rest = {key: old for key, old in self.rest.items() if key != name}
        return dataclasses.replace(self, dials={**self.dials, name: value}, rest=rest)

    def with_mask(self, file: str, frame: int | None = None) -> Choices:
        """Another mask, by its path in the folder; of a clip, that of a frame. "" for none."""
        rest = {name: value for name, value in self.rest.items() if name != "mask"}
        if file:
            rest["mask"] = file if frame is None else f"key:{file}@{frame}"
        return dataclasses.replace(self, rest=rest)

    @property
    def mask_file(self) -> str:
        """The path of the mask in the folder, or ""."""
        mask = str(self.rest.get("mask") or "")
        return mask.removeprefix("key:").rpartition("@")[0] if mask.startswith("key:") else mask

    def with_share(self, key: str, share: float) -> Choices:
        """Another share of a style."""
        pairs = zip(self.styles, self.shares, strict=True)
        return dataclasses.replace(self, shares=tuple(share if one == key else old for one, old in pairs))

    def preview_settings(self) -> ImageSettings:
        """Those of a small still. Raises `UsageError`."""
        values = self._looks(ImageSettings) | {"size": PREVIEW_SIZE}
        values.pop("mask", None)  # is given to the painter as it is
        return ImageSettings(**values)

    def settings(self) -> Settings:
        """Those of the job. Raises `UsageError`."""
        kind = JOBS[self.job]
        values = self._looks(kind) | {"size": self.size}
        if self.job == "balance":
            values |= {"seconds": self.seconds}
            values.pop("alpha", None)  # it goes through all of them
        if self.job == "video":
            values |= {"start": self.start, "end": self.end}
        return kind(**values)

    def _looks(self, kind: type[Settings]) -> dict[str, Any]:
        values = {name: value for name, value in {**self.dials, **self.rest}.items() if name in options(kind)}
        if len(set(self.shares)) > 1:
            values["mix"] = self.shares
        return values

    def output(self, folder: Path) -> str:
        """A name for the output that is not taken in the folder."""
        stem = safe_name(self.name or "painting").removesuffix(f".{self.format}")
        for number in range(1, 10**6):
            name = f"{stem}{'' if number == 1 else f'-{number}'}.{self.format}"
            if not any(os.path.lexists(folder / one) for one in (name, f"{name}.job", f"{name}.job.json")):
                return name
        raise UsageError(f"every name like {stem} is taken; choose another")

    def arguments(self, library: Library, output: str) -> list[str]:
        """The words of the command after `vidstyle`. Raises `UsageError`."""
        settings = self.settings()
        own = options(type(settings))
        changed = {
            option_name(option).removeprefix("--"): getattr(settings, name)
            for name, option in own.items()
            if getattr(settings, name) != option.default
        }
        files = [library.typed(library[key]) for key in (self.content, *self.styles)]
        return [self.job, *files, "-o", output, *as_typed(type(settings), changed), "--keep-job"]

    def command(self, library: Library, output: str) -> str:
        """The command that does the same in the folder."""
        return shlex.join(["vidstyle", *self.arguments(library, output)])

    def python(self, library: Library, output: str) -> str:
        """The call that does the same."""
        settings = self.settings()
        changed = [
            f"{name}={getattr(settings, name)!r}"
            for name, option in options(type(settings)).items()
            if getattr(settings, name) != option.default
        ]
        content, *styles = (library.typed(library[key]) for key in (self.content, *self.styles))
        kind, function = type(settings).__name__, FUNCTIONS[self.job]
        made = f"{kind}({', '.join(changed)})"
        call = f"{function}({content!r}, {styles!r}, {output!r}, {made}, RunOptions(keep_job=True))"
        return f"from vidstyle import RunOptions, {kind}, {function}\n\n{call}\n"


def from_result(result: Path, library: Library, before: Choices) -> tuple[Choices, list[str]]:
    """The choices that made a result, and the names of its inputs that are not in the library.

    Raises `MediaError` if its metadata do not say.
    """
    origin = origin_of(result)
    kind = JOBS[origin.job] if origin.job in FUNCTIONS else VideoSettings
    values = origin.values(kind)
    job: Job = origin.job if origin.job in FUNCTIONS else "image"  # type: ignore[assignment]
    missing = []
    content = library.named(origin.content, style=False)
    styles = [library.named(name, style=True) for name in origin.styles]
    missing += [] if content else [origin.content]
    missing += [name for name, item in zip(origin.styles, styles, strict=True) if item is None]
    missing += [str(values.pop(name)) for name in NAMES_OF_FILES if name in values]
    mix = values.pop("mix", None) or (1.0,) * len(origin.styles)
    dials = {name: values.pop(name, DEFAULTS[name]) for name in DEFAULTS}
    if not isinstance(dials["alpha"], int | float):  # a schedule is kept as it is
        values["alpha"], dials["alpha"] = dials["alpha"], DEFAULTS["alpha"]
    found = [
        (item.key, float(share) if isinstance(share, int | float) else 1.0)
        for item, share in zip(styles, mix, strict=True)
        if item is not None
    ]
    own = dataclasses.replace(
        before,
        content=content.key if content else "",
        styles=tuple(key for key, _ in found),
        shares=tuple(share for _, share in found),
        dials=dials,
        size=values.pop("size", 512),
        seconds=values.pop("seconds", 4.0),
        start=values.pop("start", 0.0),
        end=values.pop("end", None),
    )
    own = own.with_job(job)
    suffix = result.suffix.lower().removeprefix(".")
    shown = suffix if suffix in FORMATS[job] else own.format
    return dataclasses.replace(own, format=shown, rest=values), missing
