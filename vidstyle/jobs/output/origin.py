"""What made a result, as its metadata say: the kind of the job, its settings, and the names and hashes of its inputs.

Only what differs from the defaults is kept, nothing of this machine: no folder, no device, no date.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidstyle.errors import MediaError
from vidstyle.jobs.folder.manifest import Manifest, Redone
from vidstyle.jobs.folder.records import as_json, parsed, read
from vidstyle.jobs.output.export import READ
from vidstyle.media.embedding import embedded
from vidstyle.media.stills.filekinds import check_file
from vidstyle.media.stills.sequence import TIMED, TIMING
from vidstyle.media.writers.containers import CONTAINERS
from vidstyle.settings import (
    JOBS,
    EncodeSettings,
    PaintingSettings,
    Settings,
    encodes,
    option_name,
    options,
)
from vidstyle.settings.texts import as_typed, by_flag, from_file, renamed_files
from vidstyle.system import libraries
from vidstyle.system.version import __version__

FORMAT: Literal["vidstyle-origin-1"] = "vidstyle-origin-1"
LEFT_OUT = ("poster", "figure", "metadata", "device")  # settings of where, not of what
PLAIN = ("bits",)  # settings of an output that `EncodeSettings` do not have


@dataclass(frozen=True)
class Origin:
    """What made a result. Settings are those that are not the defaults, by their options without the dashes."""

    job: Literal["video", "balance", "image", "sheet"]
    content: str  #: the name of the file
    styles: tuple[str, ...]  #: the same
    sha256: Mapping[str, str]  #: of content, styles and init
    settings: Mapping[str, Any] = field(default_factory=dict)
    encode: Mapping[str, Any] = field(default_factory=dict)  #: settings that only `vidstyle encode` has for such a job
    redo: Sequence[Mapping[str, Any]] = ()  #: frames that were painted again: their range and all settings, in order
    vidstyle: str = __version__  #: version
    format: Literal["vidstyle-origin-1"] = FORMAT

    @classmethod
    def of(cls, settings: PaintingSettings, content: str, styles: Sequence[str], sha256: Mapping[str, str]) -> Origin:
        """Of a job with these settings; the files may be paths."""
        names = tuple(_named(style) for style in styles)
        return cls(settings.job, _named(content), names, dict(sha256), _changed(settings, LEFT_OUT))  # type: ignore[arg-type]

    @classmethod
    def of_encoding(cls, manifest: Manifest, settings: EncodeSettings) -> Origin:
        """Of a finished job that is encoded again: as if it had been painted with these settings, where it can be."""
        there = cls.decoded(manifest.origin)
        own = [option for option in options(JOBS[there.job]).values() if encodes(option)]
        flags = {option_name(option).removeprefix("--") for option in own}
        kept = {flag: value for flag, value in there.settings.items() if flag not in flags}
        changed = _changed(settings, LEFT_OUT)
        return dataclasses.replace(
            there,
            settings=kept | {flag: value for flag, value in changed.items() if flag in flags},
            encode={flag: value for flag, value in changed.items() if flag not in flags},
        )

    def with_redone(self, redone: Sequence[Redone]) -> Origin:
        """The same of a job of which frames were painted again."""
        found = [{"range": one.range, "settings": dict(Origin.decoded(one.origin).settings)} for one in redone]
        return dataclasses.replace(self, redo=found)

    def encoded(self) -> str:
        """One line of ASCII."""
        return json.dumps(as_json(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def decoded(cls, text: str) -> Origin:
        """What `encoded` wrote. Raises `ValueError` for every other text."""
        found = parsed(text.encode())
        settings = {name: found.pop(name, {}) for name in ("settings", "encode")}  # their types are those of the job
        redo = found.pop("redo", [])
        again = [one.get("settings") for one in redo] if isinstance(redo, list) else [None]
        if not all(isinstance(one, dict) for one in (*settings.values(), *again)):
            raise ValueError("its settings are no settings")
        if not all(isinstance(one.get("range"), str) for one in redo):
            raise ValueError("it does not say what was painted again")
        return dataclasses.replace(read(cls, found), redo=redo, **settings)

    def values(self, kind: type[Settings]) -> dict[str, Any]:
        """The settings that a job of some kind can take over, by their fields.

        Raises `UsageError` for a value that is none.
        """
        given = self.encode if kind is EncodeSettings else {}
        fields = by_flag(kind)
        both = {**self.settings, **given} if kind is not EncodeSettings else {**self._encoding(), **given}
        return {fields[flag]: from_file(kind, fields[flag], value) for flag, value in both.items() if flag in fields}

    def commands(self, result: str) -> list[str]:
        """The command that makes such a result, where the inputs lie in the working folder.

        More of them if parts were painted again, or if it was encoded again.
        """
        out = f"{result}.kept.mp4" if self.encode else result
        words = ["vidstyle", self.job, self.content, *self.styles, "-o", out]
        kept = ["--keep-job"] if self.encode or self.redo else []
        found = [[*words, *as_typed(JOBS[self.job], self.settings), *kept]]
        for one in self.redo:
            found.append([*words, *as_typed(JOBS[self.job], one["settings"]), "--redo", one["range"]])
        if self.encode:
            again = as_typed(EncodeSettings, {**self._encoding(), **self.encode})
            found.append(["vidstyle", "encode", f"{out}.job", "-o", result, *again])
        return [shlex.join(one) for one in found]

    def _encoding(self) -> dict[str, Any]:
        """Those of the settings that say how the outputs are made."""
        fields = by_flag(JOBS[self.job])
        own = options(JOBS[self.job])
        return {flag: one for flag, one in self.settings.items() if flag in fields and encodes(own[fields[flag]])}


def origin_of(result: Path) -> Origin:
    """What the metadata of a result say. Raises `MediaError` if they say nothing, or the file cannot be read."""
    if result.is_dir():
        text = _of_folder(result)
    else:
        check_file(result)
        if result.suffix.lower() in CONTAINERS:
            libraries.require("reading a clip", "av")
            from vidstyle.media.video import open_container  # not at the top: it needs the libraries of clips

            with open_container(result) as container:
                tags = {name.lower(): value for name, value in container.metadata.items()}
            text = tags.get("comment")
        else:
            text = embedded(result.read_bytes())
    try:
        if text is None:
            raise ValueError("they are not there")
        return Origin.decoded(text)
    except ValueError as error:
        raise MediaError(
            f"{result} does not hold the settings that made it ({error}); vidstyle writes them unless --no-metadata is "
            "given, and other programs leave them out"
        ) from error


def _of_folder(folder: Path) -> str | None:
    try:
        timing = json.loads((folder / TIMING).read_bytes())
    except (OSError, ValueError):
        return None
    return timing.get("origin") if isinstance(timing, dict) and timing.get("format") == TIMED else None


def _changed(settings: Settings, left_out: Sequence[str]) -> dict[str, Any]:
    """The settings that are not the defaults and that a result depends on, by their options without the dashes."""
    found: dict[str, Any] = {}
    for name, option in options(type(settings)).items():
        value, kept = getattr(settings, name), option.metadata["paints"] or encodes(option) or name in PLAIN
        if kept and name not in left_out and value != option.default:
            flag = option_name(option).removeprefix("--")
            value = renamed_files(name, value, _named)
            found[flag] = _named(value) if name in READ and isinstance(value, str) else as_json(value)
    return found


def _named(file: str) -> str:
    """The name of a file, without its folder."""
    return os.fsencode(os.path.basename(os.path.normpath(file))).decode(errors="replace")
