"""The studio without its page: who may ask, the files to choose from, the settings, and the queue of processes."""

import ast
import asyncio
import io
import json
import os
import shlex
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip, pan
from conftest import pixels, texture
from PIL import Image

from vidstyle import schedule
from vidstyle.api import StillPainter
from vidstyle.errors import MediaError, UsageError
from vidstyle.jobs.sources.balance import Animation
from vidstyle.settings import BalanceSettings, ImageSettings, VideoSettings
from vidstyle.studio import queue as queue_module
from vidstyle.studio import reports, texts
from vidstyle.studio.access import BODY_LIMIT, UPLOAD_LIMIT, Access, Guard
from vidstyle.studio.choices import Choices, from_result
from vidstyle.studio.keys import Curve
from vidstyle.studio.library import Library, safe_name
from vidstyle.studio.preview import ALPHAS, Preview
from vidstyle.studio.queue import Queue

PATIENCE = 60.0  # seconds that a test waits at most
ACCESS = Access("127.0.0.1", 8000)
# Stands for `python -m vidstyle`: makes the file after -o once a file "go" is there; fails where "fail" is its name.
FAKE = """
import os, pathlib, signal, sys, time
def stop(*_):
    print("vidstyle: interrupted", file=sys.stderr, flush=True)
    os._exit(130)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
output = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
with open("ran", "a") as ran:
    ran.write(output.name + "\\n")
while not pathlib.Path("go").exists():
    time.sleep(0.02)
if "fail" in output.name:
    print("vidstyle: it cannot be painted", file=sys.stderr)
    sys.exit(3)
output.write_text("painted")
"""


def wait_for(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def picture(path, seed=1, height=64, width=96):
    Image.fromarray(pixels(texture(height, width, seed))).save(path)
    return path


# Access


def asked(access, path="/", method="GET", headers=(), body=b"", query=b"", kind="http"):
    """The status that a request gets, the headers, and whether it reached the application."""
    sent, reached = [], []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def app(scope, receive, send):
        reached.append(True)
        if kind == "http":
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    known = {"host": f"127.0.0.1:{access.port}"} | dict(headers)
    raw = [(name.encode(), value.encode()) for name, value in known.items() if value is not None]
    scope = {"type": kind, "path": path, "method": method, "headers": raw, "query_string": query}
    asyncio.run(Guard(app, access)(scope, receive, send))
    first = sent[0] if sent else {"status": 0, "headers": []}
    return first.get("status", first.get("code")), dict(first.get("headers", [])), bool(reached)


def cookie(access):
    return {"cookie": f"{access.cookie}={access.token}"}


def test_the_token_of_the_address_becomes_a_cookie():
    status, headers, reached = asked(ACCESS, query=f"token={ACCESS.token}".encode())
    assert (status, headers[b"location"], reached) == (303, b"/", False)
    given = headers[b"set-cookie"].decode()
    assert "HttpOnly" in given and "SameSite=Strict" in given
    assert asked(ACCESS, headers={"cookie": given.partition(";")[0]})[::2] == (200, True)
    assert len(ACCESS.token) >= 32 and Access("127.0.0.1", 8000).token != ACCESS.token
    assert ACCESS.address == f"http://127.0.0.1:8000/?token={ACCESS.token}"


OWN = {"origin": "http://127.0.0.1:8000"}
REFUSED = {
    "no token": (403, {}, {}),
    "another token": (403, {"cookie": f"{ACCESS.cookie}=guess"}, {}),
    "a broken cookie": (403, {"cookie": '=;"\\x'}, {}),
    "the token of another port": (403, {"cookie": f"vidstyle_8001={ACCESS.token}"}, {}),
    "a name that leads here": (421, {**cookie(ACCESS), "host": "evil.example:8000"}, {}),
    "another port": (421, {**cookie(ACCESS), "host": "127.0.0.1:8001"}, {}),
    "no Host": (421, {**cookie(ACCESS), "host": None}, {}),
    "a Host with a user": (421, {**cookie(ACCESS), "host": "127.0.0.1:8000@evil.example"}, {}),
    "a form of another site": (403, {**cookie(ACCESS), "origin": "http://evil.example"}, {"method": "POST"}),
    "an Origin without a name": (403, {**cookie(ACCESS), "origin": "null"}, {"method": "POST"}),
    "no Origin": (403, cookie(ACCESS), {"method": "POST"}),
    "another scheme": (403, {**cookie(ACCESS), "origin": "https://127.0.0.1:8000"}, {"method": "POST"}),
    "a script of another site": (403, {**cookie(ACCESS), "origin": "http://evil.example"}, {}),
    "a long body": (413, {**cookie(ACCESS), **OWN, "content-length": f"{BODY_LIMIT + 1}"}, {"method": "POST"}),
    "a huge upload": (
        413,
        {**cookie(ACCESS), **OWN, "content-length": f"{UPLOAD_LIMIT + 1}"},
        {"method": "POST", "path": "/upload"},
    ),
    "a length that is none": (413, {**cookie(ACCESS), **OWN, "content-length": "1e3"}, {"method": "POST"}),
    "a socket without a token": (1008, OWN, {"kind": "websocket"}),
    "a socket of another site": (1008, {**cookie(ACCESS), "origin": "http://a.b"}, {"kind": "websocket"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_allowed_does_not_reach_the_page(name):
    status, headers, more = REFUSED[name]
    assert asked(ACCESS, headers=headers, **more)[::2] == (status, False)


def test_what_is_allowed_reaches_it():
    assert asked(ACCESS, headers=cookie(ACCESS))[::2] == (200, True)
    assert asked(ACCESS, headers={**cookie(ACCESS), "host": "localhost:8000"})[2]
    assert asked(ACCESS, method="POST", headers={**cookie(ACCESS), **OWN}, body=b"a" * BODY_LIMIT)[0] == 200
    assert asked(ACCESS, kind="websocket", headers={**cookie(ACCESS), **OWN})[2]


def test_a_body_that_is_longer_than_its_header_says_is_refused():
    headers = {**cookie(ACCESS), **OWN, "content-length": "10"}
    assert asked(ACCESS, method="POST", headers=headers, body=b"a" * (BODY_LIMIT + 1))[0] == 413


def test_beyond_this_machine_the_page_asks_for_a_password(monkeypatch):
    monkeypatch.setattr("vidstyle.studio.access.LOGIN_PAUSE", 0)
    access = Access("0.0.0.0", 8000, "correct horse battery")
    own = {"host": "192.168.1.2:8000", "origin": "http://192.168.1.2:8000"}
    assert "token" not in access.address
    assert asked(access, headers={"host": "evil.example:8000"})[0] == 421
    status, headers, _ = asked(access, headers=own)
    assert (status, headers[b"location"]) == (303, b"/login")
    assert asked(access, query=f"token={access.token}".encode(), headers=own)[0] == 303  # the token alone is no key
    assert asked(access, "/still/1.jpg", headers=own)[0] == 403
    assert asked(access, "/login", headers=own)[0] == 200
    assert asked(access, "/login", "POST", own, b"password=wrong")[0] == 403
    status, headers, _ = asked(access, "/login", "POST", own, b"password=correct+horse+battery")
    assert status == 303
    given = headers[b"set-cookie"].decode().partition(";")[0]
    assert asked(access, headers={**own, "cookie": given})[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "give --password-file"),
        (["--host", "0.0.0.0", "--password-file", "none"], "cannot be read"),
        (["--host", "0.0.0.0", "--password-file", "short"], "needs at least 12"),
        (["--folder", "none"], "there is no folder none"),
    ],
)
def test_a_studio_that_would_be_open_to_others_is_refused(vidstyle, tmp_path, monkeypatch, words, said):
    pytest.importorskip("nicegui", reason="NiceGUI is not installed")
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("secret\n")
    done = vidstyle("studio", "--no-open", *words)
    assert done.exit_code in (2, 7)
    assert said in " ".join(done.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["short"]


def test_a_port_that_is_taken_is_refused(vidstyle, tmp_path):
    pytest.importorskip("nicegui", reason="NiceGUI is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = vidstyle("studio", "--no-open", "--folder", tmp_path, "--port", port)
    assert done.exit_code == 2
    assert f"port {port} cannot be used" in done.output and "choose another --port" in done.output


# Files


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Windows\\a.png", "a.png"),
        ("<script>alert(1)</script>.png", "script_.png"),
        ('"><img src=x onerror=alert(1)>.png', "___img src_x onerror_alert(1)_.png"),
        ("-o.png", "o.png"),
        (".htaccess", "htaccess"),
        ("a\0b\n.png", "a_b_.png"),
        ("..", "file_"),
        ("CON.png", "file_CON.png"),
        ("Gemälde Ω.png", "Gemälde Ω.png"),
        ("a" * 300 + ".png", "a" * 76 + ".png"),
    ],
)
def test_a_name_from_a_browser_is_made_harmless(given, kept):
    assert safe_name(given) == kept


def test_a_file_that_is_dropped_is_read_as_a_job_would(tmp_path):
    library = Library(tmp_path)
    part = picture(tmp_path / "part.png").rename(tmp_path / "part")
    item = library.receive(part, "../photo.png", style=False)
    assert item.path == tmp_path / "uploads" / "photo.png"
    assert library.contents[0] == item and item not in library.styles
    assert (library.facts(item).width, library.facts(item).height) == (96, 64)
    again = library.receive(picture(tmp_path / "part.png").rename(part), "photo.png", style=True)
    assert again.name == "photo-2.png"
    for name, data in (("a.png", b"no picture"), ("a.exe", item.path.read_bytes()), ("a.svg", b"<svg/>")):
        part.write_bytes(data)
        with pytest.raises(MediaError) as refused:
            library.receive(part, name, style=False)
        assert str(tmp_path) not in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == {"uploads"}
    assert {path.name for path in (tmp_path / "uploads").iterdir()} == {"photo.png", "photo-2.png"}
    assert {one.name for one in Library(tmp_path).contents} >= {"photo.png", "valley.jpg", "ride.mp4"}


def test_a_key_that_the_page_does_not_know_leads_nowhere(tmp_path):
    library = Library(tmp_path)
    for key in ("", "../x", "/etc/passwd", "0" * 16):
        with pytest.raises(KeyError):
            library[key]


# Settings


@pytest.fixture
def library(tmp_path):
    for name, seed in (("photo.png", 1), ("one.png", 2), ("-two.png", 3)):
        picture(tmp_path / name, seed)
    return Library(tmp_path)


def chosen(library, **changes):
    photo, one, two = (library.named(name, style=False) for name in ("photo.png", "one.png", "-two.png"))
    choices = Choices().with_content(photo.key, moves=False).with_style(one.key).with_style(two.key)
    for name, value in changes.items():
        choices = choices.with_dial(name, value)
    return choices.with_share(two.key, 0.25)


def test_choices_are_a_command_and_a_call_from_python(library):
    choices = chosen(library, alpha=0.2, style_scale=1.5)
    expected = ImageSettings(alpha=0.2, style_scale=1.5, mix=(1.0, 0.25))
    assert choices.settings() == expected
    words = shlex.split(choices.command(library, "a.png"))
    assert words[:7] == ["vidstyle", "image", "photo.png", "one.png", "./-two.png", "-o", "a.png"]
    assert set(words[7:]) == {"--alpha", "0.2", "--style-scale", "1.5", "--mix", "1.0,0.25", "--keep-job"}
    call = ast.parse(choices.python(library, "a.png")).body[-1].value
    assert [ast.literal_eval(one) for one in call.args[:3]] == ["photo.png", ["one.png", "./-two.png"], "a.png"]
    assert eval(ast.unparse(call.args[3]), {"ImageSettings": ImageSettings}) == expected


def test_each_kind_of_job_has_its_own_settings(library):
    choices = chosen(library, alpha=0.2)
    assert choices.with_job("balance").settings() == BalanceSettings(mix=(1.0, 0.25))  # it goes through all alphas
    assert choices.with_job("balance").format == "gif"
    clip = choices.with_content(library.named("ride.mp4", style=False).key, moves=True)
    assert clip.settings() == VideoSettings(alpha=0.2, mix=(1.0, 0.25))
    assert (clip.job, clip.format, clip.with_content(choices.content, moves=False).job) == ("video", "mp4", "image")


def curve(text, **changes):
    return Curve.of(text, BalanceSettings(seconds=2, fps=12, bounce=False, **changes))


def test_a_curve_is_that_of_the_animation():
    text = "start:1, 40%:0.3 ease, 1.5s:0.8 step, 20f:0.1"
    for bounce in (True, False):
        settings = BalanceSettings(seconds=3.1, fps=12, bounce=bounce, alpha=text)
        found, right = Curve.of(text, settings), Animation(settings, (1.0,))
        assert (tuple(found.times), found.fps) == (right.times, right.fps)
    places = [(0, 1), (0.4, 0.3), (1.5 / (23 / 12), 0.8), (20 / 23, 0.1)]
    assert curve(text).places == [pytest.approx(one) for one in places]
    line = curve(text).line
    values = schedule.values(text, curve(text).times, curve(text).fps)
    assert line == sorted(line, key=lambda point: point[0])
    for number, value in enumerate(values):  # the frames lie on it
        place = number / 23
        after = next(at for at, point in enumerate(line) if point[0] >= place - 1e-9)
        (left, low), (right, high) = line[max(after - 1, 0)], line[after]
        share = (place - left) / (right - left) if right > left else 1.0
        assert low + (high - low) * share == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda one: one.moved(1, 0.25, 0.555), "start:1, 25%:0.56 ease, 1s:0.2 step, end:0"),
        (lambda one: one.moved(1, 0.9, 2.0), "start:1, 52.1%:1 ease, 1s:0.2 step, end:0"),  # up to the next key
        (lambda one: one.moved(2, 0.75, 0.2), "start:1, 40%:0.4 ease, 1.44s:0.2 step, end:0"),
        (lambda one: one.moved(2, 0.995, 0.2), "start:1, 40%:0.4 ease, end:0.2 step, end:0"),
        (lambda one: one.moved(3, 0.8, 0.1), "start:1, 40%:0.4 ease, 1s:0.2 step, 80%:0.1"),
        (lambda one: one.added(0.45, 0.5), "start:1, 40%:0.4 ease, 45%:0.5 ease, 1s:0.2 step, end:0"),
        (lambda one: one.added(), "start:1, 40%:0.4 ease, 1s:0.2 step, 76.1%:0.2 step, end:0"),  # in the widest gap
        (lambda one: one.removed(3), "start:1, 40%:0.4 ease, 1s:0.2"),
        (lambda one: one.eased(0, "step"), "start:1 step, 40%:0.4 ease, 1s:0.2 step, end:0"),
    ],
)
def test_a_key_that_is_changed_keeps_its_unit_and_its_neighbours(edit, text):
    changed = edit(curve("start:1, 40%:0.4 ease, 1s:0.2 step, end:0"))
    assert changed == text
    assert curve(changed).line


def test_the_last_keys_stay():
    assert curve("0.4").removed(0) == "0.4"
    assert curve("start:1, end:0").removed(1) == "1"
    assert curve("start:1, 1s:0 loop").removed(1) == "start:1, 1s:0 loop"


def test_alpha_over_time_is_that_of_the_command(library):
    choices = chosen(library).with_job("balance")
    assert "--alpha" not in choices.command(library, "a.gif")
    assert choices.with_schedule("0s:1, end:0").settings() == choices.settings()  # as without
    other = choices.with_schedule("start:0.2, 50%:1 ease, end:0", alpha=0.7)
    assert other.settings().alpha == "0s:0.2, 50%:1 ease, end:0"
    assert (other.dials["alpha"], other.with_job("image").settings().alpha) == (0.7, 0.7)
    for wrong in ("", "start:2, end:0", "1s:1, 0s:0", "50:1"):
        with pytest.raises(UsageError, match="alpha"):
            choices.with_schedule(wrong)


def test_an_output_does_not_take_the_place_of_another_file(library):
    choices = chosen(library)
    assert choices.output(library.folder) == "painting.png"
    (library.folder / "painting.png").write_bytes(b"")
    (library.folder / "painting-2.png.job").mkdir()
    assert choices.output(library.folder) == "painting-3.png"


def test_a_result_gives_its_settings_back(library, vidstyle, network, monkeypatch):
    monkeypatch.chdir(library.folder)
    choices = chosen(library, alpha=0.25, style_metric="gram")
    words = choices.arguments(library, "a.png")
    done = vidstyle(*words, "--network", network, "--first-iterations", 1, "--size", 64, "--device", "cpu")
    assert done.exit_code == 0, done.output
    found, missing = from_result(Path("a.png"), library, Choices())
    assert missing == []
    assert (found.content, found.styles, found.shares) == (choices.content, choices.styles, choices.shares)
    assert (found.dials, found.size, found.job) == (choices.dials, 64, "image")
    assert found.rest == {"network": "tiny.safetensors", "first_iterations": 1}
    assert found.with_dial("first_iterations", 3).rest == {"network": "tiny.safetensors"}
    with pytest.raises(MediaError, match="does not hold the settings"):
        from_result(Path("photo.png"), library, Choices())


@pytest.mark.clips
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--alpha", "0s:1, 50%:0.2, end:0.5"), "0s:1, 50%:0.2, end:0.5"),
        (("--from", "0.8"), "start:0.8, end:0"),
        ((), "start:1, end:0"),
    ],
)
def test_an_animation_gives_its_alpha_over_time_back(library, vidstyle, network, monkeypatch, given, text):
    monkeypatch.chdir(library.folder)
    words = ["--network", network, "--iterations", 1, "--first-iterations", 1, "--size", 64, "--device", "cpu"]
    words += ["--seconds", 1, "--fps", 3, "--space", "linear", *given]
    done = vidstyle("balance", "photo.png", "one.png", "-o", "a.gif", *words)
    assert done.exit_code == 0, done.output
    found, _ = from_result(Path("a.gif"), library, Choices())
    assert (found.schedule, found.job, found.seconds) == (text, "balance", 1.0)
    assert found.settings().alpha == (given[1] if "--alpha" in given else None if not given else "0s:0.8, end:0")


@pytest.mark.clips
def test_the_report_of_a_job_is_made_by_a_command(library, vidstyle, network, monkeypatch):
    monkeypatch.chdir(library.folder)
    make_clip(library.folder / "clip.mp4", pan(6), rate=12)
    small = ["--network", network, "--first-iterations", 2, "--iterations", 1, "--device", "cpu", "--feather", 3]
    words = ["video", "clip.mp4", "one.png", "./-two.png", "-o", "out.gif", *small, "--mix", "1,0.5", "--keep-job"]
    assert vidstyle(*words, "--mask", "photo.png").exit_code == 0
    found = reports.words([str(word) for word in (*words, "--mask", "photo.png")])
    assert found[:7] == ["measure", "clip.mp4", "out.gif", "-o", "out.report.html", "-o", "out.report.json"]
    assert found[7:11] == ["--style", "one.png", "--style", "./-two.png"]
    assert not {"--mask", "photo.png", "--feather", "3"} & set(found) and found[found.index("--mix") + 1] == "1,0.5"
    done = vidstyle(*found, "-q")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.report.json").read_text())
    shown = dict(reports.figures(Path("out.report.json")))
    assert float(shown[texts.WARPING]) == pytest.approx(report["consistency"][0]["warping"]["mean"], rel=0.01)
    ratio = 100 * report["independence"]["warping_ratio"]
    assert float(shown[texts.FLICKER].removesuffix(" %")) == pytest.approx(ratio, rel=0.01)
    assert set(shown) == {texts.FLICKER, texts.WARPING, texts.STYLE_DISTANCE, texts.STYLE_RATIO, texts.SHARPNESS}


def test_a_report_that_cannot_be_read_has_no_figures(tmp_path):
    for data in (
        "",
        "[]",
        "{}",
        '{"independence": null, "consistency": []}',
        '{"independence": {"warping_ratio": "x"}}',
    ):
        (tmp_path / "a.report.json").write_text(data)
        assert reports.figures(tmp_path / "a.report.json") == []
    assert reports.figures(tmp_path / "none.json") == []


# The preview


def test_a_still_goes_on_from_the_last(network):
    content, style = (np.asarray(texture(48, 64, seed).permute(1, 2, 0)) for seed in (1, 2))
    painter = StillPainter(content, [style])
    settings = ImageSettings(size=64, network=str(network), device="cpu", precision="float32")
    losses, state = [], None
    for _ in range(4):
        result, state = painter.step(settings, state, 5)
        losses.append(result.losses["total"])
        assert result.iterations <= 5
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    once, _ = StillPainter(content, [style]).step(settings, None, 5)
    assert once.losses["total"] == losses[0]
    other, _ = painter.step(ImageSettings(**{**vars(settings), "alpha": 1.0}), state, 5)
    assert (
        np.abs(other.image.astype(int) - StillPainter.fitted(content, 64)).mean()
        < np.abs(result.image.astype(int) - StillPainter.fitted(content, 64)).mean()
    )


def test_the_preview_paints_what_was_asked_for_last(library):
    preview = Preview(library)
    try:
        for alpha in (0.1, 0.2, 0.9):
            preview.ask(chosen(library, alpha=alpha))
        wait_for(lambda: preview.still.jpeg and not preview.still.refining)
        assert (preview.still.width, preview.still.height) == (96, 64)
        (library.folder / "photo.png").unlink()
        bad = chosen(library).with_content(library.named("photo.png", style=False).key, moves=False)
        other = library.named("one.png", style=False)
        before = preview.still.content_version
        preview.ask(bad.with_content(other.key, moves=False))
        wait_for(lambda: preview.still.content_version > before)
        preview.ask(bad)
        wait_for(lambda: "photo.png" in preview.still.error)
        preview.ask(bad.with_content(other.key, moves=False))
        wait_for(lambda: not preview.still.error)
    finally:
        preview.close()


def test_outside_a_mask_the_still_is_the_content(network):
    content, style = (np.asarray(texture(48, 64, seed).permute(1, 2, 0)) for seed in (1, 2))
    settings = ImageSettings(size=64, network=str(network), device="cpu", precision="float32", feather=0)
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 32:] = 255
    result, _ = StillPainter(content, [style]).step(settings, None, 5, mask)
    shown = StillPainter.fitted(content, 64)
    assert np.array_equal(result.image[:, :32], shown[:, :32])
    assert not np.array_equal(result.image[:, 32:], shown[:, 32:])


def test_a_mask_that_is_drawn_belongs_to_its_content(library):
    part, photo = library.folder / "part", library.named("photo.png", style=False)
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(part, "PNG")
    with pytest.raises(MediaError, match="Nothing is drawn"):
        library.receive_mask(part, photo)
    assert not part.exists()
    Image.fromarray(np.full((6, 9), 255, np.uint8)).save(part, "PNG")
    file = library.receive_mask(part, photo)
    assert file == "uploads/mask.png" and library.mask(file).min() == 255
    assert library.mask(file).shape == (64, 96)
    choices = chosen(library).with_mask(file)
    assert choices.settings().mask == choices.mask_file == file
    assert "mask=" not in repr(choices.preview_settings()).replace("mask=None", "")
    ride = library.named("ride.mp4", style=False)
    assert choices.with_content(ride.key, moves=True).mask_file == ""
    clip = choices.with_content(ride.key, moves=True).with_mask(file, library.frame_number(ride, 1.0))
    assert (clip.settings().mask, clip.mask_file) == ("key:uploads/mask.png@24", file)


def disc(height, width, center, radius):
    down, across = np.mgrid[:height, :width]
    return np.hypot(down - center[0], across - center[1]) <= radius


def test_what_stands_out_in_a_box_is_cut_out(library):
    inside = disc(120, 160, (60, 90), 30)
    noise = np.random.default_rng(0).integers(0, 40, (120, 160, 3), np.uint8)
    Image.fromarray(np.where(inside[..., None], (220, 60, 40), (40, 90, 60)).astype(np.uint8) + noise // 4).save(
        library.folder / "disc.png"
    )
    item = Library(library.folder).named("disc.png", style=False)
    with Image.open(io.BytesIO(library.cut_out(item, 0.0, (0.3, 0.15, 0.5, 0.7)))) as image:
        found = np.asarray(image)
    assert found.shape == (120, 160, 4) and found[..., :3].min() == 255
    cut = found[..., 3] > 127
    assert (cut & inside).sum() / (cut | inside).sum() > 0.95
    for box in ((0, 0, 1, 1), (0.2, 0.2, 0, 0.5), (-1, 0, 0.5, 0.5), (2, 2, 1, 1)):
        with pytest.raises(MediaError, match="Nothing stands out"):
            library.cut_out(item, 0.0, box)


@pytest.mark.clips
def test_a_mask_is_shown_where_it_is_carried(library):
    make_clip(library.folder / "clip.mp4", pan(24, 160, 96, speed=2), rate=12)
    item = Library(library.folder).named("clip.mp4", style=False)
    Image.fromarray(np.where(disc(96, 160, (48, 110), 25), 255, 0).astype(np.uint8)).save(library.folder / "mask.png")
    for second, moved in ((0.0, 0), (1.0, 24)):  # the camera moves to the right, so what it sees to the left
        found = library.carried(item, "mask.png", 0, second) > 127
        true = disc(96, 160, (48, 110 - moved), 25)
        assert (found & true).sum() / (found | true).sum() > 0.9


def test_the_grid_paints_each_style_at_each_alpha(library):
    preview = Preview(library)
    try:
        choices = chosen(library)
        preview.compare(choices)
        preview.ask(choices)  # is painted first, or at the latest after the next cell
        wait_for(lambda: preview.grid.cells and all(preview.grid.cells))
        assert preview.still.jpeg
        assert len(preview.grid.cells) == 2 * len(ALPHAS) and len(set(preview.grid.cells)) == 2 * len(ALPHAS)
        preview.compare(chosen(library).with_style(chosen(library).styles[0]))
        assert preview.grid.cells == (b"",) * len(ALPHAS)
        wait_for(lambda: all(preview.grid.cells))
    finally:
        preview.close()


# The queue


@pytest.fixture
def queues(tmp_path, monkeypatch):
    """Makes queues of one folder whose jobs are fakes."""
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    monkeypatch.setattr(queue_module, "PROGRAM", (sys.executable, str(program), "vidstyle"))
    monkeypatch.setattr(queue_module, "PERIOD", 0.02)
    made = []

    def make():
        made.append(Queue(tmp_path))
        return made[-1]

    yield make
    for queue in made:
        for entry in queue.entries:
            queue.stop(entry.key)
        wait_for(lambda queue=queue: not queue._thread.is_alive() or not any(one.pid for one in queue.entries))
        queue.close()


def add(queue, *names):
    return [queue.add(["image", "a.png", "-o", name], name, "image", f"vidstyle {name}").key for name in names]


def states(queue):
    return [entry.state for entry in queue.entries]


def ran(queue):
    path = queue.folder / "ran"
    return path.read_text().split() if path.exists() else []


def test_jobs_run_one_after_the_other(queues):
    queue = queues()
    first, second, third = add(queue, "a.png", "b.png", "c.png")
    queue.move_up(third)
    assert [entry.output for entry in queue.entries] == ["a.png", "c.png", "b.png"]
    queue.start()
    wait_for(lambda: ran(queue) == ["a.png"])
    assert states(queue) == ["running", "waiting", "waiting"]
    queue.remove(first)  # it runs
    (queue.folder / "go").touch()
    wait_for(lambda: states(queue) == ["done"] * 3)
    assert ran(queue) == ["a.png", "c.png", "b.png"]
    queue.remove(second)
    assert [entry.key for entry in queue.entries] == [first, third]


def test_a_paused_job_keeps_the_others_waiting_and_a_stopped_one_does_not(queues):
    queue = queues()
    first, second = add(queue, "a.png", "b.png")
    queue.start()
    wait_for(lambda: ran(queue) == ["a.png"])
    queue.pause(first)
    wait_for(lambda: not queue[first].pid)
    time.sleep(0.2)
    assert (states(queue), ran(queue)) == (["paused", "waiting"], ["a.png"])
    queue.resume(first)
    wait_for(lambda: ran(queue) == ["a.png"] * 2)
    queue.stop(first)
    wait_for(lambda: ran(queue) == ["a.png", "a.png", "b.png"])
    assert states(queue) == ["stopped", "running"]
    (queue.folder / "go").touch()
    wait_for(lambda: states(queue) == ["stopped", "done"])
    queue.resume(first)
    wait_for(lambda: states(queue) == ["done", "done"])
    assert queue[second].message == ""


def test_a_job_that_fails_says_why_and_the_next_one_runs(queues):
    queue = queues()
    (queue.folder / "go").touch()
    add(queue, "fail.png", "b.png")
    queue.start()
    wait_for(lambda: states(queue) == ["failed", "done"])
    assert queue.entries[0].message == "it cannot be painted"


FITTING = """
import os, pathlib, sys, time
os.mkdir(".vidstyle-abcdefgh")
pathlib.Path(".vidstyle-abcdefgh/trial.gif").write_bytes(bytes(1234))
while not pathlib.Path("go").exists():
    time.sleep(0.02)
pathlib.Path("a[1].gif").write_bytes(bytes(999))
print("a[1].gif: 999 bytes of 1 kB; gave up: 9 -> 7 px wide", file=sys.stderr)
"""


def test_the_size_of_an_encoding_is_told_while_it_is_made(queues):
    queue = queues()
    (queue.folder / "fake.py").write_text(FITTING)
    key = queue.add(["encode", "b.mp4.job", "-o", "a[1].gif"], "a[1].gif", "encode", "", of="b").key
    assert (queue.size(key), queue[key].of) == (0, "b")
    queue.start()
    wait_for(lambda: queue.size(key) == 1234)
    (queue.folder / "go").touch()
    wait_for(lambda: states(queue) == ["done"])
    assert (queue.size(key), queue[key].message) == (999, "999 bytes of 1 kB; gave up: 9 -> 7 px wide")
    assert Queue(queue.folder)[key] == queue[key]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="another system does not tell the words of a process")
def test_another_server_goes_on_with_the_queue(queues):
    queue = queues()
    first, second = add(queue, "a.png", "b.png")
    queue.start()
    wait_for(lambda: ran(queue) == ["a.png"])
    pid = queue[first].pid
    queue.close()  # as if it was killed: the process runs on
    again = queues()
    again.start()
    time.sleep(0.2)
    assert (again[first].pid, states(again), ran(again)) == (pid, ["running", "waiting"], ["a.png"])
    again.pause(first)
    queue._process.wait(PATIENCE)
    wait_for(lambda: not again[first].pid)
    again.resume(first)
    (queue.folder / "go").touch()
    wait_for(lambda: states(again) == ["done", "done"])
    assert ran(again) == ["a.png", "a.png", "b.png"]
    assert again[second].command == "vidstyle b.png"


def test_what_ran_when_the_machine_went_off_is_run_again(queues):
    queue = queues()
    (key,) = add(queue, "a.png")
    file = queue.folder / ".vidstyle-studio" / "queue.json"
    found = json.loads(file.read_text())
    found["entries"][0] |= {"state": "running", "pid": 2**22 + 1}
    file.write_text(json.dumps(found))
    (queue.folder / "go").touch()
    again = queues()
    again.start()
    wait_for(lambda: states(again) == ["done"])
    assert again[key].output == "a.png"


def test_a_damaged_queue_is_said(tmp_path):
    (tmp_path / ".vidstyle-studio").mkdir()
    (tmp_path / ".vidstyle-studio" / "queue.json").write_text('{"format": "other"}')
    with pytest.raises(UsageError, match="remove it to begin with an empty queue"):
        Queue(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_job_that_ignores_its_interruption_is_terminated(queues, monkeypatch):
    program = FAKE.replace("signal.signal(signal.SIGINT, stop)", "signal.signal(signal.SIGINT, signal.SIG_IGN)")
    queue = queues()
    (queue.folder / "fake.py").write_text(program)
    monkeypatch.setattr(queue_module, "PATIENCE", 0.3)
    monkeypatch.setattr(queue_module, "_interruption", lambda: signal.SIGINT)
    (key,) = add(queue, "a.png")
    queue.start()
    wait_for(lambda: ran(queue) == ["a.png"])
    queue.stop(key)
    wait_for(lambda: not queue[key].pid)
    assert states(queue) == ["stopped"]


def test_every_text_of_the_page_is_in_one_file():
    """What the modules of the page say themselves are names of classes, properties and events."""
    folder = Path(texts.__file__).parent
    for name in ("page", "choosing", "curve", "painting", "looking"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Module)
        }
        said = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        words = [one for one in said if one not in docs and one[:1].isupper() and " " in one]
        assert not words, name
