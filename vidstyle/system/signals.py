"""Signal handlers: SIGINT (Ctrl-C), SIGTERM and SIGHUP end a run alike, once, and within seconds.

The first one raises `Stopped` in the main thread, whose `finally` blocks then end children and remove part files; later
ones change nothing. A main thread that is deep in a library cannot see a signal: then a second thread, which does,
ends the process. A job folder loses no more by that than a frame. Needs nothing but the standard library, since the
handlers must stand before anything large is imported.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

ASKS = {getattr(signal, name): name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)}
DEAF = 0.8  # seconds after which a main thread that has not seen the signal is not waited for
CLEAN_UP = 5.0  # seconds that it may take to end what runs

_seen = threading.Event()  # the main thread has been told
_number = 0  # of the first signal; 0 while there was none


class Stopped(KeyboardInterrupt):
    """The process was asked to stop."""


def install() -> None:
    """Heed the signals from now on, but for those that the parent ignores (nohup) or somebody handles already."""
    default = (signal.SIG_DFL, signal.default_int_handler)
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    for number in ASKS:
        if signal.getsignal(number) in default:
            signal.signal(number, _stop)
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    sys.unraisablehook = _raise_again
    try:
        threading.Thread(target=_watch, args=(receiver,), name="vidstyle-signals", daemon=True).start()
    except RuntimeError:  # no memory for a thread: signals then wait until the library returns
        return


def received() -> int:
    """The number of the signal that asked to stop, or 0."""
    return _number


def exit_code() -> int:
    """128 and the number of the signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (_number or signal.SIGINT)


def cause() -> str:
    """Who stopped the run, for a sentence."""
    return "interrupted" if _number in (0, signal.SIGINT) else f"stopped by {ASKS[signal.Signals(_number)]}"


def _stop(number: int, frame: FrameType | None) -> None:
    global _number
    _seen.set()
    if not _number:
        _number = number
        raise Stopped


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised in a finaliser; a signal must not be lost so."""
    global _number
    if isinstance(unraisable.exc_value, Stopped):
        number, _number = _number, 0
        _thread.interrupt_main(signal.Signals(number))
    else:
        sys.__unraisablehook__(unraisable)


def _watch(receiver: socket.socket) -> None:
    """Wait for a signal, which the system writes to `receiver` at once, and then for the end of the process."""
    number = 0
    while number not in ASKS or signal.getsignal(number) is not _stop:
        number = receiver.recv(1)[0]
    if _seen.wait(DEAF):
        time.sleep(CLEAN_UP)
    ffmpeg = sys.modules.get("vidstyle.system.ffmpeg")
    if ffmpeg is not None:
        ffmpeg.kill_all()
    say(f"vidstyle: {'interrupted' if number == signal.SIGINT else 'stopped'}; the same command goes on")
    os._exit(128 + number)


def say(text: str) -> None:
    """Write a line to standard error, whatever has become of it."""
    try:
        shown = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides the cursor
        os.write(2, f"{shown}{text}\n".encode(errors="replace"))
    except OSError:
        return
