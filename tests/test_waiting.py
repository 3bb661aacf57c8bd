"""What the host does between the device's kernels: it reads few numbers back, and starts few operators one by one.

On the meta device, which has shapes and no values, whatever looks at a value or mixes in a tensor of the CPU raises. It
stands here for a GPU.
"""

import copy
import dataclasses
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vidstyle.core import networks, optimize, stylizer
from vidstyle.core.stylizer import RegionStyle, Stylizer
from vidstyle.settings import VideoSettings
from vidstyle.types import Frame, LoopClosure, Motion

META = torch.device("meta")
HEIGHT, WIDTH = 128, 160
EVALUATIONS = 8  # looked at after 3 and 8 of a warm-started frame
PER_FRAME, PER_LAG = 120, 30  # operators of a warm-started frame with one lag, and of each further one


class Operators(TorchDispatchMode):
    """Counts operators, but for those inside a recording, and notes those that read a value of the device."""

    def __init__(self):
        super().__init__()
        self.count, self.inside, self.strangers = 0, False, []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        if not self.inside:
            self.count += 1
        else:
            lists = (one if isinstance(one, list | tuple) else [one] for one in arguments)
            tensors = [one for each in lists for one in each if isinstance(one, torch.Tensor)]
            if any(one.dim() and not one.is_meta for one in tensors):
                self.strangers.append(str(function))
        return function(*arguments, **(keywords or {}))

    @contextmanager
    def recording(self):
        self.inside, before = True, self.inside
        try:
            yield
        finally:
            self.inside = before


def motion(visible=0.9):
    """Of a frame, all of whose pixels are as visible in an earlier one; nothing of it is new above .5."""
    random = torch.Generator().manual_seed(0)
    return Motion(torch.randn(2, HEIGHT, WIDTH, generator=random), torch.full((1, HEIGHT, WIDTH), visible))


def frame(index, lags=(), visible=0.9, **changes):
    motions = {lag: motion(visible) for lag in lags}
    image = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(index))
    changes = {"mix": (1.0,), "alpha": 0.5, "temporal_weight": 1.0, **changes}
    return Frame(index=index, image=image, motion=motions.pop(1, None), earlier=motions, reach=9, **changes)


@pytest.fixture
def operators(monkeypatch):
    """Counts operators, where recordings run what they would play back."""
    counted = Operators()

    def play(self):
        with counted.recording():
            self.function()

    monkeypatch.setattr(optimize.Recording, "__call__", play)
    monkeypatch.setattr(stylizer, "tape_for", lambda settings, device: object())
    return counted


MASK = torch.zeros(1, HEIGHT, WIDTH)
MASK[:, 40:, :90] = 1
CASES = {
    "still": ({}, {}),
    "several styles": ({}, {"mix": (0.3, 0.7)}),
    "gram": ({"style_metric": "gram"}, {}),
    "adam": ({"optimizer": "adam"}, {}),
    "low memory": ({"low_memory": True}, {}),
    "one size": ({"coarse_to_fine": False}, {}),
    "kept colours": ({}, {"preserve_color": 0.5}),
    "mask": ({}, {"mask": MASK}),
    "regions": ({}, {"regions": (MASK,)}),
    "loop": ({"loop": True}, {"loop_closure": LoopClosure(motion(), 0.2)}),
    "a lot is new": ({}, {"visible": 0.2}),
}


@pytest.mark.parametrize(
    ("case", "network"),
    [
        *((case, "compact") for case in CASES),
        ("still", "vgg19"),
        *(pytest.param(case, "vgg19", marks=pytest.mark.slow) for case in ("low memory", "mask", "loop")),
    ],
)
def test_nothing_waits_for_the_device(case, network, operators, monkeypatch):
    """Of the device are all tensors of the inner loop, and read are a few numbers at each look, and the picture."""
    settings, changes = CASES[case]
    reads, pictures = [], []

    def read(self, first):
        reads.append(len(reads))
        return [0.0] * len(stylizer.TERMS) + [1 / len(reads), 1.0, 1 / len(reads), 1.0]

    def picture(image):
        pictures.append(image.device)
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    monkeypatch.setattr(optimize.Minimiser, "read", read)
    monkeypatch.setattr(stylizer, "to_pixels", picture)
    monkeypatch.setattr(stylizer, "pick_device", lambda name: META)
    of_job = VideoSettings(
        iterations=EVALUATIONS, warm_tolerance=0, first_iterations=2, precision="float32", **settings
    )
    regions = [RegionStyle(torch.rand(3, 60, 60), alpha=0.2)] if "regions" in changes else []
    if network == "compact":
        own = networks.compact()
    else:
        with META:  # nothing is initialised
            own = networks.FeatureNetwork(networks.VGG19_BLOCKS)
    painter = Stylizer(own, [torch.rand(3, 90, 100)] * len(changes.get("mix", (1.0,))), of_job, regions=regions)
    # The basis of a style is found on the CPU, once a style, which asks the device for its statistics.
    if painter.extract.metric.decay != 1:
        targets = lambda m: (m.new_empty(len(m), len(m)), m.new_empty(len(m), 2))  # noqa: E731
        painter.extract.metric = dataclasses.replace(painter.extract.metric, target=targets)
    state = None
    with operators:
        for index, lags in enumerate([(), (1,), (1, 2)]):
            found = {name: value for name, value in changes.items() if lags or name not in ("loop_closure", "visible")}
            reads.clear()
            _, state = painter.step(frame(index, lags, **found), state)
            assert state.pastiche.is_meta and not operators.strangers
    two_sizes = case == "a lot is new"
    assert len(reads) == 2 + (2 if two_sizes else 0)  # after 3 and 8 evaluations there, too
    assert pictures == [META] * 3


@pytest.mark.parametrize("new", [False, True])
def test_few_operators_are_started_one_by_one(new, operators, style):
    settings = VideoSettings(device="cpu", size=0, first_iterations=2, iterations=2)
    painter, state = Stylizer(networks.compact(), [style], settings), None
    for index in range(5):  # what is made once is made
        _, state = painter.step(frame(index, (1,) if index else (), 0.2 if new else 0.9), state)
    counts = []
    for lags in ((1,), (1, 2), (1, 2, 3)):
        wanted = frame(5, lags, 0.2 if new else 0.9)
        operators.count = 0
        with operators:
            painter.step(wanted, state)
        counts.append(operators.count)
    assert counts[0] <= PER_FRAME + (40 if new else 0), counts
    assert all(more - fewer <= PER_LAG for fewer, more in itertools.pairwise(counts)), counts


def test_what_is_recorded_is_what_is_computed(style, operators, monkeypatch):
    """Recordings read tensors that are written in place: with and without them, the same pictures."""
    settings = VideoSettings(device="cpu", size=0, first_iterations=3, iterations=4)
    frames = [frame(0), frame(1, (1,)), frame(2, (1, 2), alpha=0.2), frame(3, (1,), 0.2, mix=(0.5, 0.5))]
    frames = [dataclasses.replace(one, mix=one.mix if len(one.mix) == 2 else (1.0, 0.0)) for one in frames]
    found = []
    for tape in (object(), None):
        monkeypatch.setattr(stylizer, "tape_for", lambda settings, device, tape=tape: tape)
        painter, state = Stylizer(networks.compact(), [style, style.flip(0)], copy.copy(settings)), None
        results = []
        for one in frames:
            result, state = painter.step(one, state)
            results.append(result.image)
        found.append(results)
    assert all(map(np.array_equal, *found))
