"""The elements of the page: those of HTML, which a keyboard and a screen reader know, with classes of `studio.css`.

The value of a control is its property data-value, which `studio.js` follows: Vue would put back a property `value` with
every change elsewhere, under the finger of somebody who draws a slider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

THROTTLE = 0.12  # seconds between two values of a slider that is drawn


def tag(name: str, classes: str = "", text: str = "", **props: Any) -> Any:
    """An element with a text; `aria_label` is the property aria-label."""
    element: Any = TextElement(tag=name, text=text)
    element.classes(classes)
    for key, value in props.items():
        if key == "style":
            element.style(value)
        else:
            element.props[key.rstrip("_").replace("_", "-")] = value
    return element


def button(text: str, act: Callable[[], Any], classes: str = "", **props: Any) -> Any:
    """A button."""
    made = tag("button", classes, text, type="button", **props)
    made.on("click", lambda: act())
    return made


def image(source: str, alt: str, classes: str = "", **props: Any) -> Any:
    """A picture; `source` is a path of `routes`."""
    return tag("img", classes, src=source, alt=alt, decoding="async", **props)


def field(label: str, control: Callable[[], Any], classes: str = "") -> Any:
    """A control with its label above."""
    with tag("label", f"field {classes}"):
        tag("span", "field-label", label)
        return control()


def put(element: Any, **props: Any) -> None:
    """Change properties, if they are other ones."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in props.items()}
    if any(element.props.get(key) != value for key, value in named.items()):
        for key, value in named.items():
            element.props[key] = value
        element.update()


def say(element: Any, text: str) -> None:
    """Change a text, if it is another one."""
    if element.text != text:
        element.set_text(text)


def style(element: Any, text: str) -> None:
    """Change the style of an element, if it is another one."""
    if getattr(element, "shown_style", None) != text:
        element.shown_style = text
        element.style(replace=text)


class Slider:
    """A labelled slider with its value beside; what is drawn here is not moved by what comes back."""

    def __init__(self, label: str, low: float, high: float, step: float, change: Callable[[float], Any]) -> None:
        self.change, self.own = change, low
        with tag("label", "field slider") as self.box:
            with tag("span", "field-label"):
                tag("span", "", label)
                self.value = tag("span", "value")
            self.input = tag("input", "", type="range", min=low, max=high, step=step, data_value=low)
        self.input.on("input", self._drawn, throttle=THROTTLE, js_handler="(e) => emit(Number(e.target.value))")

    def show(self, value: float) -> None:
        """Move it, unless it is there."""
        say(self.value, f"{value:.2f}")
        if value != self.own:
            self.own = value
            put(self.input, data_value=value)

    def _drawn(self, event: Any) -> None:
        value = event.args
        if isinstance(value, int | float):
            self.own = float(value)
            self.input.props["data-value"] = self.own
            say(self.value, f"{self.own:.2f}")
            self.change(self.own)


class Select:
    """A native choice of one of several."""

    def __init__(self, label: str, choices: Mapping[str, str], change: Callable[[str], Any], classes: str = "") -> None:
        self.choices, self.change = dict(choices), change
        with tag("label", f"field {classes}") as self.box:
            self.label = tag("span", "field-label", label)
            self.input = tag("select")
        self._fill()
        self.input.on("change", self._chosen, js_handler="(e) => emit(e.target.value)")

    def show(self, value: str, choices: Mapping[str, str] | None = None) -> None:
        """Choose, among other choices if they are given."""
        if choices is not None and dict(choices) != self.choices:
            self.choices = dict(choices)
            self.input.clear()
            self._fill()
        put(self.input, data_value=value)

    def _fill(self) -> None:
        with self.input:
            for key, text in self.choices.items():
                tag("option", "", text, value=key)

    def _chosen(self, event: Any) -> None:
        if event.args in self.choices:
            self.input.props["data-value"] = event.args
            self.change(event.args)


class Input:
    """A native input of a text or a number, read when it is left."""

    def __init__(self, label: str, change: Callable[[str], Any], kind: str = "text", classes: str = "", **props: Any):
        self.change = change
        with tag("label", f"field {classes}") as self.box:
            tag("span", "field-label", label)
            self.input = tag("input", "", type=kind, **props)
        self.input.on("change", self._given, js_handler="(e) => emit(e.target.value)")

    def show(self, value: str) -> None:
        """Another text."""
        put(self.input, data_value=value)

    def _given(self, event: Any) -> None:
        if isinstance(event.args, str) and len(event.args) < 500:
            self.input.props["data-value"] = event.args
            self.change(event.args)


def drop(label: str, role: str, accept: str) -> None:
    """A place where files are dropped, and a button that chooses them; `studio.js` sends them."""
    with tag("label", "drop", data_role=role):
        tag("span", "", label)
        tag("input", "visually-hidden", type="file", accept=accept, multiple=role == "style")
        tag("output", "drop-said")


def curve(values: list[float], label: str) -> str:
    """An SVG of numbers from left to right."""
    most = 300
    if len(values) > most:  # the largest of those that share a place
        values = [max(values[len(values) * n // most : len(values) * (n + 1) // most]) for n in range(most)]
    low, high = min(values), max(values)
    spread, last = (high - low) or 1.0, max(len(values) - 1, 1)
    points = " ".join(f"{300 * n / last:.1f},{46 - 42 * (one - low) / spread:.1f}" for n, one in enumerate(values))
    return (
        f'<svg viewBox="0 0 300 50" preserveAspectRatio="none" role="img" aria-label="{label}" class="curve">'
        f'<polyline points="{points}" vector-effect="non-scaling-stroke"/></svg>'
    )


def html(content: str, classes: str = "") -> Any:
    """HTML of our own making."""
    return ui.html(content, sanitize=False).classes(classes)
