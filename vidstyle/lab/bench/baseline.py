"""The textbook program of neural style transfer, as the well-known blog post describes it, as a baseline.

Written plainly and on its own: it shares the weights with vidstyle's network and nothing else, so that it is also a
second implementation of the `blog` objective. It does what such programs do: every closure sends content, style and
pastiche through all sixteen convolutions, in float32, and torch's L-BFGS runs with its defaults, from noise.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.vgg import cfgs, make_layers

from vidstyle.core.networks import FeatureNetwork
from vidstyle.core.stylizer import Stylizer, resized, size_of
from vidstyle.errors import MemoryLimitError
from vidstyle.jobs.task_inputs import load_network
from vidstyle.lab.bench import machine
from vidstyle.lab.bench.figures import BaselineSpeed, Evaluation, Race
from vidstyle.lab.bench.timings import Subject
from vidstyle.schedule import constant
from vidstyle.settings import PRESETS, VideoSettings
from vidstyle.system.devices import engine

CONTENT_LAYER = "conv2_2"
STYLE_LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
STYLE_WEIGHT = 1000.0  # of a Gram matrix, inside the square
SMALLEST_SIDE = 32  # pixels: there are five halvings
STEPS = 31  # calls of the optimiser; each makes up to 20 iterations
LADDER = (1, 2, 3, 5, 8, 12, 20, 40, 80, 160, 320, 640)  # vidstyle's evaluations at each scale, tried in turn


@dataclass(frozen=True, eq=False)
class Progress:
    """Where the program stands after an outer step."""

    step: int  #: from 1
    pastiche: Tensor  #: (1, 3, H, W) in [0, 1]
    loss: float  #: at the last evaluation
    evaluations: int  #: so far
    seconds: float  #: so far


def textbook_vgg19(network: FeatureNetwork) -> nn.Sequential:
    """VGG-19's features in torchvision's layout, with the weights of ours, on the CPU in float32.

    Its ReLUs do not work in place: the features of a convolution are looked at before them.
    """
    layers = make_layers(cfgs["E"])
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for theirs, ours in zip(convolutions, network.convolutions.values(), strict=True):
        theirs.load_state_dict(ours.state_dict())
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    sequential: nn.Sequential = layers.requires_grad_(False).eval()
    return sequential


def features(layers: nn.Sequential, image: Tensor) -> dict[str, Tensor]:
    """What every convolution makes of an image (1, 3, H, W), before its ReLU."""
    found, block, number, x = {}, 1, 0, image
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            number += 1
            found[f"conv{block}_{number}"] = x
        elif isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
    return found


def gram(f: Tensor) -> Tensor:  # (1, C, H, W) -> (C, C)
    """F F^T / (C H W)."""
    _, channels, height, width = f.shape
    flat = f.view(channels, height * width)
    return flat @ flat.T / (channels * height * width)


def total_loss(layers: nn.Sequential, content: Tensor, style: Tensor, pastiche: Tensor, alpha: float) -> Tensor:
    """alpha * content loss + (1 - alpha) * style loss, of pictures (1, 3, H, W)."""
    of_content, of_style, of_pastiche = (features(layers, image) for image in (content, style, pastiche))
    content_loss = functional.mse_loss(of_pastiche[CONTENT_LAYER], of_content[CONTENT_LAYER])
    style_loss = torch.zeros_like(content_loss)
    for layer in STYLE_LAYERS:
        found, wanted = STYLE_WEIGHT * gram(of_pastiche[layer]), STYLE_WEIGHT * gram(of_style[layer])
        style_loss = style_loss + functional.mse_loss(found, wanted)
    return alpha * content_loss + (1 - alpha) * style_loss


def paint(
    layers: nn.Sequential, content: Tensor, style: Tensor, *, alpha: float = 0.5, steps: int = STEPS, seed: int = 0
) -> Iterator[Progress]:
    """Paint, and tell after every outer step.

    Args:
        layers: on the device.
        content: (1, 3, H, W) in [0, 1], on the device.
        style: (1, 3, H', W'); it is brought to the size of the content.
        alpha: 1 = all content, 0 = all style.
        seed: of the noise.
    """
    style = functional.interpolate(style, content.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(seed))
    pastiche = noise.to(content.device).requires_grad_()
    optimizer = torch.optim.LBFGS([pastiche])
    history: list[float] = []

    def closure() -> float:
        with torch.no_grad():
            pastiche.clamp_(0, 1)
        optimizer.zero_grad()
        loss = total_loss(layers, content, style, pastiche, alpha)
        loss.backward()
        history.append(float(loss.detach()))
        return history[-1]

    seconds = 0.0
    for step in range(1, steps + 1):
        began = time.perf_counter()
        optimizer.step(closure)
        machine.synchronise(content.device)
        seconds += time.perf_counter() - began
        yield Progress(step, pastiche.detach().clamp(0, 1), history[-1], len(history), seconds)


def raced(subject: Subject, steps: int, ours: Evaluation, on_part: Callable[[str], None]) -> BaselineSpeed:
    """Paint the still with the textbook program, then time vidstyle until its picture has as low a loss.

    Two losses judge: vidstyle's, which the baseline knows nothing of, and the baseline's own, which vidstyle then
    minimises. Both programs are given the style at the size of the still. What `optimize.prepare` does for the memory
    of this process helps the baseline, too.
    """
    device, settings = subject.device, subject.settings
    size = size_of(subject.still.image)
    style = resized(subject.styles[0][None], size).clamp(0, 1)
    blog = PRESETS["blog"]
    alpha = subject.still.alpha if settings.objective == "blog" else blog["alpha"]
    layers = textbook_vgg19(load_network(settings)).to(device)
    content = subject.still.image[None].to(device)
    progress: list[Progress] = []
    try:
        for one in paint(layers, content, style.to(device), alpha=alpha, steps=steps, seed=settings.seed):
            progress.append(one)
            on_part(f"the baseline: step {one.step} of {steps}, loss {one.loss:.4g}, {one.seconds:.0f} s")
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(f"the baseline does not fit the memory of {device}; give a smaller --size") from error
    end = progress[-1]
    names = ("content_layers", "style_layers", "objective")
    own = dataclasses.replace(settings, mix=(), alpha=subject.still.alpha)
    raw = {name: blog[name] for name in names} | {
        name: getattr(VideoSettings, name) for name in ("style_metric", "content_focus", "recolor", "match_colors")
    }
    theirs = dataclasses.replace(own, alpha=alpha, style_layer_weights=(), tv_weight=0.0, **raw)
    races = []
    if bool(end.pastiche.isfinite().all()):
        for judge, rules in {"vidstyle": own, "baseline": theirs}.items():
            on_part(f"vidstyle against the baseline, judged by the loss of {judge}")
            races.append(race(rules, subject, style[0], end, judge))
    return BaselineSpeed(
        steps=steps,
        evaluations=end.evaluations,
        seconds=end.seconds,
        alpha=alpha,
        first_loss=progress[0].loss,
        last_loss=end.loss,
        evaluation_ratio=end.seconds / end.evaluations / ours.seconds,
        races=races,
    )


def race(settings: VideoSettings, subject: Subject, style: Tensor, end: Progress, judge: str) -> Race:
    """Paint the still with increasing numbers of evaluations until its loss is that of the baseline's picture.

    Or until that takes longer than the baseline took. Both pictures are judged in float32.
    """
    frame = dataclasses.replace(subject.still, alpha=constant(settings.alpha), mix=(1.0,))
    exact = Stylizer(load_network(settings), [style], dataclasses.replace(settings, precision="float32"))

    def judged(pastiche: Tensor) -> float:
        with torch.no_grad(), engine(subject.device):
            return float(exact.objective(frame)(pastiche)[0])

    network, wanted = load_network(settings), judged(end.pastiche)
    for evaluations in LADDER:
        began = time.perf_counter()
        rules = dataclasses.replace(settings, first_iterations=evaluations, tolerance=0.0)
        _, state = Stylizer(network, [style], rules).step(frame, None)
        seconds, loss = time.perf_counter() - began, judged(state.pastiche[None])
        if loss <= wanted or seconds > end.seconds:
            break
    return Race(judge, wanted, loss <= wanted, loss, evaluations, seconds, end.seconds / seconds)
