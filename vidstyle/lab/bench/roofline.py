"""What a warm-started frame asks of a device, counted without one, and how fast a GPU could be by that count.

The engine runs on torch's meta device, where tensors have shapes and no values. For each operator that a GPU would run
are counted its floating-point operations, if it is a product of matrices or a convolution, and the bytes of the tensors
that it reads and writes. An operator takes the longer of the times that a GPU needs for either at its peak rates
(Williams, Waterman, Patterson 2009, "Roofline", https://doi.org/10.1145/1498765.1498785), and the start of a kernel.
No GPU reaches its peaks: these are bounds, not measurements.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from vidstyle.core import losses, networks, warp
from vidstyle.core.networks import NAMES, FeatureNetwork, compact
from vidstyle.core.objective import TERMS, Area, FeatureExtractor, Objective
from vidstyle.core.optimize import Minimiser
from vidstyle.core.stylizer import FIRST_CHECK
from vidstyle.settings import VideoSettings

SIZES = ((512, 288), (1280, 720), (1920, 1080))  # width, height
STYLE_SIDE = 128  # pixels; what is counted does not depend on it
MADE = {"empty", "empty_strided", "new_empty", "empty_like", "detach", "alias", "lift_fresh"}  # that start no kernel


@dataclass(frozen=True)
class Gpu:
    """The peak rates of a GPU, from its maker's data sheet."""

    name: str
    flops: float  #: dense products of bfloat16 matrices with sums in float32, a second
    bandwidth: float  #: bytes of its memory a second
    launch: float = 2e-6  #: seconds for the start of a kernel of a recorded graph


GPUS = (Gpu("H100 SXM", 989e12, 3.35e12), Gpu("RTX 4070", 58e12, 504e9))


@dataclass(frozen=True)
class FrameCount:
    """What a warm-started frame with one lag and nothing new asks of a device."""

    network: str
    width: int  #: pixels
    height: int  #: pixels
    evaluations: int
    flops: float  #: floating-point operations of products and convolutions
    traffic: float  #: bytes that its operators read and write, each by itself
    kernels: int
    seconds: dict[str, float]  #: the least that a GPU of that name could need


@dataclass
class Counter(TorchDispatchMode):
    """Counts operators, but those that only look at a tensor in another way."""

    gpus: Sequence[Gpu] = GPUS
    flops: float = 0.0
    traffic: float = 0.0
    kernels: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        found = function(*arguments, **(keywords or {}))
        name = function.overloadpacket
        if not function.is_view and name.__name__ not in MADE:
            tensors = [one for one in tree_leaves((arguments, keywords, found)) if isinstance(one, Tensor)]
            traffic = float(sum(one.numel() * one.element_size() for one in tensors))
            count = flop_registry.get(name)
            flops = float(count(*arguments, **(keywords or {}), out_val=found)) if count else 0.0
            self.flops, self.traffic, self.kernels = self.flops + flops, self.traffic + traffic, self.kernels + 1
            for gpu in self.gpus:
                took = max(flops / gpu.flops, traffic / gpu.bandwidth) + gpu.launch
                self.seconds[gpu.name] = self.seconds.get(gpu.name, 0.0) + took
        return found


def counted(
    network: FeatureNetwork, name: str, settings: VideoSettings, sizes: Iterable[tuple[int, int]] | None = None
) -> list[FrameCount]:
    """Count a frame of each size, given by width and height; of `SIZES` if None.

    Args:
        network: with values; it stays where it is.
        name: of the network.
        settings: layers, losses and optimiser are read; the precision is bfloat16.
    """
    meta = torch.device("meta")
    style = _style_target(network, settings)
    network = copy.deepcopy(network).to(meta)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)
    readouts = {layer: each.to(meta) for layer, each in network.readouts.items()}
    extract = FeatureExtractor(network, settings, readouts)
    return [_count(extract, style, name, size) for size in (sizes or SIZES)]


def both(settings: VideoSettings, on_part: Callable[[str], None] = lambda _: None) -> list[FrameCount]:
    """Count frames of both networks. No weights are needed: what is counted does not depend on them."""
    found = []
    for name in NAMES:
        on_part(f"counting frames of {name}")
        network = compact() if name == "compact" else FeatureNetwork(networks.VGG19_BLOCKS).requires_grad_(False)
        found += counted(network, name, settings)
    return found


def _style_target(network: FeatureNetwork, settings: VideoSettings) -> losses.StyleTarget:
    """A target of the style loss on the meta device; found on the CPU, where it can be found."""
    extract = FeatureExtractor(network, settings, network.readouts)
    picture = torch.rand(1, 3, STYLE_SIDE, STYLE_SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = losses.StyleTarget.of(
            extract.metric, extract.statistics(picture, network.readouts)[1], network.readouts
        )

    def moved(table: dict[str, Tensor]) -> dict[str, Tensor]:
        return {layer: each.to("meta") for layer, each in table.items()}

    statistics = losses.Statistics(*map(moved, found.statistics.tables))
    return dataclasses.replace(found, statistics=statistics, maps=moved(found.maps), targets=moved(found.targets))


def _count(extract: FeatureExtractor, style: losses.StyleTarget, name: str, size: tuple[int, int]) -> FrameCount:
    (width, height), meta = size, torch.device("meta")
    image, visible = torch.zeros(1, 3, height, width, device=meta), torch.zeros(1, 1, height, width, device=meta)
    objective = Objective(extract, image)
    minimiser = Minimiser(objective, image, len(TERMS), method=extract.settings.optimizer)
    carrier, flow = warp.Carrier((height, width), meta), torch.zeros(1, 2, height, width, device=meta)

    def frame() -> None:
        warped = carrier(image, flow)
        objective.set_frame(image, [Area(style, 0.5)], 1.0, warped, visible)
        minimiser.optimizer.start(warped, 0.0, 1.0, visible)
        steps: list[Callable[[], None]] = [minimiser.evaluate_start, *[minimiser.advance] * (FIRST_CHECK - 1)]
        for step in steps:
            step()

    frame()  # what is made once a job is made
    with Counter() as counter:
        frame()
    return FrameCount(
        name, width, height, FIRST_CHECK, counter.flops, counter.traffic, counter.kernels, counter.seconds
    )
