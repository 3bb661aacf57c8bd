"""The view in which a result is looked at: beside its content, frame by frame; downloaded, and encoded again."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from vidstyle.studio import reports, texts
from vidstyle.studio.choices import FORMATS
from vidstyle.studio.painting import state_said
from vidstyle.studio.parts import Input, Select, button, image, put, say, style, tag
from vidstyle.studio.queue import Entry
from vidstyle.studio.session import Session
from vidstyle.system.sites import said as size_said


class LookView:
    """One result; `studio.js` moves the wipe and the frames, without asking the server."""

    element: Any

    def __init__(self, session: Session) -> None:
        self.session = session
        self.key = ""
        self.seen: tuple[object, ...] = ()
        self.limit: float | None = None
        self.suffix = ""
        self.listed: list[tuple[str, str, str, bool]] = []
        self.reported: object = None
        self.empty = tag("p", "empty", texts.LOOK_EMPTY)
        with tag("div", "looking") as self.box:
            with tag("section", "stage frames") as self.stage:
                with tag("div", "wipe", style="--wipe: 50%") as self.wipe:
                    self.after = image("", texts.AFTER, "after")
                    self.before = image("", texts.BEFORE, "before")
                with tag("label", "field wipe-field"):
                    tag("span", "field-label", texts.WIPE)
                    tag("input", "wipe-range", type="range", min=0, max=100, data_value=50)
                with tag("div", "transport") as self.transport:
                    tag("button", "step", "‹", type="button", data_step=-1, aria_label=texts.PREVIOUS)
                    tag("button", "play", texts.PLAY, type="button", data_play=texts.PLAY, data_stop=texts.STOP_PLAYING)
                    tag("button", "step", "›", type="button", data_step=1, aria_label=texts.NEXT)
                    with tag("label", "field frame-field"):
                        with tag("span", "field-label"):
                            tag("span", "", texts.FRAME)
                            tag("span", "frame-number", "1")
                        self.slider = tag("input", "frame-range", type="range", min=0, max=0, data_value=0)
                with tag("label", "check"):
                    tag("input", "difference", type="checkbox")
                    tag("span", "", texts.DIFFERENCE)
            with tag("section", "panel results"):
                self.choice = Select(texts.RESULT, {}, self.select)
                self.state = tag("p", "facts", role="status")
                self.download = tag("a", "primary link", download="")
                with tag("div", "copies"):
                    self.command = tag("button", "quiet copy", texts.COPY_COMMAND, type="button")
                    self.python = tag("button", "quiet copy", texts.COPY_PYTHON, type="button")
                with tag("div", "order") as self.export:
                    self.format = Select(texts.EXPORT_AS, {}, self._format)
                    self.size = Input(texts.EXPORT_LIMIT, self._limit, "number", min=0.1, step=0.1)
                self.encode = button(texts.EXPORT, self._encode)
                self.files = tag("ul", "files", aria_label=texts.FILES)
                with tag("div", "report") as self.report:
                    tag("h2", "", texts.REPORT)
                    self.figures = tag("dl", "figures")
                    self.measuring = tag("p", "facts", role="status")
                    self.page = tag("a", "link", texts.OPEN_REPORT, target="_blank", rel="noopener")
                    self.measure = button(texts.MEASURE, self._measure, title=texts.MEASURE_HINT)

    def select(self, key: str) -> None:
        """Look at another result."""
        self.key, self.seen = key, ()
        self.refresh()

    def refresh(self) -> None:
        """Follow the result."""
        entries = self.session.queue.entries
        results = {entry.key: entry for entry in entries if self._shown(entry, {one.key for one in entries})}
        self.empty.set_visibility(not results)
        self.box.set_visibility(bool(results))
        if not results:
            return
        if self.key not in results:
            self.key = next(reversed(results))
        self.choice.show(self.key, {key: entry.output for key, entry in results.items()})
        entry = results[self.key]
        status = self.session.queue.status(self.key)
        self._follow_files([one for one in entries if one.of == self.key])
        if (now := (self.key, entry.state, status.painted)) == self.seen:
            return
        self.seen = now
        size = self.session.frames.size(self.key)
        count, frames = status.painted, bool(size)
        self.stage.set_visibility(frames)
        if size is not None:
            path = f"/job/{self.key}"
            put(self.stage, data_job=path, data_count=count)
            put(self.slider, max=max(count - 1, 0))
            self.transport.set_visibility(count > 1)
            style(self.wipe, f"--wipe: 50%; --ratio: {size[0]} / {size[1]}")
            put(self.after, src=f"{path}/frame/0.png")
            put(self.before, src=f"{path}/content/0.jpg")
        self._follow_file(entry, status.painted, status.frames)

    def _follow_file(self, entry: Entry, painted: int, frames: int) -> None:
        """What can be had of the result."""
        made = entry.state == "done" and self.session.output(entry.key).is_file()
        self.download.set_visibility(made)
        if made:
            size = size_said(self.session.output(entry.key).stat().st_size)
            put(self.download, href=f"/job/{entry.key}/output")
            say(self.download, texts.DOWNLOAD.format(name=entry.output, size=size))
        say(self.state, texts.STATES[entry.state] + (f", {texts.FRAMES.format(painted=painted, frames=frames)}"))
        put(self.command, data_copy=entry.command)
        put(self.python, data_copy=entry.python)
        self.python.set_visibility(bool(entry.python))
        formats = FORMATS.get(entry.job, ()) if made else ()  # type: ignore[call-overload]
        others = {one: one.upper() for one in formats}
        self.export.set_visibility(bool(others))
        self.encode.set_visibility(bool(others))
        self.size.box.set_visibility(entry.job != "image")
        if others:
            self.suffix = self.suffix if self.suffix in others else next(iter(others))
            self.format.show(self.suffix, others)

    def _follow_files(self, made: list[Entry]) -> None:
        """What is made of the result besides: encodings with their sizes, and the report."""
        lines = [(one.key, one.output, self._line(one), one.state == "done") for one in made if one.job == "encode"]
        if lines != self.listed:
            self.listed = lines
            self.files.clear()
            with self.files:
                for key, output, text, done in lines:
                    with tag("li"):
                        if done:
                            tag("a", "", output, href=f"/job/{key}/output", download="")
                        tag("span", "facts", text if done else texts.FILE_LINE.format(name=output, state=text))
        entry = self.session.queue[self.key]
        page, figures = self.session.report(self.key)
        running = next((one for one in made if one.job == "measure" and one.state in ("waiting", "running")), None)
        failed = next((one for one in reversed(made) if one.job == "measure"), None)
        stamp = figures.stat().st_mtime_ns if figures.is_file() else 0
        now = (entry.job, entry.state, running, failed, stamp, self.key)
        if now == self.reported:
            return
        self.reported = now
        self.report.set_visibility(entry.job == "video" and entry.state == "done")
        state = "" if running is None else texts.MEASURING.format(state=state_said(running))
        say(self.measuring, state or (failed.message if failed is not None and failed.state == "failed" else ""))
        put(self.measure, disabled=running is not None)
        self.page.set_visibility(page.is_file())
        put(self.page, href=f"/job/{self.key}/report")
        self.figures.clear()
        with self.figures:
            for name, value in reports.figures(figures) if stamp else []:
                tag("dt", "", name)
                tag("dd", "", value)

    def _line(self, entry: Entry) -> str:
        """State and size of an encoding."""
        size = self.session.queue.size(entry.key)
        if entry.state == "done":
            return entry.message or size_said(size)
        said = [state_said(entry), *([texts.SIZE_NOW.format(size=size_said(size))] if size else [])]
        return entry.message or ", ".join(said)

    def _measure(self) -> None:
        self.session.measure(self.key)
        self.refresh()

    def _shown(self, entry: Entry, keys: Collection[str]) -> bool:
        if entry.of in keys or entry.job == "measure":  # is shown with what it was made of
            return False
        return entry.state == "done" or (entry.job != "encode" and self.session.queue.status(entry.key).painted > 0)

    def _format(self, value: str) -> None:
        self.suffix = value

    def _limit(self, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        self.limit = value if 0.01 <= value <= 1e5 else None
        self.size.show("" if self.limit is None else f"{self.limit:g}")

    def _encode(self) -> None:
        limit = None if self.session.queue[self.key].job == "image" else self.limit
        self.session.encode(self.key, self.suffix, limit)
