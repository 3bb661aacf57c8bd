"""What the studio answers besides the page: pictures, files to download, and files that are dropped."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from vidstyle.errors import VidstyleError
from vidstyle.studio import texts
from vidstyle.studio.access import UPLOAD, UPLOAD_LIMIT, TooLargeError
from vidstyle.studio.queue import OWN_FOLDER
from vidstyle.studio.session import Session

HERE = Path(__file__).parent
FILES = {"/studio.css": "text/css", "/studio.js": "text/javascript"}
Handler = Callable[[Request], Awaitable[Response]]
# A report has no scripts, and none would run that somebody has written into the file.
REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
REPORT_HEADERS = {"content-security-policy": REPORT_POLICY}
ROLES = ("content", "style", "result", "mask")


Route = tuple[str, str, Handler]  # method, path, handler


def routes(session: Session) -> list[Route]:
    """What is answered. Paths name things by keys and numbers, never by paths of files."""

    async def upload(request: Request) -> Response:
        return await _receive(request, session)

    files = [("GET", path, _file(HERE / path[1:], kind)) for path, kind in FILES.items()]
    return [*_of_preview(session), *_of_jobs(session), ("POST", UPLOAD, upload), *files]


def _of_preview(session: Session) -> list[Route]:
    """What is chosen from, and the still."""

    async def still(request: Request) -> Response:
        return _bytes(session.preview.still.jpeg, "image/jpeg")

    async def still_content(request: Request) -> Response:
        return _bytes(session.preview.still.content, "image/jpeg")

    async def still_mask(request: Request) -> Response:
        return _bytes(session.preview.still.mask, "image/png")

    async def cell(request: Request) -> Response:
        cells, place = session.preview.grid.cells, request.path_params["place"]
        return _bytes(cells[place] if place < len(cells) else b"", "image/jpeg")

    async def thumb(request: Request) -> Response:
        return await _made("image/jpeg", lambda: session.library.thumb(session.library[_key(request)]), keep=True)

    async def cut(request: Request) -> Response:
        return await _cut(request, session)

    return [
        ("GET", "/still/{version:int}.jpg", still),
        ("GET", "/still/content/{version:int}.jpg", still_content),
        ("GET", "/still/mask/{version:int}.png", still_mask),
        ("GET", "/grid/{version:int}/{place:int}.jpg", cell),
        ("GET", "/thumb/{key}", thumb),
        ("POST", "/cut", cut),
    ]


def _of_jobs(session: Session) -> list[Route]:
    """Frames and files of a job."""

    async def painted(request: Request) -> Response:
        number = request.path_params["number"]
        return await _made("image/png", lambda: session.frames.painted(_key(request), number), keep=True)

    async def growing(request: Request) -> Response:
        return await _made("image/jpeg", lambda: session.frames.growing(_key(request)), keep=False)

    async def content(request: Request) -> Response:
        number = request.path_params["number"]
        return await _made("image/jpeg", lambda: session.frames.content(_key(request), number), keep=True)

    async def output(request: Request) -> Response:
        try:
            path = session.output(_key(request))
        except KeyError:
            return _missing()
        return FileResponse(path, filename=path.name) if path.is_file() else _missing()

    async def report(request: Request) -> Response:
        try:
            path = session.report(_key(request))[0]
        except KeyError:
            return _missing()
        return FileResponse(path, media_type="text/html", headers=REPORT_HEADERS) if path.is_file() else _missing()

    return [
        ("GET", "/job/{key}/frame/{number:int}.png", painted),
        ("GET", "/job/{key}/growing/{version:int}.jpg", growing),
        ("GET", "/job/{key}/content/{number:int}.jpg", content),
        ("GET", "/job/{key}/output", output),
        ("GET", "/job/{key}/report", report),
    ]


async def _receive(request: Request, session: Session) -> Response:
    """Keep a file that was dropped, if a job would take it; nothing of another one stays."""
    role, name = request.query_params.get("role", ""), request.query_params.get("name", "")
    if role not in ROLES or not name:
        return PlainTextResponse(texts.NOT_FOUND, 404)
    own = session.folder / OWN_FOLDER
    own.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own, prefix="upload-") as scratch:
        part = Path(scratch) / "part"
        try:
            with open(part, "xb") as file:
                async for data in request.stream():
                    await run_in_threadpool(file.write, data)
        except TooLargeError:
            return PlainTextResponse(texts.TOO_LARGE.format(limit=UPLOAD_LIMIT // 10**6), 413)
        except OSError as error:
            return PlainTextResponse(f"{error.strerror}\n", 507)
        try:
            said: dict[str, Any] = await run_in_threadpool(session.receive, part, name, role)
        except KeyError:  # a mask without a content
            return _missing()
        except VidstyleError as error:
            return PlainTextResponse(f"{error}\n".replace(str(own), "").replace(os.fspath(session.folder), ""), 422)
    return JSONResponse(said)


async def _cut(request: Request, session: Session) -> Response:
    """The mask of what stands out in a box of the frame that is shown, whose four numbers are shares of it."""
    try:
        left, top, width, height = (float(request.query_params.get(name, "")) for name in ("x", "y", "w", "h"))
    except ValueError:
        return PlainTextResponse(texts.NOT_FOUND, 404)
    if not all(math.isfinite(one) for one in (left, top, width, height)):
        return PlainTextResponse(texts.NOT_FOUND, 404)
    box, choices = (left, top, width, height), session.choices
    return await _made(
        "image/png",
        lambda: session.library.cut_out(session.library[choices.content], choices.second, box),
        keep=False,
    )


async def _made(kind: str, make: Callable[[], bytes | None], *, keep: bool) -> Response:
    try:
        data = await run_in_threadpool(make)
    except KeyError:
        return _missing()
    except VidstyleError as error:
        return PlainTextResponse(f"{error}\n", 422)
    return _bytes(data, kind, keep=keep) if data else _missing()


def _bytes(data: bytes, kind: str, *, keep: bool = False) -> Response:
    if not data:
        return _missing()
    return Response(data, media_type=kind, headers={"cache-control": "private, max-age=3600" if keep else "no-store"})


def _file(path: Path, kind: str) -> Handler:
    async def serve(request: Request) -> Response:
        return _bytes(await asyncio.to_thread(path.read_bytes), kind)

    return serve


def _missing() -> Response:
    return PlainTextResponse(texts.NOT_FOUND, 404)


def _key(request: Request) -> str:
    return str(request.path_params["key"])
