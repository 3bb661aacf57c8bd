"""Two runs at once on one job, a holder that died, and a job that goes on with another number of threads."""

from __future__ import annotations

import pytest

from soak.runs import differences, tree
from soak.stages import Scenario, Stage

PAINT = Scenario("video {clip} {style} -o out.png", ("out.png",))
MOMENTS = {  # what the first run is about to do, and how the second may end
    "painting": ("write .*job/frames/000001", (9,)),
    "encoding": ("read .*job/frames/000001.png$", (9,)),
    "cleaning up": ("os.remove .*job/frames/000001.png$", (4, 9)),
}


@pytest.fixture(scope="module")
def stage(runner, inputs, tmp_path_factory):
    return Stage(PAINT, runner, inputs, tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize(("moment", "codes"), MOMENTS.values(), ids=MOMENTS)
def test_the_second_is_refused_and_the_first_is_not_disturbed(moment, codes, runner, stage):
    folder = stage.begin()
    first = runner(folder, *stage.command, hold=moment)
    assert first.code is None
    second = runner(folder, *stage.command)
    assert second.code in codes and second.err.startswith("vidstyle: ") and second.err.count("\n") == 1
    assert runner.go_on(first).code == 0
    assert not differences(tree(folder), stage.wanted)


@pytest.mark.parametrize(("moment", "_"), MOMENTS.values(), ids=MOMENTS)
def test_a_dead_holder_is_no_obstacle(moment, _, runner, stage):
    folder = stage.begin()
    first = runner(folder, *stage.command, hold=moment)
    assert runner.end(first).code == -9
    again = runner(folder, *stage.command)
    assert again.code == 0, again.err
    assert not differences(tree(folder), stage.wanted)


@pytest.mark.soak
def test_a_job_goes_on_with_the_threads_it_began_with(runner, inputs, tmp_path):
    """Another number of threads adds in another order, which shows in the frames at this size."""
    command = inputs.named("video {clip} {style} -o out.png --end .2 --network compact --size 128")
    folders = {name: tmp_path / name for name in ("one", "two", "mixed")}
    for folder in folders.values():
        folder.mkdir()
    assert runner(folders["one"], *command, threads=1).code == 0
    assert runner(folders["two"], *command, threads=2).code == 0
    assert runner(folders["mixed"], *command, threads=1, kill="write .*journal").code == -9
    assert runner(folders["mixed"], *command, threads=2).code == 0
    one, two, mixed = ((folder / "out.png").read_bytes() for folder in folders.values())
    assert one != two, "this test shows nothing"
    assert mixed == one
