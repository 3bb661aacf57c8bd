"""Workers: each item of each unit comes back once and in order, whatever becomes of the processes."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from standins import Counting, Kept, Numbers, begun

from vidstyle.errors import MediaError, UsageError, VidstyleError
from vidstyle.executors.dispatch import dispatch
from vidstyle.executors.processes import Processes

UNITS = [Numbers("a", 0, 3), Numbers("b", 10, 16), Numbers("c", 0, 1), Numbers("d", 5, 9)]
WANTED = {(unit.name, number) for unit in UNITS for number in range(unit.start, unit.end)}
# Starts a worker, says its number, and waits.
DRIVER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from standins import Counting, Numbers
from vidstyle.executors.processes import Processes
with Processes(Counting(Path(sys.argv[1])), 1) as workers:
    workers.start(0)
    workers.next()
    workers.give(0, Numbers("a", 0, 10**9))
    print(workers.next().value[2], flush=True)
    time.sleep(600)
"""


@pytest.fixture(
    params=[
        "processes",
        pytest.param(
            "cluster",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'vidstyle[cluster]'"
            ),
        ),
    ]
)
def workers_of(request, monkeypatch):
    """Makes two workers of some work."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    path = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(__file__).parent)])
    monkeypatch.setenv("PYTHONPATH", path)  # Ray's workers import the stand-ins from there

    def make(work):
        if request.param == "processes":
            return Processes(work, 2)
        from vidstyle.executors.cluster import Cluster

        return Cluster(work, None, 1, 0)

    return make


@contextlib.contextmanager
def nothing_left():
    """No process is left by the block."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert not {child for child in set(psutil.Process().children(recursive=True)) - before if child.is_running()}


def test_each_item_comes_once_and_in_order(workers_of, tmp_path):
    kept = Kept()
    with nothing_left(), workers_of(Counting(tmp_path)) as workers:
        dispatch(workers, UNITS, kept)
    assert len(kept.items) == len(WANTED) and set(kept.items) == WANTED
    for unit in UNITS:
        assert [number for name, number in kept.items if name == unit.name] == list(range(unit.start, unit.end))
    assert set(kept.devices) == {"stand-in"} and os.getpid() not in kept.processes
    assert kept.flights[-1] == 0 and max(kept.flights) <= 2


def test_the_longest_unit_is_done_first(tmp_path):
    with Processes(Counting(tmp_path), 1) as workers:
        dispatch(workers, UNITS, Kept())
    names = [place.split()[0] for place in begun(tmp_path)]
    assert list(dict.fromkeys(names)) == ["b", "d", "a", "c"]


def test_a_unit_whose_worker_dies_goes_on_after_what_was_kept(workers_of, tmp_path):
    kept, dies_at = Kept(), ("b 12", "d 5", "b 13", "c 0", "b 13")
    with nothing_left(), workers_of(Counting(tmp_path, dies_at)) as workers:
        dispatch(workers, UNITS, kept)
    assert len(kept.items) == len(WANTED) and set(kept.items) == WANTED
    twice = len(begun(tmp_path)) - len(WANTED)
    assert len(dies_at) <= twice <= 2 * len(dies_at)  # that at which it died, and one that was not yet heard of


@pytest.mark.slow
def test_three_deaths_at_one_place_end_it_with_the_log(workers_of, tmp_path):
    kept = Kept()
    with (
        nothing_left(),
        workers_of(Counting(tmp_path, ("b 12",) * 9)) as workers,
        pytest.raises(VidstyleError) as raised,
    ):
        dispatch(workers, UNITS, kept)
    assert type(raised.value) is VidstyleError and raised.value.exit_code == 1
    assert "3 workers have died at b 12" in str(raised.value)
    assert begun(tmp_path).count("b 12") == 3
    if isinstance(workers, Processes):
        assert "these are its last words" in str(raised.value) and "signal 9" in str(raised.value)


def test_an_error_of_ours_is_raised_and_nothing_is_done_again(workers_of, tmp_path):
    with (
        nothing_left(),
        pytest.raises(MediaError, match=r"^b 12 is damaged$"),
        workers_of(Counting(tmp_path, fails="b 12")) as workers,
    ):
        dispatch(workers, UNITS, Kept())
    assert begun(tmp_path).count("b 12") == 1


def test_a_bug_tells_where_it_is(tmp_path):
    with (
        nothing_left(),
        pytest.raises(RuntimeError, match=r"KeyError: 'b 12'\n(.*\n)*.*standins.py"),
        Processes(Counting(tmp_path, fails="bug at b 12"), 1) as workers,
    ):
        dispatch(workers, UNITS, Kept())


def test_what_cannot_begin_is_not_tried_again(workers_of, tmp_path):
    with (
        nothing_left(),
        pytest.raises(MediaError, match=r"^it cannot begin$"),
        workers_of(Counting(tmp_path, fails_to_begin=True)) as workers,
    ):
        dispatch(workers, UNITS, Kept())


def test_a_keeper_may_refuse_a_device(tmp_path):
    with nothing_left(), Processes(Counting(tmp_path), 1) as workers, pytest.raises(MediaError, match="no stand-in"):
        dispatch(workers, UNITS, Kept(refuses="stand-in"))
    assert not begun(tmp_path)


def test_workers_that_die_before_they_begin_end_it(tmp_path):
    with (
        pytest.raises(VidstyleError, match=r"3 workers have died before the first frame(.*\n)*.*exit code 1"),
        Processes(Counting(tmp_path), 2, [{"PYTHONHOME": str(tmp_path)}]) as workers,
    ):
        dispatch(workers, UNITS, Kept())


def test_a_worker_waits_until_what_it_made_is_taken(tmp_path):
    size = 1 << 20
    with Processes(Counting(tmp_path, payload=size), 1) as workers:
        workers.start(0)
        assert workers.next().kind == "ready"
        workers.give(0, Numbers("a", 0, 1000))
        taken = [workers.next() for _ in range(3)]
        before = -1
        while before != (before := len(begun(tmp_path))):  # until it does no more
            time.sleep(0.5)
        assert [event.value[1] for event in taken] == [0, 1, 2] and before <= 7


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=["SIGKILL", "SIGTERM"]
)
def test_a_worker_ends_when_the_driver_is_killed(number, tmp_path):
    paths = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, tmp_path, *paths], stdout=subprocess.PIPE, text=True
    ) as driver:
        worker = psutil.Process(int(driver.stdout.readline()))
        driver.send_signal(number)
        worker.wait(60)
    assert not worker.is_running()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_sentence_names_the_command(tmp_path):
    from vidstyle.executors.cluster import Cluster

    with pytest.raises(UsageError, match=r"pip install 'vidstyle\[cluster\]'"):
        Cluster(Counting(tmp_path), None, 1, 0)
