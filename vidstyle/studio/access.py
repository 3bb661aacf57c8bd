"""Who may talk to the studio: a token, the headers Host and Origin, and the size of what is sent are checked first.

Everything that reaches the server passes here, web sockets too, before any other code sees it.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vidstyle.studio import texts

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

UPLOAD_LIMIT = 500 * 10**6  # bytes of a file that is dropped on the page
BODY_LIMIT = 10**6  # bytes of everything else
LOGIN_PAUSE = 1.0  # seconds before the answer to a wrong password
UPLOAD, LOGIN = "/upload", "/login"
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; base-uri 'self'; "
        b"frame-ancestors 'none'",
    ),
]


@dataclass(frozen=True)
class Access:
    """What a request must show."""

    host: str  #: address on which the server listens
    port: int
    password: str | None = None  #: None where only this machine can ask
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))  #: of the address that is opened

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies are shared by all ports of a host."""
        return f"vidstyle_{self.port}"

    @property
    def address(self) -> str:
        """What is opened in a browser."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}/" + ("" if self.password else f"?token={self.token}")

    def knows_host(self, host: str) -> bool:
        """Whether a header Host names this server; another name may lead here by an attack on the name service."""
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        name = name.strip("[]").lower()
        if is_loopback(self.host):
            return name in ("localhost", "127.0.0.1", "::1", self.host)
        return name in ("localhost", self.host, socket.gethostname().lower()) or _is_address(name)


class Guard:
    """An ASGI application before another one: refuses what `Access` does not allow."""

    def __init__(self, app: App, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["type"] == "websocket":
            if self._refused(scope, headers) or not self._known(headers):
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http":
            await self._http(scope, headers, receive, send)

    async def _http(self, scope: Any, headers: dict[str, str], receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if why := self._refused(scope, headers):
            await answer(send, *why)
            return
        if self.access.password is not None and path == LOGIN and method in ("GET", "HEAD", "POST"):
            await self._login(method, receive, send)
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if path == "/" and self.access.password is None and _same(given, self.access.token):
            await self._enter(send)
            return
        if not self._known(headers):
            if self.access.password is not None and path == "/":
                await answer(send, 303, "", [(b"location", LOGIN.encode())])
            else:
                await answer(send, 403, texts.NO_TOKEN)
            return
        limit = UPLOAD_LIMIT if path == UPLOAD else BODY_LIMIT
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,15}", length) or int(length) > limit:
            await answer(send, 413, texts.TOO_LARGE.format(limit=limit // 10**6))
            return
        answered = False

        async def sent(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, _limited(receive, limit), _with_headers(sent))
        except TooLargeError:
            if not answered:
                await answer(send, 413, texts.TOO_LARGE.format(limit=limit // 10**6))

    def _refused(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        """The answer to a request that is not for this server, or that another site's page has made."""
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        host = headers.get("host", "")
        if len(hosts) != 1 or not self.access.knows_host(host):
            return 421, texts.OTHER_HOST
        origin = headers.get("origin")
        asks = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if origin is None:
            own = not asks  # a browser always says from which page it sends
        else:
            parts = urlsplit(origin)
            own = parts.scheme == "http" and parts.netloc == host
        return None if own else (403, texts.OTHER_ORIGIN)

    def _known(self, headers: dict[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self.access.cookie)
        return found is not None and _same(found.value, self.access.token)

    async def _enter(self, send: Send) -> None:
        """Keep the token in a cookie, and take it out of the address bar."""
        cookie = f"{self.access.cookie}={self.access.token}; HttpOnly; SameSite=Strict; Path=/"
        await answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])

    async def _login(self, method: str, receive: Receive, send: Send) -> None:
        wrong = False
        if method == "POST":
            body, more = b"", True
            while more and len(body) <= BODY_LIMIT:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
            if _same(given, self.access.password or ""):
                await self._enter(send)
                return
            wrong = True
            await asyncio.sleep(LOGIN_PAUSE)
        html = texts.LOGIN_PAGE.replace("{hint}", texts.WRONG_PASSWORD if wrong else "")
        await answer(send, 403 if wrong else 200, html, [], kind="text/html")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(one: str, other: str) -> bool:
    """Compared in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


async def answer(
    send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None, kind: str = "text/plain"
) -> None:
    """Send a whole short answer."""
    body = text.encode()
    own = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"content-length", str(len(body)).encode())]
    own += [(b"cache-control", b"no-store"), *HEADERS, *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


class TooLargeError(Exception):
    """A body is larger than its header said, or than is allowed."""


def _limited(receive: Receive, limit: int) -> Receive:
    """Counts what is received, whatever the headers said."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise TooLargeError
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(one for one in HEADERS if one[0] not in own)]
        await send(message)

    return added
