"""The studio as a server process, asked as a browser would, and as somebody would who wants to break in."""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
from conftest import pixels, texture
from PIL import Image

pytest.importorskip("nicegui", reason="NiceGUI is not installed")

PATIENCE = 120.0  # seconds that a test waits at most
SMALL = ("--size", "64", "--first-iterations", "2", "--iterations", "2", "--device", "cpu")


def wait_for(true):
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


class Studio:
    """A server process of a folder, and an HTTP client that trusts nothing to a library."""

    def __init__(self, folder, program=("-m", "vidstyle")):
        self.folder, self.program = folder, program
        self.process = None
        self.start()

    def start(self):
        command = [sys.executable, *self.program, "studio", "--folder", str(self.folder), "--no-open"]
        with open(self.folder.parent / "server.log", "ab") as log:
            # NiceGUI compresses nothing where it believes that it is tested.
            own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=own)
        self.address = self.process.stdout.readline().strip()
        self.port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", self.address)[1])
        self.token = self.address.partition("=")[2]
        self.cookie = f"vidstyle_{self.port}={self.token}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        assert code == (130 if os.name != "nt" else code)

    @property
    def own(self):
        """The headers of a request by the page."""
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Cookie": self.cookie,
        }

    def ask(self, path, method="GET", body=None, **headers):
        """Status, headers and body of an answer; headers that are None are left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        found = {name: value for name, value in (self.own | named).items() if value is not None}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if body is not None and "Content-Length" not in found:
            found["Content-Length"] = str(len(body))
        for name, value in found.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def raw(self, data):
        """The status of the answer to bytes; 0 if the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as open_socket:
            open_socket.sendall(data)
            answer = open_socket.recv(100)
        return int(answer.split()[1]) if answer else 0

    @contextlib.contextmanager
    def held(self, journal):
        """The running job stands still, once it has painted two frames, so that nothing depends on who is faster."""
        wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 2)
        pid = next(entry["pid"] for entry in self.entries if entry["pid"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @property
    def entries(self):
        return json.loads((self.folder / ".vidstyle-studio" / "queue.json").read_bytes())["entries"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "work"
    folder.mkdir()
    (folder.parent / "secret.png").write_bytes(b"secret")
    made = Studio(folder)
    yield made
    made.close()


def files(folder):
    """Everything below the folder above, but for the log of the server."""
    return {path: path.stat().st_size for path in folder.parent.rglob("*") if path.name != "server.log"}


def png(seed=1, height=48, width=64):
    data = io.BytesIO()
    Image.fromarray(pixels(texture(height, width, seed))).save(data, "PNG")
    return data.getvalue()


def test_the_page_is_there_for_who_has_the_address(studio):
    status, headers, _ = studio.ask(f"/?token={studio.token}", Cookie=None, Origin=None)
    assert (status, headers["location"]) == (303, "/")
    assert headers["set-cookie"].startswith(studio.cookie)
    status, headers, page = studio.ask("/", Origin=None)
    assert (status, b"vidstyle studio" in page) == (200, True)
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert studio.token.encode() not in page
    addresses = re.findall(rb"https?://[^\s\"'<>\\]+", page)
    assert not [one for one in addresses if b"127.0.0.1" not in one and b"w3.org" not in one]
    for path in ("/studio.css", "/studio.js"):
        assert studio.ask(path)[0] == 200


HOSTILE = {
    "no token": ("/", {"Cookie": None}),
    "a guessed token": ("/?token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", {"Cookie": None}),
    "an empty token": ("/?token=", {"Cookie": None}),
    "a picture without a token": ("/still/1.jpg", {"Cookie": None}),
    "the socket without a token": ("/_nicegui_ws/socket.io/?EIO=4&transport=polling", {"Cookie": None}),
    "static files without a token": ("/studio.js", {"Cookie": None}),
    "another name": ("/", {"Host": "evil.example"}),
    "another name with the port": ("/", {"Host": "evil.example:{port}"}),
    "an Origin of another site": ("/", {"Origin": "http://evil.example"}),
    "an Origin of another port": ("/", {"Origin": "http://127.0.0.1:1"}),
    "a path that climbs": ("/../secret.png", {}),
    "a path that climbs, encoded": ("/thumb/..%2f..%2fsecret.png", {}),
    "a path that climbs, encoded twice": ("/thumb/%252e%252e%252fsecret.png", {}),
    "an absolute path": ("/thumb//etc/passwd", {}),
    "an unknown job": ("/job/0000/frame/0.png", {}),
    "a job that climbs": ("/job/..%2f..%2f/output", {}),
    "a frame that is no number": ("/job/0000/frame/..%2f0.png", {}),
    "a report of an unknown job": ("/job/..%2f/report", {}),
    "a negative frame": ("/job/0000/content/-1.jpg", {}),
    "a static file that climbs": ("/_nicegui/3.18.0/static/..%2f..%2f..%2fsecret.png", {}),
    "an API description": ("/openapi.json", {}),
}
POSTED = {
    "an upload without a token": ("/upload?role=content&name=a.png", {"Cookie": None}, png()),
    "an upload of another site": ("/upload?role=content&name=a.png", {"Origin": "http://evil.example"}, png()),
    "an upload without Origin": ("/upload?role=content&name=a.png", {"Origin": None}, png()),
    "an upload of an unknown kind": ("/upload?role=program&name=a.png", {}, png()),
    "an upload without a name": ("/upload?role=content", {}, png()),
    "a program": ("/upload?role=content&name=run.exe", {}, b"MZ"),
    "a script as a picture": ("/upload?role=style&name=a.png", {}, b"<script>alert(1)</script>"),
    "a vector picture with a script": ("/upload?role=style&name=a.svg", {}, b"<svg onload='alert(1)'/>"),
    "a page": ("/upload?role=content&name=a.html", {}, b"<html>"),
    "a playlist that reads a file": ("/upload?role=content&name=a.mp4", {}, b"#EXTM3U\nfile:///etc/passwd\n"),
    "a clip as a style": ("/upload?role=style&name=a.mp4", {}, b"\0\0\0\x18ftypmp42"),
    "a result without settings": ("/upload?role=result&name=a.png", {}, png()),
    "an upload that is announced huge": (
        "/upload?role=content&name=a.png",
        {"Content_Length": "99999999999"},
        b"",
    ),
    "a box without a token": ("/cut?x=0&y=0&w=.5&h=.5", {"Cookie": None}, b""),
    "a box of another site": ("/cut?x=0&y=0&w=.5&h=.5", {"Origin": "http://evil.example"}, b""),
    "a box that is none": ("/cut?x=nan&y=0&w=inf&h=1", {}, b""),
    "a box without numbers": ("/cut?x=../..", {}, b""),
    "another method": ("/job/0000/output", {}, b""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_refused(studio, name):
    path, headers = HOSTILE[name]
    before = files(studio.folder)
    headers = {key: value and value.format(port=studio.port) for key, value in headers.items()}
    status, _, data = studio.ask(path, **headers)
    assert 400 <= status < 500, (status, data[:200])
    assert b"secret" not in data and b"root:" not in data
    assert files(studio.folder) == before


@pytest.mark.parametrize("name", POSTED)
def test_a_hostile_upload_is_refused_and_nothing_stays(studio, name):
    path, headers, body = POSTED[name]
    before = {path for path in files(studio.folder) if path.name != ".vidstyle-studio"}
    status, _, data = studio.ask(path, "POST", body, **headers)
    assert 400 <= status < 500, (status, data[:200])
    assert os.fsencode(studio.folder) not in data
    assert {path for path in files(studio.folder) if path.name != ".vidstyle-studio"} == before


def test_bytes_that_are_no_request_are_refused(studio):
    host = f"Host: 127.0.0.1:{studio.port}\r\n".encode()
    for data in (
        b"GET / HTTP/1.1\r\n\r\n",  # without Host
        b"GET / HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    ):
        assert studio.raw(data) in (0, *range(400, 500)), data


@pytest.mark.parametrize(("name", "kept"), [("../../evil.png", "evil.png"), ('<b>&".png', "_b___.png")])
def test_a_picture_with_a_strange_name_is_kept_under_a_plain_one(studio, name, kept):
    status, _, data = studio.ask(f"/upload?role=content&name={quote(name)}", "POST", png(3))
    assert status == 200, data
    key = json.loads(data)["key"]
    assert (studio.folder / "uploads" / kept).read_bytes() == png(3)
    status, headers, thumb = studio.ask(f"/thumb/{key}")
    assert (status, headers["content-type"], thumb[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert [path.name for path in studio.folder.iterdir() if "evil" in path.name] == []


def test_the_samples_are_painted_at_once(studio):
    def still():
        status, _, data = studio.ask("/still/1.jpg")
        return status == 200 and data

    assert wait_for(still)[:2] == b"\xff\xd8"
    assert wait_for(lambda: studio.ask("/still/content/1.jpg")[2])[:2] == b"\xff\xd8"


def entry(key, *words, output):
    """A line of the file of the queue, as the page writes it."""
    own = [*words, "-o", output, *SMALL, "--keep-job"]
    return {
        "key": key,
        "arguments": own,
        "output": output,
        "job": words[0],
        "command": "",
        "python": "",
        "state": "waiting",
        "pid": 0,
        "message": "",
    }


@pytest.mark.slow
@pytest.mark.clips
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be made to stand still here")
def test_a_job_outlives_the_server_and_gives_the_frames_of_the_command_line(tmp_path, samples):
    """The server is killed in the middle of a clip, and another one finds the job, which went on."""
    folder = tmp_path / "work"
    folder.mkdir()
    words = ["video", str(samples / "ride.mp4"), str(samples / "dots.jpg")]
    own = folder / ".vidstyle-studio"
    own.mkdir()
    lines = [entry("abc", *words, "--end", "1", output="a.mp4")]
    (own / "queue.json").write_text(json.dumps({"format": "vidstyle-queue-1", "entries": lines}))
    studio = Studio(folder)
    journal = folder / "a.mp4.job" / "journal.jsonl"
    with studio.held(journal):
        studio.kill()
        seen = journal.read_text().count("\n")
    assert seen < 24
    wait_for(lambda: journal.read_text().count("\n") > seen)  # it goes on
    studio.start()
    try:
        wait_for(lambda: studio.entries[0]["state"] == "done")
        status, headers, data = studio.ask("/job/abc/output")
        assert (status, data) == (200, (folder / "a.mp4").read_bytes())
        assert 'filename="a.mp4"' in headers["content-disposition"]
        again = [sys.executable, "-m", "vidstyle", *words, "--end", "1", "-o", "b.mp4", *SMALL, "--keep-job", "-q"]
        subprocess.run(again, cwd=tmp_path, check=True)
        frames = sorted((tmp_path / "b.mp4.job" / "frames").iterdir())
        assert len(frames) == 24
        for number, frame in enumerate(frames):
            assert studio.ask(f"/job/abc/frame/{number}.png")[2] == frame.read_bytes()
        for number in (5, 6, 0):
            assert studio.ask(f"/job/abc/content/{number}.jpg")[2][:2] == b"\xff\xd8"
        assert studio.ask("/job/abc/content/24.jpg")[0] == 404
        assert studio.ask("/job/abc/frame/24.png")[0] == 404
    finally:
        studio.close()
