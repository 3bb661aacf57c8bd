"""The view in which pictures, styles and dials are chosen, beside a still that follows them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from nicegui import ui

from vidstyle.errors import VidstyleError
from vidstyle.settings import Job
from vidstyle.studio import texts
from vidstyle.studio.choices import DEFAULTS, FORMATS, RANGES, Choices
from vidstyle.studio.curve import CurveEditor
from vidstyle.studio.library import Item
from vidstyle.studio.parts import Input, Select, Slider, button, drop, image, put, say, style, tag
from vidstyle.studio.preview import ALPHAS
from vidstyle.studio.session import Session

PICTURES, CLIPS = "image/*,.heic,.avif", "image/*,video/*,.heic,.avif,.mkv"
STEPS = 0.05


class ChooseView:
    """Content, styles, preview, dials, and what is painted of them."""

    element: Any

    def __init__(self, session: Session, open_view: Callable[[str], None]) -> None:
        self.session, self.open_view = session, open_view
        self.listed: tuple[int, int] = (-1, -1)
        self.version = self.still_version = -1
        self.buttons: dict[str, list[tuple[Any, bool]]] = {}
        self.mixed: tuple[str, ...] = ()
        self.mix: dict[str, Slider] = {}
        self.grid_version = 0
        self.cells: list[Any] = []
        self.asked: str | None = None  # key of the content whose facts are asked for
        self.known: str | None = None  # and of the one whose facts are shown
        self._make_inputs()
        self._make_stage()
        self._make_dials()

    def _make_inputs(self) -> None:
        with tag("section", "panel inputs"):
            tag("h2", "", texts.CONTENT)
            self.contents = tag("div", "thumbs", role="group", aria_label=texts.CONTENT)
            self.facts = tag("p", "facts")
            drop(texts.DROP_CONTENT, "content", CLIPS)
            tag("h2", "", texts.STYLES)
            self.styles = tag("div", "thumbs", role="group", aria_label=texts.STYLES)
            drop(texts.DROP_STYLE, "style", PICTURES)
            drop(texts.DROP_RESULT, "result", CLIPS)

    def _make_stage(self) -> None:
        with tag("section", "stage"):
            with tag("div", "wipe", style="--wipe: 0%") as self.wipe:
                self.still = image("", texts.STILL, "after")
                self.before = image("", texts.BEFORE, "before")
                self.canvas = tag("canvas", "mask-canvas", aria_label=texts.MASK)
            with tag("label", "field wipe-field"):
                tag("span", "field-label", texts.WIPE)
                tag("input", "wipe-range", type="range", min=0, max=100, data_value=0)
            self.status = tag("p", "facts still-status", role="status")
            self.second = Slider(texts.SECOND, 0, 1, 0.04, self._second)
            self._make_mask_tool()
            self.compare = button(texts.COMPARE, self._compare, title=texts.COMPARE_HINT)
            self.grid = tag("div", "grid", role="group", aria_label=texts.COMPARE, style=f"--columns: {len(ALPHAS)}")

    def _make_mask_tool(self) -> None:
        with tag("details", "masking"):
            tag("summary", "", texts.MASK)
            tag("p", "facts", texts.MASK_HINT)
            with tag("div", "order"):
                with tag("label", "field"):
                    tag("span", "field-label", texts.TOOL)
                    with tag("select", "mask-tool"):
                        for key, text in texts.TOOLS.items():
                            tag("option", "", text, value=key)
                with tag("label", "field"):
                    tag("span", "field-label", texts.BRUSH)
                    tag("input", "mask-size", type="range", min=4, max=100, data_value=24)
            with tag("div", "actions"):
                tag("button", "mask-use", texts.MASK_DONE, type="button")
                self.unmask = button(texts.MASK_NONE, lambda: self._keep(self.session.choices.with_mask("")))
            tag("output", "drop-said mask-said")

    def _make_dials(self) -> None:
        with tag("section", "panel dials"):
            self.dials = {
                name: Slider(text, *RANGES[name], STEPS, self._dial(name)) for name, text in texts.DIALS.items()
            }
            self.metric = Select(texts.STYLE_METRIC, texts.METRICS, self._dial("style_metric"))
            self.shares = tag("div", "shares")
            button(texts.RESET, self._reset, "quiet")
            self._make_job_fields()
            self.curve = CurveEditor(self._schedule)
            self.paint = button(texts.PAINT, self._paint, "primary")
            with tag("div", "copies"):
                self.command = tag("button", "quiet copy", texts.COPY_COMMAND, type="button")
                self.python = tag("button", "quiet copy", texts.COPY_PYTHON, type="button")

    def _make_job_fields(self) -> None:
        with tag("div", "order"):
            self.job = Select(texts.JOB, texts.JOBS, self._job, "wide")
            self.format = Select(texts.FORMAT, {}, lambda value: self._set(format=value))
            self.size = Input(texts.SIZE, self._number("size", 64, 4096, int), "number", min=64, max=4096, step=2)
            self.name = Input(texts.NAME, lambda value: self._set(name=value[:60]), autocomplete="off")
            self.seconds = Input(texts.SECONDS, self._number("seconds", 0.5, 600), "number", min=0.5, max=600, step=0.5)
            self.start = Input(texts.START, self._number("start", 0, 1e5), "number", min=0, step=0.1)
            self.end = Input(texts.END, self._number("end", 0, 1e5), "number", min=0, step=0.1)

    def refresh(self) -> None:
        """Follow the session."""
        library = self.session.library
        if (now := (len(library.contents), len(library.styles))) != self.listed:
            self.listed = now
            self.buttons.clear()
            self._list(self.contents, library.contents, is_style=False)
            self._list(self.styles, library.styles, is_style=True)
            self.version = -1
        if self.version != self.session.version:
            self.version = self.session.version
            self._follow(self.session.choices)
        self._show_still()
        self._show_grid()

    def _list(self, box: Any, items: list[Item], *, is_style: bool) -> None:
        box.clear()
        act = self._toggle if is_style else self._choose
        with box:
            for item in items:
                with button("", act(item), "thumb", title=item.name, aria_label=item.name) as made:
                    image(f"/thumb/{item.key}", "", loading="lazy")
                    if item.moves:
                        tag("span", "badge", "▶", aria_hidden="true")
                self.buttons.setdefault(item.key, []).append((made, is_style))

    def _follow(self, choices: Choices) -> None:
        """Show what is chosen."""
        for key, made in self.buttons.items():
            for one, is_style in made:
                on = key in choices.styles if is_style else key == choices.content
                put(one, aria_pressed="true" if on else "false")
        for name, slider in self.dials.items():
            slider.show(float(choices.dials[name]))
        self.metric.show(str(choices.dials["style_metric"]))
        moves = bool(choices.content) and self.session.library[choices.content].moves
        kinds = {key: text for key, text in texts.JOBS.items() if (key == "video") == moves}
        self.job.show(choices.job, kinds)
        self.format.show(choices.format, {one: one.upper() for one in FORMATS[choices.job]})
        for control, value in ((self.size, choices.size), (self.name, choices.name), (self.seconds, choices.seconds)):
            control.show(f"{value:g}" if isinstance(value, float) else str(value))
        self.start.show(f"{choices.start:g}")
        self.end.show("" if choices.end is None else f"{choices.end:g}")
        self.seconds.box.set_visibility(choices.job == "balance")
        self.curve.show(choices)
        self.start.box.set_visibility(choices.job == "video")
        self.end.box.set_visibility(choices.job == "video")
        self._follow_mix(choices)
        put(self.paint, disabled=not choices.ready)
        put(self.unmask, disabled=not choices.mask_file)
        put(self.compare, disabled=not choices.ready)
        self._follow_copies(choices)
        if choices.content == self.known:  # before, the slider does not reach so far
            self.second.show(choices.second)
        if choices.content and choices.content != self.asked:
            self.asked = choices.content
            ui.timer(0, self._ask_facts, once=True)

    def _follow_mix(self, choices: Choices) -> None:
        shown = choices.styles if len(choices.styles) > 1 else ()
        if shown != self.mixed:
            self.mixed = shown
            self.shares.clear()
            self.mix.clear()
            with self.shares:
                for key in shown:
                    name = self.session.library[key].name
                    self.mix[key] = Slider(texts.MIX.format(name=name), 0, 1, STEPS, self._share(key))
        for key, share in zip(choices.styles, choices.shares, strict=True):
            if key in self.mix:
                self.mix[key].show(share)

    def _follow_copies(self, choices: Choices) -> None:
        try:
            output = choices.output(self.session.folder)
            words = choices.command(self.session.library, output) if choices.ready else ""
            call = choices.python(self.session.library, output) if choices.ready else ""
        except VidstyleError:
            words = call = ""
        put(self.command, data_copy=words, disabled=not words)
        put(self.python, data_copy=call, disabled=not call)

    async def _ask_facts(self) -> None:
        """What is known of the content, once it is read."""
        from nicegui import run

        item = self.session.library[self.session.choices.content]
        say(self.facts, texts.READING.format(name=item.name))
        try:
            facts = await run.io_bound(self.session.library.facts, item)
        except VidstyleError as error:
            say(self.facts, str(error))
            return
        if facts is None:  # the server ends
            return
        text = texts.FACTS_CLIP if item.moves else texts.FACTS_PICTURE
        shots = texts.SHOTS.get(facts.shots) or texts.SHOTS_MANY.format(count=facts.shots)
        known = dataclasses.asdict(facts) | {"shots": shots}
        say(self.facts, f"{item.name}: " + text.format(**known))
        self.known = item.key
        self.second.input.props["max"] = max(facts.seconds, 0.04)
        self.second.input.update()
        self.second.show(self.session.choices.second)

    def _show_still(self) -> None:
        still, choices = self.session.preview.still, self.session.choices
        moves = bool(choices.content) and self.session.library[choices.content].moves
        self.second.box.classes(replace="field slider" if moves else "field slider unseen")
        if still.version == self.still_version:
            return
        self.still_version = still.version
        style(self.wipe, f"--wipe: 0%; --ratio: {still.width} / {still.height}")
        if still.jpeg:
            put(self.still, src=f"/still/{still.version}.jpg")
        if still.content:
            put(self.before, src=f"/still/content/{still.content_version}.jpg")
        put(self.canvas, data_mask=f"/still/mask/{still.version}.png" if still.mask else "")
        if still.error:
            say(self.status, still.error)
        elif not choices.ready:
            say(self.status, texts.STILL_EMPTY)
        else:
            known = texts.STILL_STATUS.format(
                **dataclasses.asdict(dataclasses.replace(still, jpeg=b"", content=b"", mask=b""))
            )
            say(self.status, f"{known}, {texts.REFINING if still.refining else texts.REFINED}")

    def _show_grid(self) -> None:
        """The small paintings, as they come."""
        grid = self.session.preview.grid
        if grid.version != self.grid_version:
            self.grid_version, self.cells = grid.version, []
            self.grid.clear()
            with self.grid:
                for place in range(len(grid.cells)):
                    style, alpha = grid.styles[place // len(ALPHAS)], ALPHAS[place % len(ALPHAS)]
                    name = texts.CELL.format(name=self.session.library[style].name, alpha=alpha)
                    with button("", self._taking(style, alpha), "cell", title=name, aria_label=name):
                        self.cells.append(image("", ""))
                        tag("span", "", f"{alpha:g}", aria_hidden="true")
        for place, data in enumerate(grid.cells):
            if data:
                put(self.cells[place], src=f"/grid/{grid.version}/{place}.jpg")

    def _compare(self) -> None:
        if self.session.choices.ready:
            self.session.preview.compare(self.session.choices)

    def _taking(self, style: str, alpha: float) -> Callable[[], None]:
        def take() -> None:
            one = dataclasses.replace(self.session.choices, styles=(style,), shares=(1.0,))
            self._keep(one.with_dial("alpha", alpha))

        return take

    def _choose(self, item: Item) -> Callable[[], None]:
        return lambda: self._keep(self.session.choices.with_content(item.key, moves=item.moves))

    def _toggle(self, item: Item) -> Callable[[], None]:
        return lambda: self._keep(self.session.choices.with_style(item.key))

    def _share(self, key: str) -> Callable[[float], None]:
        return lambda share: self._keep(self.session.choices.with_share(key, max(share, 0.01)))

    def _dial(self, name: str) -> Callable[[Any], None]:
        return lambda value: self._keep(self.session.choices.with_dial(name, value))

    def _second(self, value: float) -> None:
        self._set(second=value)

    def _job(self, value: str) -> None:
        job: Job = "video" if value == "video" else "balance" if value == "balance" else "image"
        self._keep(self.session.choices.with_job(job))

    def _number(self, name: str, low: float, high: float, kind: type = float) -> Callable[[str], None]:
        def change(text: str) -> None:
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if low <= value <= high:
                self._set(**{name: kind(value)})
            elif name == "end" and not text.strip():
                self._set(end=None)
            else:
                self._set()  # shows what was there before

        return change

    def _reset(self) -> None:
        self._set(dials=dict(DEFAULTS), rest={}, shares=tuple(1.0 for _ in self.session.choices.styles))

    def _schedule(self, text: str, alpha: float | None) -> None:
        self._keep(self.session.choices.with_schedule(text, alpha))

    def _set(self, **changes: Any) -> None:
        self._keep(dataclasses.replace(self.session.choices, **changes))

    def _keep(self, choices: Choices) -> None:
        self.session.choose(choices)
        self.refresh()

    def _paint(self) -> None:
        try:
            entry = self.session.paint()
        except VidstyleError as error:
            say(self.status, str(error))
            return
        ui.run_javascript(f"studio.toast({texts.ADDED.format(name=entry.output)!r})")
        self.open_view("paint")
