"""Workers of a Ray cluster (https://docs.ray.io), or of an instance of Ray of our own on this machine.

A worker is an actor: it prepares the work once, and streams the items of a unit, of which few wait for us. The work and
its files travel through Ray's object store, once to each machine; no disk is shared. Ray itself repeats nothing:
`dispatch` knows from where a unit goes on.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pickle
import platform
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self, cast

from vidstyle.errors import UsageError
from vidstyle.executors.carried import CarriedFile, arrived, remove
from vidstyle.executors.dispatch import Do, Event, Unit, Work
from vidstyle.executors.worker import prepared, results
from vidstyle.system import environment, libraries, signals
from vidstyle.system.notes import tell
from vidstyle.system.version import __version__

INSTALL = "pip install 'vidstyle[cluster]'"
ANSWER = 5.0  # seconds within which a cluster must answer
STEP = 1.0  # seconds after which a wait looks up
BUSY = 10.0  # seconds without any worker after which it is said why
WAITING = 1  # item of a worker that waits to be taken before the worker waits, too
SHORT = 30  # characters
DATA, HEADERS, SETTINGS = 0, 1, 4  # kinds of frames of HTTP/2 (RFC 9113), which Ray speaks
ATTEMPTS = "RAY_gcs_server_port_wait_time_s", "3"  # of Ray, a second or so each, once it is known that a server answers
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")  # where Ray looks for one, before it looks in the home folder
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Cluster:
    """Actors of Ray as workers.

    Args:
        work: that they do.
        address: HOST:PORT of a cluster; None for RAY_ADDRESS or, without that, an instance of our own.
        cpus, gpus: that each of them takes.

    Raises:
        UsageError: Ray is not installed, the cluster does not answer, has not what one worker takes, or runs another
            version of Python, Ray or vidstyle.
    """

    def __init__(self, work: Work, address: str | None, cpus: int, gpus: int) -> None:
        if libraries.missing(["ray"]):
            raise UsageError(f"--workers ray takes Ray, which is not installed here; run {INSTALL}")
        self._ray, self._folder = _connected(address or os.environ.get("RAY_ADDRESS") or None)
        self._actors: dict[int, Any] = {}
        self._waited: dict[int, Any] = {}  # by worker: an answer or a stream of answers that is to come
        self._name = f"vidstyle-{uuid.uuid4().hex}"  # of a folder on other machines
        self._ready, self._began, self._told = False, time.monotonic(), False
        try:
            self.count = _room(self._ray, cpus, gpus)
            self._kind = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)(_Worker)
            self._carry(work, elsewhere=self._folder is None)
        except BaseException:
            self._close()
            raise

    def _carry(self, work: Work, *, elsewhere: bool) -> None:
        """Put what travels into the object store: the work and, where workers may be `elsewhere`, its files."""
        self._work, self._files, self._data = self._ray.put(pickle.dumps(work)), [], []
        for path in work.files if elsewhere else ():
            self._files.append(CarriedFile.of(path))
            self._data.append(self._ray.put(Path(path).read_bytes()))

    def start(self, number: int) -> None:
        """Start the worker of a number."""
        self._actors[number] = actor = self._kind.remote(self._work, self._files, self._data, self._name)
        self._waited[number] = actor.begin.remote(__version__)

    def give(self, number: int, unit: Unit) -> None:
        """Have a worker do a unit. One that has died says so by the next event."""
        stream = self._actors[number].do.options(num_returns="streaming", _generator_backpressure_num_objects=WAITING)
        self._waited[number] = stream.remote(pickle.dumps(unit))

    def next(self) -> Event:
        """What happens next. Waits for it."""
        while True:
            numbers = {waited: number for number, waited in self._waited.items()}
            found, _ = self._ray.wait(list(numbers), num_returns=1, timeout=STEP, fetch_local=False)
            if found:
                return self._event(numbers[found[0]])
            if not (self._ready or self._told) and time.monotonic() - self._began > BUSY:
                tell("no machine of the cluster has room for a worker yet; it begins when others have ended")
                self._told = True

    def _event(self, number: int) -> Event:
        errors, waited = self._ray.exceptions, self._waited[number]
        try:
            answer = waited if isinstance(waited, self._ray.ObjectRef) else next(waited)
            kind, value = pickle.loads(self._ray.get(answer))
        except StopIteration:  # the stream ends where its actor has died
            kind, value = "died", "Ray has lost the worker"
        except errors.RayError as error:
            kind, value = "died", str(error)
            if isinstance(error, errors.RayTaskError) or "creation task" in value:
                cause = value.strip().splitlines()[-1]
                raise UsageError(
                    f"a worker of the cluster cannot load vidstyle {__version__} or what that needs ({cause}); install "
                    "it on each machine"
                ) from error
        if kind in ("ready", "end", "error", "died"):
            del self._waited[number]
        if kind == "died":
            self._ray.kill(self._actors.pop(number))
        self._ready = self._ready or kind == "ready"
        return Event(number, kind, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        """End the workers, and our own instance of Ray."""
        with _signals_kept():
            for actor in self._actors.values():
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._ray.kill(actor)
            if self._folder is None and self._actors:
                self._remove_files()
            self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _remove_files(self) -> None:
        """Remove on each machine what workers have written there."""
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        removing = self._ray.remote(num_cpus=0, max_retries=0)(remove)
        with contextlib.suppress(self._ray.exceptions.RayError):
            alive = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
            each = [strategies.NodeAffinitySchedulingStrategy(node, soft=False) for node in alive]
            done = [removing.options(scheduling_strategy=strategy).remote(self._name) for strategy in each]
            self._ray.wait(done, num_returns=len(done), timeout=ANSWER)


class _Worker:
    """What runs in an actor."""

    def __init__(self, work: bytes, files: Sequence[CarriedFile], data: Sequence[Any], name: str) -> None:
        self._work, self._files, self._data, self._name = work, files, data, name
        self._do: Do | None = None

    def begin(self, version: str) -> bytes:
        """Prepare the work, for vidstyle of this version: a message."""
        if version != __version__:
            error = UsageError(
                f"the cluster runs vidstyle {__version__}, and this is {version}; install the same on each machine"
            )
            return pickle.dumps(("error", error))
        work: Work = pickle.loads(self._work)
        if place := arrived(self._files, self._name, self._fetched):
            work = work.moved(place)
        message, self._do = prepared(work)
        return pickle.dumps(message)

    def _fetched(self, number: int) -> bytes:
        import ray

        return cast(bytes, ray.get(self._data[number]))

    def do(self, unit: bytes) -> Iterator[bytes]:
        """Do a unit: its messages."""
        assert self._do is not None
        for message in results(self._do, pickle.loads(unit)):
            yield pickle.dumps(message)


def _connected(address: str | None) -> tuple[Any, str | None]:
    """Ray, connected, and the folder of our own instance. Raises `UsageError` if the cluster does not answer."""
    with environment.kept(), _environment(QUIET):
        import ray

        folder = None
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        try:
            with _signals_kept(), _unheard():
                if address is None:
                    folder = _temporary()
                    _have_token()
                    ray.init(address="local", include_dashboard=False, _temp_dir=folder, **quiet)
                else:
                    _require_answer(address)
                    with _environment({ATTEMPTS[0]: os.environ.get(*ATTEMPTS)}):
                        ray.init(address=address, **quiet)
        except BaseException as error:
            with _signals_kept():
                ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            if signals.received() or not isinstance(error, ConnectionError | RuntimeError | ValueError | OSError):
                raise
            words = " ".join(str(error).split())
            if "ersion" in words:
                raise UsageError(
                    f"the cluster at {address} runs other versions than this machine, with Python "
                    f"{platform.python_version()} and Ray {ray.__version__} ({words}); install the same on each"
                ) from error
            hint = (
                "" if address is None else "; if the cluster has a token, RAY_AUTH_MODE and RAY_AUTH_TOKEN must name it"
            )
            raise UsageError(f"Ray {_cannot(address)} ({words}){hint}") from error
    return ray, folder


def _have_token() -> None:
    """Give our own instance a token. Else Ray would write one into the home folder, and clusters that are started later
    would ask for it."""
    if not any(map(os.environ.get, TOKENS)) and not (Path.home() / ".ray" / "auth_token").exists():
        os.environ[TOKENS[0]] = token_hex(32)
        with contextlib.suppress(ImportError, AttributeError):  # it has looked for one when it was imported
            importlib.import_module("ray._raylet").AuthenticationTokenLoader.instance().reset_cache()


def _temporary() -> str:
    """A folder for Ray's own instance. Sockets lie in it, so that its path must be short."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="vidstyle-", dir=usual if len(usual) <= SHORT or os.name == "nt" else "/tmp")


def _cannot(address: str | None) -> str:
    return "cannot be started on this machine" if address is None else f"does not answer at {address}"


def _require_answer(address: str) -> None:
    """Raise `UsageError` at once if no Ray listens there: Ray itself waits for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdecimal()) or address.startswith("ray://"):
        raise UsageError(f"--ray-address is {address!r}; give HOST:PORT as `ray start --head` prints it")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                _require_reply(connection)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"nobody answers at --ray-address {address} ({error}); start a cluster there with ray start --head, or "
            "leave it out to use this machine"
        ) from error


def _require_reply(connection: socket.socket) -> None:
    """Raise `OSError` unless a call by gRPC is answered, if only with a refusal, before `ANSWER` seconds are over."""
    until = time.monotonic() + ANSWER

    def read(count: int) -> bytes:
        found = b""
        while len(found) < count:
            connection.settimeout(max(until - time.monotonic(), 0.001))
            if not (more := connection.recv(count - len(found))):
                raise ConnectionError("it hangs up")
            found += more
        return found

    try:
        connection.sendall(_call())
        kinds: list[int] = []
        while not {DATA, HEADERS} & set(kinds):
            length, kind = int.from_bytes(read(3)), read(6)[0]
            kinds.append(kind)
            if kinds[0] != SETTINGS:
                raise ConnectionError("it does not speak HTTP/2")
            read(length)
    except ConnectionError as error:
        raise ConnectionError(f"what answers is no Ray: {error}") from error


def _call() -> bytes:
    """What a client of HTTP/2 sends to ask Ray for the number of the cluster; headers by HPACK (RFC 7541)."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
        return len(data).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + data

    path = text("/ray.rpc.NodeInfoGcsService/GetClusterId")
    headers = b"\x83\x86\x04" + path + b"\x01" + text("ray")  # :method POST, :scheme http, :path, :authority
    headers += b"\x0f\x10" + text("application/grpc") + b"\0" + text("te") + text("trailers")  # content-type, te
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(SETTINGS, 0, 0)
        + frame(SETTINGS, 1, 0)  # acknowledges theirs
        + frame(HEADERS, 4, 1, headers)  # all of them
        + frame(DATA, 1, 1, b"\0\0\0\0\0")  # an empty message, and the end
    )


def _room(ray: Any, cpus: int, gpus: int) -> int:
    """How many workers the cluster has room for. Raises `UsageError` if it is none."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(
        min(int(node.get(name, 0) // each) for name, each in (("CPU", cpus), ("GPU", gpus)) if each) for node in nodes
    )
    if count < 1:
        has = [f"{int(node.get('CPU', 0))} CPUs and {int(node.get('GPU', 0))} GPUs" for node in nodes]
        wants = f"{cpus} CPU{'s' * (cpus > 1)}" + f" and {gpus} GPU" * bool(gpus)
        raise UsageError(
            f"a worker takes {wants}, and no machine of the cluster has as many (they have: {'; '.join(has[:4])}); "
            "give fewer --threads, or another --device"
        )
    return count


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts handlers of its own in place of ours, which end a run cleanly."""
    try:
        before = {number: signal.getsignal(number) for number in signals.ASKS}
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # not the main thread: then Ray changes none
                signal.signal(number, handler)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What Ray advises in its log is not for our user."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _environment(added: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
