"""The view of the queue: what is painted, how far it is, and what waits."""

from __future__ import annotations

import html as escaping
from collections.abc import Callable
from typing import Any

from vidstyle.api import JobStatus
from vidstyle.studio import texts
from vidstyle.studio.parts import button, curve, html, image, put, say, tag
from vidstyle.studio.queue import Entry
from vidstyle.studio.session import Session
from vidstyle.system.sites import said as size_said


class PaintView:
    """A card for each job, in the order of the queue."""

    element: Any

    def __init__(self, session: Session, look: Callable[[str], None]) -> None:
        self.session, self.look = session, look
        self.cards: dict[str, Card] = {}
        self.order: list[str] = []
        self.empty = tag("p", "empty", texts.QUEUE_EMPTY)
        self.list = tag("ol", "cards")

    def refresh(self) -> None:
        """Follow the queue."""
        entries = self.session.queue.entries
        keys = [entry.key for entry in entries]
        for key in [key for key in self.cards if key not in keys]:
            self.cards.pop(key).element.delete()
        for entry in entries:
            if entry.key not in self.cards:
                with self.list:
                    self.cards[entry.key] = Card(self.session, entry, self.look)
        if keys != self.order:
            for place, key in enumerate(keys):
                self.cards[key].element.move(target_index=place)
            self.order = keys
        self.empty.set_visibility(not entries)
        for place, entry in enumerate(entries):
            self.cards[entry.key].follow(entry, first=place == 0)


class Card:
    """One job."""

    def __init__(self, session: Session, entry: Entry, look: Callable[[str], None]) -> None:
        self.session, self.key = session, entry.key
        self.seen: tuple[object, ...] = ()
        queue = session.queue
        with tag("li", "card") as self.element:
            with tag("div", "frame"):
                self.none = tag("span", "no-frame", texts.NO_FRAME)
                self.frame = image("", texts.NEWEST, "newest")
            with tag("div", "card-body"):
                with tag("div", "card-head"):
                    tag("h2", "", entry.output)
                    self.state = tag("span", "state")
                self.bar = tag("progress", "bar", max=1, value=0, aria_label=entry.output)
                self.numbers = tag("p", "facts", role="status")
                self.message = tag("p", "error")
                self.curve = html("", "curve-box")
                with tag("details"):
                    tag("summary", "", texts.SETTINGS)
                    tag("code", "command", entry.command)
                    with tag("div", "copies"):
                        tag("button", "quiet copy", texts.COPY_COMMAND, type="button", data_copy=entry.command)
                        if entry.python:
                            tag("button", "quiet copy", texts.COPY_PYTHON, type="button", data_copy=entry.python)
                with tag("div", "actions"):
                    self.actions = {
                        "look": button(texts.LOOK, lambda: look(entry.of or self.key), "primary"),
                        "pause": button(texts.PAUSE, self._doing(queue.pause), title=texts.PAUSE_HINT),
                        "resume": button(texts.RESUME, self._doing(queue.resume)),
                        "stop": button(texts.STOP, self._doing(queue.stop), title=texts.STOP_HINT),
                        "up": button(texts.UP, self._doing(queue.move_up), "quiet"),
                        "remove": button(texts.REMOVE, self._doing(queue.remove), "quiet"),
                    }

    def follow(self, entry: Entry, *, first: bool) -> None:
        """Show how far the job is."""
        settled = (entry, first)
        if self.seen == settled and not entry.pid:
            return
        self.seen = settled
        status = self.session.queue.status(entry.key)
        possible = {
            "look": status.painted > 0 or entry.state == "done",
            "pause": entry.state in ("running", "waiting"),
            "resume": entry.state in ("paused", "stopped", "failed"),
            "stop": entry.state in ("running", "paused"),
            "up": not first and entry.state in ("waiting", "paused"),
            "remove": entry.state != "running" and not entry.pid,
        }
        for name, made in self.actions.items():
            made.set_visibility(possible[name])
        put(self.state, data_state=entry.state)
        say(self.state, state_said(entry, status.phase))
        put(
            self.bar,
            max=max(status.frames, 1),
            value=max(status.frames, 1) if entry.state == "done" else status.painted,
        )
        size = self.session.queue.size(entry.key) if entry.job == "encode" and entry.state in ("running", "done") else 0
        text = texts.SIZE_NOW if entry.state == "running" else texts.SIZE_OF
        made = text.format(size=size_said(size)) if size and not entry.message else ""
        say(self.numbers, said(status) if status.frames else made)
        say(self.message, entry.message)
        self.message.classes(replace="note" if entry.state == "done" else "error")
        self.none.set_visibility(status.newest is None and not status.growing)
        idle = status.newest is None and entry.state != "running"
        self.element.classes(replace="card idle" if idle else "card")
        if status.growing:
            put(self.frame, src=f"/job/{entry.key}/growing/{status.growing}.jpg")
        elif status.newest is not None:
            put(self.frame, src=f"/job/{entry.key}/frame/{status.newest}.png")
        losses = list(status.losses)
        label = texts.CURVE.format(first=losses[0], last=losses[-1]) if losses else ""
        content = curve(losses, escaping.escape(label)) if len(losses) > 1 else ""
        if self.curve.content != content:
            self.curve.set_content(content)

    def _doing(self, act: Callable[[str], None]) -> Callable[[], None]:
        def do() -> None:
            try:
                act(self.key)
            except KeyError:  # another tab has removed it
                return

        return do


def state_said(entry: Entry, phase: str = "") -> str:
    """What a job does, in a word."""
    state = texts.STATES[entry.state]
    return texts.WORK.get(entry.job, texts.PHASES.get(phase, state)) if entry.state == "running" else state


def said(status: JobStatus) -> str:
    """How far a job is, in a line."""
    parts = [texts.FRAMES.format(painted=status.painted, frames=status.frames)]
    if status.shots > 1:
        parts.append(texts.SHOT.format(number=status.shot, count=status.shots))
    if status.losses:
        parts.append(texts.LOSS.format(loss=status.losses[-1]))
    if status.running and status.evaluations:
        parts.append(texts.EVALUATIONS.format(count=status.evaluations))
    if status.fps:
        slow = status.fps < 1
        parts.append((texts.RATE_SLOW if slow else texts.RATE).format(fps=status.fps, seconds=1 / status.fps))
    if status.eta_seconds is not None:
        minutes, seconds = divmod(round(status.eta_seconds), 60)
        parts.append(texts.LEFT.format(left=f"{minutes}:{seconds:02}"))
    if status.memory:
        parts.append(texts.MEMORY.format(size=size_said(status.memory)))
    return ", ".join(parts)
