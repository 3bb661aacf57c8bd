"""The curve of alpha over time with its keys, which a pointer or the keyboard moves; text and curve are in step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from vidstyle.errors import VidstyleError
from vidstyle.settings import BalanceSettings
from vidstyle.studio import texts
from vidstyle.studio.choices import SCHEDULE, Choices
from vidstyle.studio.keys import WAYS, Curve
from vidstyle.studio.parts import THROTTLE, Input, Select, button, html, put, say, tag


class CurveEditor:
    """A text field, the curve below it, and what changes its keys.

    Args:
        change: is given another text and the alpha to look at, or None. May raise `VidstyleError`.
    """

    def __init__(self, change: Callable[[str, float | None], None]) -> None:
        self.change = change
        self.curve: Curve | None = None
        self.selected = 0
        self.handles: list[Any] = []
        with tag("div", "curve-editor") as self.box:
            self.text = Input(texts.SCHEDULE, self._typed, autocomplete="off", spellcheck="false")
            self.error = tag("output", "error schedule-error")
            with tag("div", "curve-area", role="group", aria_label=texts.SCHEDULE) as self.area:
                self.line = html("", "curve-line")
                tag("span", "curve-top", texts.CONTENT_END, aria_hidden="true")
                tag("span", "curve-bottom", texts.STYLE_END, aria_hidden="true")
            with tag("div", "curve-axis", aria_hidden="true"):
                tag("span", "", texts.SECONDS_AT.format(seconds=0))
                self.end = tag("span")
            self.way = Select(texts.WAY.format(number=1), texts.WAYS, self._eased)
            with tag("div", "copies"):
                button(texts.ADD_KEY, self._added_anywhere, "quiet")
                self.remove = button(texts.REMOVE_KEY, lambda: self._removed(self.selected), "quiet")
            tag("p", "facts", texts.CURVE_HINT)
        self.area.on("added", self._added, js_handler="(e) => emit(e.detail)")

    def show(self, choices: Choices) -> None:
        """Follow what is chosen."""
        self.box.set_visibility(choices.job == "balance" and not choices.grows)
        self.text.show(choices.schedule)
        try:
            self.curve = choices.curve()
        except VidstyleError as error:
            self.curve = None
            say(self.error, str(error))
        else:
            say(self.error, "")
        self.area.set_visibility(self.curve is not None)
        if self.curve is not None:
            self._draw(self.curve)

    def _draw(self, curve: Curve) -> None:
        points = " ".join(f"{1000 * place:.1f},{100 - 100 * value:.1f}" for place, value in curve.line)
        drawn = (
            '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
            f'<polyline points="{points}" vector-effect="non-scaling-stroke"/></svg>'
        )
        if self.line.content != drawn:
            self.line.set_content(drawn)
        say(self.end, (texts.THEN_BACK if curve.bounces else texts.SECONDS_AT).format(seconds=float(curve.end)))
        places = curve.places
        with self.area:
            while len(self.handles) < len(places):
                self.handles.append(self._handle(len(self.handles)))
        while len(self.handles) > len(places):
            self.handles.pop().delete()
        for number, (handle, (place, value)) in enumerate(zip(self.handles, places, strict=True)):
            seconds = place * float(curve.end)
            put(
                handle,
                data_x=f"{place:.4f}",
                data_y=f"{value:.4f}",
                aria_label=texts.KEY.format(number=number + 1, count=len(places)),
                aria_valuenow=f"{value:.2f}",
                aria_valuetext=texts.KEY_AT.format(value=value, seconds=seconds),
            )
        self._select(min(self.selected, len(places) - 1))

    def _handle(self, number: int) -> Any:
        made = tag("button", "key", type="button", role="slider", aria_valuemin=0, aria_valuemax=1)
        detail = "(e) => emit(e.detail)"
        made.on("moved", lambda event: self._moved(number, event.args), throttle=THROTTLE, js_handler=detail)
        made.on("removed", lambda: self._removed(number))
        made.on("eased", lambda: self._next_way(number))
        made.on("focus", lambda: self._select(number))
        return made

    def _select(self, number: int) -> None:
        self.selected = number
        if self.curve is None or number >= len(self.curve.schedule.keys):
            return
        keys, loop = self.curve.schedule.keys, self.curve.schedule.loop
        for place, handle in enumerate(self.handles):
            put(handle, data_selected="true" if place == number else "false")
        self.way.show(keys[number].way)
        say(self.way.label, texts.WAY.format(number=number + 1))
        put(self.way.input, disabled=number == len(keys) - 1)
        put(self.remove, disabled=len(keys) <= 1 + loop)

    def _typed(self, text: str) -> None:
        self._try(lambda curve: text)

    def _moved(self, number: int, given: Any) -> None:
        if (at := _place(given)) is not None and number < len(self.handles):
            self._try(lambda curve: curve.moved(number, *at), alpha=min(max(at[1], 0.0), 1.0))

    def _added(self, event: Any) -> None:
        if (at := _place(event.args)) is not None:
            self._try(lambda curve: curve.added(*at))

    def _added_anywhere(self) -> None:
        self._try(lambda curve: curve.added())

    def _removed(self, number: int) -> None:
        if number < len(self.handles):
            self._try(lambda curve: curve.removed(number))

    def _eased(self, way: str) -> None:
        wanted = next(one for one in WAYS if one == way)
        self._try(lambda curve: curve.eased(self.selected, wanted))

    def _next_way(self, number: int) -> None:
        if self.curve is not None and number < len(self.curve.schedule.keys) - 1:
            way = self.curve.schedule.keys[number].way
            self._try(lambda curve: curve.eased(number, WAYS[(WAYS.index(way) + 1) % len(WAYS)]))

    def _try(self, edit: Callable[[Curve], str], alpha: float | None = None) -> None:
        """Change the schedule, or say why that cannot be."""
        curve = self.curve or Curve.of(SCHEDULE, BalanceSettings())
        try:
            self.change(edit(curve), None if alpha is None else round(alpha, 2))
        except VidstyleError as error:
            say(self.error, str(error))


def _place(given: Any) -> tuple[float, float] | None:
    """A place and a value that the page has sent; None for something else."""
    if not isinstance(given, dict):
        return None
    place, value = given.get("x"), given.get("y")
    if isinstance(place, int | float) and isinstance(value, int | float) and math.isfinite(place + value):
        return float(place), float(value)
    return None
