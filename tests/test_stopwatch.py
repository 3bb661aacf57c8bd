"""Stages are recorded wherever they run, and only while somebody listens."""

import threading
import time

import pytest

from vidstyle.jobs.sources.lookahead import ahead
from vidstyle.system.stopwatch import each, recording, stage


def test_stages_of_every_thread_are_recorded():
    def work():
        for _ in range(3):
            with stage("work"):
                time.sleep(0.002)

    threads = [threading.Thread(target=work) for _ in range(4)]
    with recording() as seconds:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(seconds) == {"work"}
    assert seconds["work"] >= 12 * 0.002


def test_a_source_that_runs_ahead_is_recorded():
    def source():
        for number in range(5):
            with stage("make"):
                time.sleep(0.002)
            yield number

    with recording() as seconds:
        assert list(each("wait", ahead(source()))) == [0, 1, 2, 3, 4]
    assert set(seconds) == {"make", "wait"}
    assert seconds["make"] >= 5 * 0.002


def test_nested_stages_count_in_both():
    with recording() as seconds, stage("outer"), stage("inner"):
        time.sleep(0.002)
    assert seconds["outer"] >= seconds["inner"] >= 0.002


def test_only_what_begins_and_ends_inside_counts():
    with stage("before"):
        pass
    late = stage("late")
    early = stage("early")
    early.__enter__()
    with recording() as seconds:
        early.__exit__(None, None, None)
        with stage("inside"):
            pass
        late.__enter__()
    late.__exit__(None, None, None)
    with stage("after"):
        pass
    assert set(seconds) == {"inside"}


def test_two_recordings_do_not_disturb_each_other():
    with recording() as outer:
        with stage("a"):
            pass
        with recording() as inner, stage("b"):
            pass
        with stage("c"):
            pass
    assert (set(outer), set(inner)) == ({"a", "b", "c"}, {"b"})


def test_a_stage_that_fails_is_counted_and_the_error_goes_on():
    with recording() as seconds, pytest.raises(ZeroDivisionError), stage("fails"):
        1 / 0  # noqa: B018
    assert set(seconds) == {"fails"}


def test_each_passes_an_error_of_its_source_on():
    def source():
        yield 1
        raise ValueError("broken")

    with recording(), pytest.raises(ValueError, match="broken"):
        list(each("wait", source()))
