"""A student network in training: its targets (the teacher's features), its read-outs and its losses.

A teacher's features are compared in their principal components, as many as the student has channels: what is left out
is a few hundredths of what the Gram matrices of different pictures differ by. Statistics of style are compared by the
metric that pictures are painted with.

A student begins as an apprentice, layerwise: each of its convolutions takes the *teacher's* features of the layer below
as input (the layers in `led` hand those on), so that all depths learn at once. `join` then chains the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidstyle.core.architecture import Blocks
from vidstyle.core.networks import FeatureNetwork, reduce_readout
from vidstyle.core.stylemetrics import STYLE_METRICS

FLOOR = 1e-3  # least deviation of a component, in that of its layer: keeps a dead one from being divided by
METRIC = STYLE_METRICS["wasserstein"]  # of the styles of a student's and its teacher's features
RIDGE = 1e-4  # of the mean square of the features, added where least squares are solved


def flatten(features: Tensor) -> Tensor:  # (N, C, H, W) -> (N, H W, C), without a copy if channels come last in memory
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def product(first: Tensor, second: Tensor) -> Tensor:  # (N, P, A), (N, P, B) -> (N, A, B)
    """Mean over positions of the outer products: of features with themselves, their Gram matrix."""
    return first.mT @ second / first.shape[1]


def moments(features: Tensor) -> Tensor:  # (N, P, C) -> (N, C, C + 1)
    """Gram matrix and mean of each picture's features, as `stylemetrics.moments`."""
    return torch.cat([product(features, features), features.mean(dim=1)[:, :, None]], dim=2)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a teacher says of some pictures at one layer."""

    features: Tensor  #: (N, H W, K), in principal components
    styles: tuple[tuple[Tensor, Tensor], ...]  #: of each picture what `StyleMetric.target` says; () at other layers


Answers = Mapping[str, Answer]


class TeacherScale:
    """The principal components and the scale of one layer of a teacher, measured on some pictures; its state is `vars`.

    Regression divides each component by a number halfway (geometrically) between its own deviation and the layer's: the
    loudest would drown the others, while equalised ones spend the student on what no statistic shows. Style distances
    keep the teacher's units and are compared with those of the pictures from one that has the mean statistics of all.

    Args:
        features: (N, K, H, W) of the teacher.
        width: components to keep, K at most.
        styled: whether styles are compared at this layer.
    """

    def __init__(self, features: Tensor, width: int, *, styled: bool = True) -> None:
        flat, self.styled = flatten(features).float(), styled
        self.components = torch.linalg.eigh(product(flat, flat).mean(dim=0)).eigenvectors.flip(1)[:, :width]
        answer = self.read(features)
        deviation = answer.features.std(dim=(0, 1))
        whole = deviation.square().mean().sqrt()
        self.scale = (deviation.clamp_min(FLOOR * whole) * whole).sqrt()  # (width,)
        self.variance = (deviation / self.scale).square().sum()  # ()
        self.mean_moments = moments(answer.features).mean(dim=0)  # (width, width + 1)
        self.apart = self._distances(self.mean_moments.expand(len(flat), -1, -1), answer).mean()  # ()
        # What an apprentice's next convolution sees: components so divided that their mean square is 1.
        self.handed = 1 / (self.scale * (answer.features / self.scale).square().mean().sqrt())  # (width,)

    def read(self, features: Tensor) -> Answer:
        """Features (N, K, H, W) of the teacher as an answer."""
        flat = (flatten(features) @ self.components.to(features.dtype)).float()
        return Answer(flat, tuple(_target(picture) for picture in moments(flat)) if self.styled else ())

    def style_error(self, got: Tensor, answer: Answer) -> Tensor:  # (N, K, K + 1) -> (N,)
        """Style distance of moments from the answer's, over that of mean moments (averaged with that of all)."""
        mean = self._distances(self.mean_moments.expand(len(got), -1, -1), answer)
        return 2 * self._distances(got, answer) / (mean + self.apart)

    def _distances(self, got: Tensor, answer: Answer) -> Tensor:  # (N, K, K + 1) -> (N,)
        if not self.styled:
            return got.new_zeros(len(got))
        pairs = zip(got, answer.styles, strict=True)
        return torch.stack([METRIC.distance(METRIC.mapped(one, basis), target) for one, (basis, target) in pairs])


def _target(statistic: Tensor) -> tuple[Tensor, Tensor]:
    basis, target = METRIC.target(statistic)
    assert basis is not None
    return basis, target


class Student(nn.Module):
    """Convolutions and, for each layer they are to predict, a read-out R (C, C): R f is the teacher's features / scale.

    Args:
        blocks: widths of the convolutions.
        teacher_scales: for each layer to predict, of the layer's width; every layer that another follows needs one.
        generator: for the first weights.
    """

    def __init__(self, blocks: Blocks, teacher_scales: Mapping[str, TeacherScale], generator: torch.Generator) -> None:
        super().__init__()
        self.network = FeatureNetwork(blocks, pool="average", skip=True)
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.teacher_scales = teacher_scales
        self.readouts = nn.ParameterDict()
        for layer, teacher_scale in teacher_scales.items():
            width = len(teacher_scale.scale)
            self.readouts[layer] = nn.Parameter(torch.randn(width, width, generator=generator) / width**0.5)
        self.led = set(teacher_scales)  # layers whose features, for the next convolution, are the teacher's
        self.to(memory_format=torch.channels_last)

    @property
    def joined(self) -> bool:
        return not self.led

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """From the picture upwards."""
        return [module for module in self.network.convolutions.values() if isinstance(module, nn.Conv2d)]

    def forward(self, image: Tensor, layers: Iterable[str], answers: Answers | None = None) -> dict[str, Tensor]:
        """Own features (N, H W, C) of `image` at `layers`; an apprentice needs the teacher's `answers`."""

        def hand_on(layer: str, own: Tensor) -> Tensor:
            if layer not in self.led:
                return own
            assert answers is not None
            seen = answers[layer].features * self.teacher_scales[layer].handed
            return seen.view(len(own), *own.shape[2:], own.shape[1]).permute(0, 3, 1, 2)

        image = image.contiguous(memory_format=torch.channels_last)
        features = self.network(image, layers, hand_on)
        return {layer: flatten(own).float() for layer, own in features.items()}

    def raw(self, layer: str) -> Tensor:
        """The read-out (C, C) to the teacher's components in its own units."""
        readout: Tensor = self.teacher_scales[layer].scale[:, None] * self.readouts[layer]
        return readout

    def losses(self, own: Mapping[str, Tensor], answers: Answers) -> dict[str, tuple[Tensor, Tensor]]:
        """For each layer the regression error over the variance, and the relative style error, 0 where none is."""
        result = {}
        for layer, features in own.items():
            wanted, teacher_scale, raw = answers[layer], self.teacher_scales[layer], self.raw(layer)
            error = (features @ self.readouts[layer].T - wanted.features / teacher_scale.scale).square().sum(dim=2)
            mean = features.mean(dim=1) @ raw.T
            found = torch.cat([raw @ product(features, features) @ raw.T, mean[:, :, None]], dim=2)
            result[layer] = error.mean() / teacher_scale.variance, teacher_scale.style_error(found, wanted).mean()
        return result

    @torch.no_grad()
    def solve_readouts(self, examples: Iterable[tuple[Tensor, Answers]]) -> None:
        """Replace the read-outs by the least-squares ones over `examples`, the best for the features as they are."""
        squares: dict[str, Tensor] = {}
        products: dict[str, Tensor] = {}
        for images, answers in examples:
            for layer, own in self(images, self.readouts.keys(), answers).items():
                squares[layer] = squares.get(layer, 0) + product(own, own).sum(dim=0)
                products[layer] = products.get(layer, 0) + product(answers[layer].features, own).sum(dim=0)
        for layer, left in squares.items():
            left = left.double()
            left = left + (RIDGE * left.diagonal().mean() + 1e-12) * torch.eye(len(left), device=left.device)
            readout = torch.linalg.solve(left, products[layer].double().mT).mT.float()
            self.readouts[layer].copy_(readout / self.teacher_scales[layer].scale[:, None])

    @torch.no_grad()
    def join(self, layers: Iterable[str]) -> None:
        """End the apprenticeship: each convolution now works on the student's features below it, read out.

        Averaging, which lies between the blocks, commutes with the read-out, so that becomes part of the weights.
        """
        ended = self.led & set(layers)
        for layer in ended:
            handed = self.teacher_scales[layer].handed[:, None] * self.raw(layer)  # (C, C)
            for convolution, begin in self._seen_by(layer):
                part = convolution.weight[:, begin : begin + len(handed)]
                part.copy_(torch.einsum("ojhw,ji->oihw", part, handed))
        self.led -= ended

    def _seen_by(self, layer: str) -> list[tuple[nn.Conv2d, int]]:
        """The convolutions that work on a layer, with the number of its first channel among theirs."""
        blocks, block, number = self.network.blocks, int(layer[4]), int(layer[6])
        convolutions = self.network.convolutions
        found = []
        if number < len(blocks[block - 1]):
            found.append((convolutions[f"conv{block}_{number + 1}"], 0))
        if block < len(blocks) and number == len(blocks[block - 1]):
            found.append((convolutions[f"conv{block + 1}_1"], 0))
        elif block < len(blocks) and number == 1:
            found.append((convolutions[f"conv{block + 1}_1"], blocks[block - 1][-1]))
        return found  # type: ignore[return-value]

    def export(self, layers: Iterable[str]) -> FeatureNetwork:
        """A copy for use without the training code, with read-outs in the teacher's own units."""
        network = FeatureNetwork(self.network.blocks, pool="average", skip=True)
        network.load_state_dict(self.network.state_dict())
        network.readouts = {layer: reduce_readout(self.raw(layer).detach()) for layer in layers}
        return network.requires_grad_(False).eval()


def width_at(blocks: Blocks, layer: str) -> int:
    """Channels of a layer like relu4_2."""
    return blocks[int(layer[4]) - 1][int(layer[6]) - 1]
