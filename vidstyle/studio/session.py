"""What the studio holds while it runs: one state for all tabs, so that a tab that is closed takes nothing with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from vidstyle.studio import reports, texts
from vidstyle.studio.choices import Choices, from_result
from vidstyle.studio.frames import Frames
from vidstyle.studio.library import Library
from vidstyle.studio.preview import Preview
from vidstyle.studio.queue import Entry, Queue


class Session:
    """The parts of the studio of one folder.

    Attributes:
        choices: what is set on the page; to be changed by `choose`.
        version: grows when the choices or the library change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = Library(folder)
        self.queue = Queue(folder)
        self.frames = Frames(self.queue)
        self.preview = Preview(self.library)
        self.choices = Choices()
        self.version = 0

    def start(self) -> None:
        """Choose samples, and look after the queue."""
        self.queue.start()
        contents, styles = self.library.contents, self.library.styles
        if contents and styles:
            chosen = self.choices.with_content(contents[0].key, moves=contents[0].moves)
            self.choose(chosen.with_style(styles[0].key))

    def close(self) -> None:
        """End the threads; jobs go on."""
        self.queue.close()
        self.preview.close()

    def choose(self, choices: Choices) -> None:
        """Change what is set, and the preview with it."""
        self.choices, self.version = choices, self.version + 1
        if choices.ready:
            self.preview.ask(choices)

    def paint(self) -> Entry:
        """Put what is chosen into the queue. Raises `UsageError`."""
        choices = self.choices
        output = choices.output(self.folder)
        taken = {entry.output for entry in self.queue.entries}
        number, stem = 2, output.removesuffix(f".{choices.format}")
        while output in taken:
            output, number = f"{stem}-{number}.{choices.format}", number + 1
        return self.queue.add(
            choices.arguments(self.library, output),
            output,
            choices.job,
            choices.command(self.library, output),
            choices.python(self.library, output),
        )

    def encode(self, key: str, suffix: str, limit: float | None) -> Entry:
        """Put another encoding of a finished job into the queue."""
        entry = self.queue[key]
        stem = entry.output.rpartition(".")[0]
        taken = {one.output for one in self.queue.entries}
        names = (f"{stem}{'' if number == 1 else f'-{number}'}.{suffix}" for number in range(1, 10**6))
        output = next(name for name in names if name not in taken and not (self.folder / name).exists())
        words = ["encode", f"{entry.output}.job", "-o", output]
        words += ["--max-size", f"{limit:g}MB"] if limit else []
        words = [f"./{word}" if word.startswith("-") and word not in ("-o", "--max-size") else word for word in words]
        return self.queue.add(words, output, "encode", shlex.join(["vidstyle", *words]), of=key)

    def measure(self, key: str) -> Entry:
        """Have a report made of a painted clip, in a process of its own."""
        entry = self.queue[key]
        words = reports.words(entry.arguments)
        page, _ = reports.names(entry.output)
        return self.queue.add(words, page, "measure", shlex.join(["vidstyle", *words]), of=key)

    def report(self, key: str) -> tuple[Path, Path]:
        """Where the report of a job lies, the page and the figures. Raises `KeyError`."""
        page, figures = reports.names(self.queue[key].output)
        return self.folder / page, self.folder / figures

    def output(self, key: str) -> Path:
        """Where the output of a job lies. Raises `KeyError`."""
        return self.folder / self.queue[key].output

    def receive(self, part: Path, name: str, role: str) -> dict[str, Any]:
        """Take over a file that was dropped; what the page is told. Raises `VidstyleError`."""
        if role == "result":
            named = part.with_name("result" + Path(name).suffix.lower()[:6])
            part.rename(named)
            choices, missing = from_result(named, self.library, self.choices)
            self.choose(choices)
            text = texts.TAKEN_IN_PART if missing else texts.TAKEN_BACK
            return {"said": text.format(name=name, missing=", ".join(missing))}
        if role == "mask":
            choices = self.choices
            item = self.library[choices.content]
            frame = self.library.frame_number(item, choices.second) if item.moves else None
            self.choose(choices.with_mask(self.library.receive_mask(part, item), frame))
            return {"said": ""}
        item = self.library.receive(part, name, style=role == "style")
        if role == "style":
            self.choose(self.choices.with_style(item.key))
        else:
            self.choose(self.choices.with_content(item.key, moves=item.moves))
        return {"said": "", "key": item.key}
