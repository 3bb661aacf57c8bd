"""Runs the studio: the page, its routes and the guard before them, in one process."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidstyle.errors import DiskError, UsageError
from vidstyle.studio.access import Access, Guard, is_loopback
from vidstyle.system import libraries

LEAST_PASSWORD = 12  # letters


def run(
    folder: Path,
    host: str,
    port: int,
    password_file: Path | None,
    *,
    opens: bool,
    tell: Callable[[str], object],
) -> None:
    """Serve the studio until it is interrupted.

    Args:
        folder: below which all files are written.
        port: 0 for one that is free.
        opens: the address in a browser.
        tell: is given the address.

    Raises:
        UsageError: NiceGUI is missing, the port is taken, or another machine could reach the studio without a password.
        DiskError: there is no such folder.
    """
    if libraries.missing(["nicegui"]):
        raise UsageError("the studio takes nicegui, not installed here; run pip install 'vidstyle[studio]'")
    if not folder.is_dir():
        raise DiskError(f"there is no folder {folder}; make it, or choose another with --folder")
    password = _password(password_file)
    if not is_loopback(host) and password is None:
        raise UsageError(f"--host {host} lets other machines in; give --password-file, too")
    listening = _listening(host, port)
    access = Access(host, listening.getsockname()[1], password)

    import uvicorn  # not at the top: it is installed with the extra

    app, close = application(folder.resolve(), access)
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on", server_header=False)
    server = uvicorn.Server(config)
    tell(access.address)
    if opens:
        threading.Timer(0.5, webbrowser.open, [access.address]).start()
    try:
        server.run(sockets=[listening])
    finally:
        close()
        listening.close()


def application(folder: Path, access: Access) -> tuple[Guard, Callable[[], None]]:
    """The guarded application, and what ends its threads."""
    from fastapi import FastAPI
    from nicegui import ui

    from vidstyle.studio.page import page
    from vidstyle.studio.routes import routes
    from vidstyle.studio.session import Session

    session = Session(folder)
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for method, path, handler in routes(session):
        web.add_route(path, handler, methods=[method])
    page(session)
    ui.run_with(web, title="vidstyle studio", dark=None, language="en-US", tailwind=False, show_welcome_message=False)
    session.start()
    guarded: Any = web
    return Guard(guarded, access), session.close


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"--password-file {file} cannot be read ({error})") from error
    if len(password) < LEAST_PASSWORD:
        raise UsageError(f"the password in {file} has {len(password)} letters; it needs at least {LEAST_PASSWORD}")
    return password


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.suppress(OSError):
        if sys.platform != "win32":  # there it would let another program take the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(f"{host} port {port} cannot be used ({error}); choose another --port") from error
    return listening
