"""A tab that watches a job of 20,000 frames: neither the server nor the page keeps what it has shown."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

import psutil
import pytest
from test_studio_server import Studio
from test_watch import HOLD

from vidstyle.jobs.folder.manifest import Manifest

FRAMES, EACH = 20_000, 5  # of the job, and between two pictures that are shown
EARLY = 4_000  # frames after which the memory is looked at for the first time
# The page looks twenty times as often as usual: 8 hours pass in some minutes.
HURRIED = "import vidstyle.studio.page as page; page.PERIOD = 0.02; from vidstyle.__main__ import main; main()"
SERVER, HEAP, BROWSER = 12e6, 3e6, 40e6  # bytes by which they may grow meanwhile; each loss is kept for the curve

pytest.importorskip("nicegui", reason="NiceGUI is not installed")


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of processes is read as Linux tells it")
def test_a_long_job_is_watched_with_flat_memory(tmp_path, runner, inputs, browser):
    folder = tmp_path / "work"
    folder.mkdir()
    done = runner(folder, *inputs.named("video {clip} {style} -o a.mp4 --keep-job"))
    assert done.code == 0, done.err
    job = folder / "a.mp4.job"
    manifest = Manifest.decoded((job / "manifest.json").read_bytes())
    longer = dataclasses.replace(manifest, frames=FRAMES, made={}, played=None)
    (job / "manifest.json").write_bytes(longer.encoded())
    line = json.loads((job / "journal.jsonl").read_text().splitlines()[0])
    (job / "journal.jsonl").write_text("")
    process = psutil.Popen([sys.executable, "-c", HOLD, str(job)], stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == "held\n"
    own = folder / ".vidstyle-studio"
    own.mkdir()
    entry = {"key": "abc", "arguments": ["video"], "output": "a.mp4", "job": "video", "command": "", "state": "running"}
    (own / "queue.json").write_text(
        json.dumps({"format": "vidstyle-queue-1", "entries": [{**entry, "pid": process.pid}]})
    )
    studio = Studio(folder, program=("-c", HURRIED))
    try:
        page = browser.new_page()
        page.goto(studio.address)
        page.click(".tab:text-is('Paint')")
        early = None
        for shown in watched(page, job, line):
            if shown == EARLY:
                early = memory(page, studio)
        late = memory(page, studio)
        print({name: (early[name], late[name]) for name in early})
        growth = {name: late[name] - early[name] for name in early}
        assert growth["server"] < SERVER and growth["heap"] < HEAP and growth["browser"] < BROWSER, growth
        assert growth["nodes"] < 100
        assert "20000 of 20000 frames" in page.inner_text(".card .facts")
    finally:
        process.stdin.close()
        process.wait()
        studio.close()


def watched(page, job, line):
    """Let the job save frames, and the page show the last of them, again and again; gives how many there are."""
    first = job / "frames" / "000000.png"
    with open(job / "journal.jsonl", "a") as journal:
        for start in range(0, FRAMES, EACH):
            for index in range(start, start + EACH):
                frame = job / "frames" / f"{index:06d}.png"
                if not frame.exists():
                    os.link(first, frame)
                journal.write(json.dumps(line | {"index": index}) + "\n")
            journal.flush()
            page.wait_for_function(
                "number => (one => one?.src.endsWith(`/frame/${number}.png`) && one.complete && one.naturalWidth > 0)"
                "(document.querySelector('.card .newest'))",
                arg=start + EACH - 1,
            )
            yield start + EACH


def memory(page, studio):
    """Bytes of the server, of the page's objects and of the browser's processes; and the page's nodes."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    children = psutil.Process().children(recursive=True)
    renderers = [one.memory_info().rss for one in children if "--type=renderer" in " ".join(one.cmdline())]
    return {
        "server": psutil.Process(studio.process.pid).memory_info().rss,
        "heap": metrics["JSHeapUsedSize"],
        "nodes": metrics["Nodes"],
        "browser": max(renderers),
    }
