"""Two runs at once on one job, a holder that died, and a job that goes on with another number of threads."""

from __future__ import annotations

import pytest
from soak.runs import differences, tree
from soak.stages import Scenario, Stage

PAINT = Scenario("video {clip} {style} -o out.png", ("out.png",))
MOMENTS = {  # what the first run is just about to do, and how the second may end
    "open out.png.job/frames/000001.png": (9,),
    "read out.png.job/frames/000001.png": (9,),
    "os.remove out.png.job/frames/000001.png": (4, 9),
}


@pytest.fixture(scope="module")
def stage(runner, inputs, tmp_path_factory):
    return Stage(PAINT, runner, inputs, tmp_path_factory.mktemp("stage"))


@pytest.mark.parametrize(("moment", "codes"), MOMENTS.items(), ids=["painting", "encoding", "cleaning up"])
def test_the_second_is_refused_and_the_first_is_not_disturbed(moment, codes, runner, stage):
    folder = stage.begin()
    first = runner(folder, *stage.command, hold=moment)
    assert first.code is None
    second = runner(folder, *stage.command)
    assert second.code in codes and second.err.startswith("vidstyle: ") and second.err.count("\n") == 1
    assert runner.go_on(first).code == 0
    assert not differences(tree(folder), stage.wanted)


@pytest.mark.parametrize("moment", MOMENTS, ids=["painting", "encoding", "cleaning up"])
def test_a_dead_holder_is_no_obstacle(moment, runner, stage):
    folder = stage.begin()
    first = runner(folder, *stage.command, hold=moment)
    assert runner.end(first).code == -9
    again = runner(folder, *stage.command)
    assert again.code == 0, again.err
    assert not differences(tree(folder), stage.wanted)
