"""The page: three views of one session. What it shows is read again a few times a second, so all tabs agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from vidstyle.studio import texts
from vidstyle.studio.choosing import ChooseView
from vidstyle.studio.looking import LookView
from vidstyle.studio.painting import PaintView
from vidstyle.studio.parts import button, tag
from vidstyle.studio.session import Session

PERIOD = 0.4  # seconds between two looks at the session
HEAD = '<link rel="stylesheet" href="/studio.css"><script src="/studio.js" defer></script>'


def page(session: Session) -> None:
    """Serve the page at the root."""

    def root() -> None:
        ui.add_head_html(HEAD)
        Page(session)

    ui.page("/", title=texts.TITLE, dark=None)(root)


class Page:
    """One tab of a browser."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tabs: dict[str, Any] = {}
        self.views: dict[str, Any] = {}
        with tag("header", "top"):
            tag("h1", "brand", texts.TITLE)
            with tag("nav", "tabs") as nav:
                nav.props["aria-label"] = texts.TITLE
                for name, text in texts.TABS.items():
                    self.tabs[name] = button(text, self._opener(name), "tab")
        made: dict[str, Callable[[], Any]] = {
            "choose": lambda: ChooseView(session, self.open),
            "paint": lambda: PaintView(session, self.look),
            "look": lambda: LookView(session),
        }
        for name, make in made.items():
            with tag("main", f"view view-{name}") as element:
                self.views[name] = make()
                self.views[name].element = element
        tag("div", "toast").props["role"] = "status"
        self.shown = "choose"
        self.open("choose")
        ui.timer(PERIOD, self.refresh)

    def open(self, name: str) -> None:
        """Show a view."""
        self.shown = name
        for key, view in self.views.items():
            view.element.set_visibility(key == name)
            self.tabs[key].props["aria-current"] = "page" if key == name else "false"
            self.tabs[key].update()
        self.refresh()

    def look(self, key: str) -> None:
        """Show what a job has painted."""
        self.views["look"].select(key)
        self.open("look")

    def refresh(self) -> None:
        """Bring what is seen up to date."""
        self.views[self.shown].refresh()

    def _opener(self, name: str) -> Callable[[], None]:
        return lambda: self.open(name)
