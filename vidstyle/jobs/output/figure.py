"""The figure of an article: a poster image, and a JSON file with caption, alt text, parameters and HTML."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vidstyle.compose.compositor import Compositor
from vidstyle.compose.playback import TITLE
from vidstyle.errors import UsageError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.manifest import Manifest, Played
from vidstyle.media.writers.sinks import write_still
from vidstyle.settings import EncodeSettings, Layout, Settings, options
from vidstyle.system.files import Record, check_writable, plain, write_whole
from vidstyle.types import Fitted

CLIPS = {".mp4": "video/mp4", ".webm": "video/webm"}
IMAGES = {".avif": "image/avif", ".webp": "image/webp", ".png": "image/apng", ".gif": "image/gif"}  # GIFs show anywhere
FILES = ("poster", "figure")  # settings that are outputs, too
WORDS = {"video": "clip", "balance": "picture", "image": "picture"}
BESIDE: dict[Layout, str] = {
    "plain": "",
    "pair": " The {0} itself is on the left.",
    "triptych": " The {0} itself is on the left, {1} on the right.",
    "wipe": " A line moves over it, there and back; left of the line is the {0} itself.",
}


def check_companions(
    settings: EncodeSettings, outputs: Sequence[Path], *, overwrite: bool, inputs: Iterable[str | Path] = ()
) -> None:
    """Find out before any painting whether poster and figure can be written.

    Raises:
        UsageError: a suffix is wrong, or the file is an output already, or one of the `inputs`.
        DiskError, OutputExistsError: as `check_writable` does.
    """
    taken = [os.path.normcase(os.path.realpath(path)) for path in outputs]
    for name, suffix in zip(FILES, (".png", ".json"), strict=True):
        if (file := getattr(settings, name)) is None:
            continue
        path = Path(file)
        if path.suffix.lower() != suffix:
            raise UsageError(f"--{name} {file} must end in {suffix}")
        if os.path.normcase(os.path.realpath(path)) in taken:
            raise UsageError(f"--{name} {file} is an output, too; give each its own name")
        check_writable(path, overwrite=overwrite, inputs=inputs)


def write_companions(
    job: JobFolder,
    compositor: Compositor,
    settings: EncodeSettings,
    outputs: Sequence[Path],
    fitted: Sequence[Fitted] = (),
    *,
    overwrite: bool = True,
    record: Record | None = None,
) -> None:
    """Write the poster and the figure that `settings` name, once the outputs are there.

    Args:
        fitted: what was made to fit, and may have become smaller than the compositor's frames.
        overwrite: whether what is there by now may be replaced.
        record: told of each, and of its part file, before that takes its place.

    Raises:
        DiskError, OutputExistsError: one cannot be written.
        JobError, MediaError: as the frames of a `Compositor` do.
    """
    if settings.poster is not None:
        write_still(compositor.poster(job), [Path(settings.poster)], overwrite=overwrite, record=record)
    if settings.figure is not None:
        found = described(job.manifest, compositor, settings, outputs, fitted)
        text = json.dumps(plain(found), indent=2, ensure_ascii=False) + "\n"
        write_whole(Path(settings.figure), text, overwrite=overwrite, record=record)


def described(
    manifest: Manifest,
    compositor: Compositor,
    settings: EncodeSettings,
    outputs: Sequence[Path],
    fitted: Sequence[Fitted] = (),
) -> dict[str, Any]:
    """The content of figure.json: the same for the same job and settings, without paths of this machine.

    Args:
        manifest: of the job.
        outputs: that are there; they are named as seen from the figure's folder.
    """
    info, played = compositor.info, _played(manifest)
    folder = Path(settings.figure or "figure.json").parent
    sizes = {one.path: {"width": one.width, "height": one.height} for one in fitted}
    files = [
        {"file": _seen_from(folder, path), "bytes": _bytes(path)}
        | sizes.get(path, {"width": info.width, "height": info.height})
        for path in outputs
    ]
    poster = None if settings.poster is None else _seen_from(folder, Path(settings.poster))
    found = {
        "caption": settings.caption,
        "alt": alt_text(manifest, compositor),
        "content": Path(played.content).name,
        "styles": [Path(style).name for style in played.styles],
        "network": manifest.settings.network,
        "width": info.width,
        "height": info.height,
        "frames": info.frames,
        "seconds": round(float(info.seconds), 3),
        "outputs": files,
        "poster": poster,
        "parameters": parameters(manifest, settings),
        "vidstyle": manifest.vidstyle,
    }
    return found | {"html": snippet(found)}


def alt_text(manifest: Manifest, compositor: Compositor) -> str:
    """The alternative text of the figure."""
    played, word = _played(manifest), WORDS[manifest.job]
    names = [_readable(style) for style in played.styles]
    style = f"style of {names[0]}" if len(names) == 1 else f"styles of {', '.join(names[:-1])} and {names[-1]}"
    content = _readable(played.content)
    shown = [played.alpha[number] for number in compositor.playback.order if number != TITLE]
    seconds = f"{float(compositor.info.seconds):.1f}".removesuffix(".0") + " s"
    length = f", in {seconds}" if compositor.moving else ""
    halfway = (min(shown) + max(shown)) / 2
    begins, ends = ("content" if alpha > halfway else "painting" for alpha in (shown[0], shown[-1]))
    if max(shown) - min(shown) < 0.1:
        what = f"The {word} {content}, painted in the {style}"
        length = f", {seconds} long" if compositor.moving else ""
    elif begins == "content":
        what = f"The {word} {content} turns into a painting in the {style}" + " and back" * (ends == "content")
    else:
        what = f"A painting of the {word} {content} in the {style} turns into the {word} itself"
        what += " and back" * (ends == "painting")
    styles = "the style" if len(names) == 1 else "the styles"
    return f"{what}{length}.{BESIDE[compositor.settings.layout].format(word, styles)}"


def parameters(manifest: Manifest, settings: EncodeSettings) -> dict[str, Any]:
    """The settings of the painting and of the outputs that are not their defaults, by their names in the job's class.

    Where both have one, like `fps`, it is that of the outputs.
    """
    found = _changed(manifest.settings, manifest.settings.painting()) | _changed(settings, vars(settings))
    if font := found.get("font"):
        found["font"] = Path(font).name
    return {name: value for name, value in found.items() if name not in FILES}


def _changed(settings: Settings, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that are not the defaults of the settings' class."""
    defaults = {name: option.default for name, option in options(type(settings)).items()}
    return {name: value for name, value in values.items() if value != defaults[name]}


def snippet(found: dict[str, Any]) -> str:
    """The figure in HTML, with relative names; a reader who wants no motion gets the poster."""
    alt, outputs = escape(found["alt"]), {one["file"]: one for one in found["outputs"]}
    files = list(outputs)
    images = sorted((file for file in files if _kind(file) in IMAGES), key=lambda file: [*IMAGES].index(_kind(file)))
    clips = [file for file in files if _kind(file) in CLIPS]
    poster = found["poster"] and _url(found["poster"])
    if clips:
        shown = f' poster="{poster}"' if poster else ""
        sources = [f'<source src="{_url(file)}" type="{CLIPS[_kind(file)]}">' for file in clips]
        lines = [
            f'<video {_size(outputs[clips[0]])}{shown} controls loop muted playsinline aria-label="{alt}">',
            *sources,
            "</video>",
        ]
    elif images:
        *others, last = images
        sources = [f'<source media="(prefers-reduced-motion: reduce)" srcset="{poster}">'] if poster else []
        sources += [f'<source type="{IMAGES[_kind(file)]}" srcset="{_url(file)}">' for file in others]
        lines = ["<picture>", *sources, f'<img src="{_url(last)}" {_size(outputs[last])} alt="{alt}">', "</picture>"]
    else:
        lines = [f'<img src="{poster or _url(files[0])}" {_size(found)} alt="{alt}">']
    caption = [f"<figcaption>{escape(found['caption'])}</figcaption>"] if found["caption"] else []
    return "\n".join(["<figure>", *lines, *caption, "</figure>"])


def _played(manifest: Manifest) -> Played:
    """How the frames are shown, which is known once they are painted."""
    if manifest.played is None:
        raise ValueError("got a job of which nothing is painted")
    return manifest.played


def _size(shown: dict[str, Any]) -> str:
    return f'width="{shown["width"]}" height="{shown["height"]}"'


def _url(file: str) -> str:
    """A relative name as HTML wants it, in whatever bytes it is; a srcset takes no space or comma either."""
    return escape(quote(os.fsencode(file)))


def _readable(path: str) -> str:
    """The name of a file for people, with a sign for each byte that is no UTF-8."""
    return os.fsencode(Path(path).name).decode(errors="replace")


def _kind(file: str) -> str:
    return Path(file).suffix.lower()


def _bytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _seen_from(folder: Path, path: Path) -> str:
    """A path relative to a folder, with slashes; only its name where there is no way from one to the other."""
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        relative = path.name
    return f"{relative}/" if path.is_dir() else relative
