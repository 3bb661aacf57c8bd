"""Trains the compact network: a narrow VGG-shaped stack that learns to predict VGG-19's features.

    python -m vidstyle.distill --teacher VGG_FILE --images FOLDER... --out FILE

The student is regressed, layer by layer and through a linear read-out, on what the teacher answers to crops of the
given pictures; it never sees the teacher's weights. Training goes in rounds: the teacher, the dearest part, labels a
pool of crops, and the student learns from each of them a few times. One batch of every pool are pastiches that the
student itself is optimising, because those are the pictures it will be asked about later.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vidstyle.crops import disturbed_crop, load_pictures, middle_square
from vidstyle.errors import DiskError, JobError, UsageError
from vidstyle.muon import Muon
from vidstyle.networks import Blocks, FeatureNetwork, reduce_readout, save_compact, vgg19

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")  #: the saved network answers these
HELPERS = ("relu3_3", "relu4_4")  #: learnt along with them, to lead the deep convolutions; not saved
LAYER_WEIGHTS = {"relu5_1": 2.0, **dict.fromkeys(HELPERS, 0.5)}  #: of the regression; 1 where not named
GRAM_WEIGHT = 0.25
KEPT = 0.995  #: share of the averaged weights that an update keeps
RIDGE = 1e-4  #: of the mean square of the features: keeps a dead channel from being divided by
HELD_OUT = 40  #: pictures kept for validation
SCALE_CROPS = 32  #: crops that the teacher's channels are measured on

Answers = Mapping[str, tuple[Tensor, Tensor]]  #: for each layer features (N, positions, K) and Gram matrices (N, K, K)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number a training run depends on."""

    blocks: Blocks = ((16, 16), (32, 48), (80,) * 4, (160,) * 4, (320,))  #: channels of each convolution
    steps: int = 12000  #: updates of the weights; the learning rate has fallen to zero by then
    minutes: float = math.inf  #: ... or by then, if that comes first
    crop: int = 160  #: pixels
    batch: int = 3  #: crops in an update
    pool: int = 16  #: batches that the teacher labels in a round, the last of which are pastiches
    repeats: int = 3  #: times that the student sees each of them
    paint: int = 10  #: evaluations that the pastiches are carried on for in a round
    lr: float = 0.02  #: highest learning rate of the convolutions (Muon)
    lr_rest: float = 1e-3  #: highest learning rate of biases and read-outs (Adam)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "crop", "batch", "repeats", "lr", "lr_rest", "minutes"):
            if not getattr(self, name) > 0:
                raise UsageError(f"--{name} is {getattr(self, name)}; it must be above 0")
        if self.pool < 2:
            raise UsageError(f"--pool is {self.pool}; it must be at least 2, one batch of which are pastiches")


def flatten(features: Tensor) -> Tensor:  # (N, C, H, W) -> (N, H W, C), without a copy if channels come last in memory
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def product(first: Tensor, second: Tensor) -> Tensor:  # (N, P, A), (N, P, B) -> (N, A, B)
    """Mean over positions of the outer products: of features with themselves, their Gram matrix."""
    return first.mT @ second / first.shape[1]


def relative_gram_error(got: Tensor, wanted: Tensor) -> Tensor:  # (N, C, C) twice -> (N,)
    return (got - wanted).square().sum(dim=(1, 2)) / wanted.square().sum(dim=(1, 2)).clamp_min(1e-12)


class Student(nn.Module):
    """The network in training, with its read-outs as parameters."""

    def __init__(self, blocks: Blocks, channels: Mapping[str, int], generator: torch.Generator) -> None:
        super().__init__()
        self.network = FeatureNetwork(blocks, pool="average")
        for convolution in self.network.convolutions.values():
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(convolution.bias)
        self.readouts = nn.ParameterDict()
        for layer, count in channels.items():
            width = blocks[int(layer[4]) - 1][int(layer[6]) - 1]
            self.readouts[layer] = nn.Parameter(torch.randn(count, width, generator=generator) / width**0.5)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """For each layer the student's own features, (N, positions, C), and its read-out, (K, C)."""
        features = self.network(image.contiguous(memory_format=torch.channels_last), layers)
        return {layer: (flatten(own), self.readouts[layer]) for layer, own in features.items()}


class Distiller:
    """A training run: everything that changes is in `state_dict`, everything else follows from the arguments.

    Args:
        teacher: the network to imitate; not trained.
        pictures: (H, W, 3) uint8 RGB, in a fixed order.
        layers, helpers: of the teacher and the student, to predict; only `layers` are exported.
    """

    def __init__(
        self,
        teacher: FeatureNetwork,
        pictures: Sequence[np.ndarray],
        recipe: Recipe,
        *,
        layers: Sequence[str] = LAYERS,
        helpers: Sequence[str] = HELPERS,
    ) -> None:
        self.recipe, self.layers, self.learnt = recipe, tuple(layers), (*layers, *helpers)
        self.teacher = teacher.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        every = max(2, len(pictures) // HELD_OUT)
        self.held_out = pictures[::every]
        self.pictures = [image for number, image in enumerate(pictures) if number % every]
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.scales, self.spreads = self._measure()
        channels = {layer: scale.numel() for layer, scale in self.scales.items()}
        self.student = Student(recipe.blocks, channels, self.generator)
        self.solve_readouts(self.student, batches=4)
        self.average = Student(recipe.blocks, channels, self.generator).requires_grad_(False)
        self.average.load_state_dict(self.student.state_dict())
        weights = [p for p in self.student.network.parameters() if p.ndim == 4]
        rest = [p for p in self.student.parameters() if all(p is not weight for weight in weights)]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "muon": Muon(weights, recipe.lr),
            "adam": torch.optim.Adam(rest, recipe.lr_rest, betas=(0.9, 0.98)),
        }
        self.step, self.seconds = 0, 0.0
        self.pastiches, self.styles = self._crops(recipe.batch), self._crops(recipe.batch)

    @property
    def progress(self) -> float:
        """Share of the run that is over, in [0, 1]; depends on the machine's speed only if `minutes` ends the run."""
        return min(1.0, max(self.step / self.recipe.steps, self.seconds / 60 / self.recipe.minutes))

    def round(self) -> float:
        """Label a pool of crops, learn from it; returns the mean loss."""
        began = time.monotonic()
        recipe = self.recipe
        self._paint()
        images = torch.cat([self._crops(recipe.batch * (recipe.pool - 1)), self.pastiches])
        images = images[torch.randperm(len(images), generator=self.generator)]
        pool = [(batch, self._ask(batch)) for batch in images.split(recipe.batch)]
        losses = []
        for _ in range(recipe.repeats):
            for number in torch.randperm(len(pool), generator=self.generator).tolist():
                losses.append(self._update(*pool[number]))
        self.seconds += time.monotonic() - began
        return sum(losses) / len(losses)

    def validate(self, side: int = 192) -> dict[str, tuple[float, float]]:
        """How well the averaged weights predict held-out pictures, layer by layer, in the teacher's own units.

        Returns:
            1 - R^2 (squared error over variance of the features around each channel's mean), and the squared error of
            the Gram matrix over the variation of the Gram matrix between pictures.
        """
        squares = [
            cv2.resize(middle_square(image), (side, side), interpolation=cv2.INTER_AREA) for image in self.held_out
        ]
        images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        parts: dict[str, list[tuple[Tensor, ...]]] = {layer: [] for layer in self.layers}
        for batch in images.split(self.recipe.batch):
            wanted = self._ask(batch)
            with torch.no_grad():
                for layer, (own, readout) in self.average(batch, self.layers).items():
                    target, grams = wanted[layer]
                    guess = own @ (self.scales[layer][:, None] * readout).T
                    error = (guess - target).square().mean(dim=1).sum(dim=1)
                    parts[layer].append((error, target.mean(dim=1), grams, product(guess, guess)))
        result = {}
        for layer in self.layers:
            error, means, grams, guesses = (torch.cat(part) for part in zip(*parts[layer], strict=True))
            spread = grams.diagonal(dim1=1, dim2=2).sum(dim=1).mean() - means.mean(dim=0).square().sum()
            between = (grams - grams.mean(dim=0)).square().sum()
            result[layer] = (float(error.mean() / spread), float((guesses - grams).square().sum() / between))
        return result

    def solve_readouts(self, student: Student, batches: int = 40) -> None:
        """Replace the read-outs of `student` by the least-squares ones over fresh crops: the best for its features."""
        squares = dict.fromkeys(self.learnt, torch.zeros(()))
        products = dict.fromkeys(self.learnt, torch.zeros(()))
        with torch.no_grad():
            for _ in range(batches):
                images = self._crops(self.recipe.batch)
                wanted = self._ask(images)
                for layer, (own, _) in student(images, self.learnt).items():
                    squares[layer] = squares[layer] + product(own, own).sum(dim=0)
                    products[layer] = products[layer] + product(wanted[layer][0], own).sum(dim=0)
            for layer in self.learnt:
                left = squares[layer].double()
                left += RIDGE * left.diagonal().mean() * torch.eye(len(left), dtype=left.dtype)
                readout = torch.linalg.solve(left, products[layer].double().mT).mT.float()
                student.readouts[layer].copy_(readout / self.scales[layer][:, None])

    def export(self, path: str | Path) -> None:
        """Write the averaged network, as `networks.compact` reads it; read-outs predict the teacher's raw features."""
        network = FeatureNetwork(self.recipe.blocks, pool="average")
        network.load_state_dict(self.average.network.state_dict())
        for layer in self.layers:
            network.readouts[layer] = reduce_readout(
                self.scales[layer][:, None] * self.average.readouts[layer].detach()
            )
        save_compact(network, path)

    def state_dict(self) -> dict[str, object]:
        """All that the next round depends on."""
        return {
            "recipe": _lasting(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "generator": self.generator.get_state(),
            "pastiches": self.pastiches,
            "styles": self.styles,
            "scales": self.scales,
            "spreads": self.spreads,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one stays until the new one is whole."""
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(self.state_dict(), part)
            os.replace(part, path)
        except OSError as error:
            raise DiskError(
                f"the checkpoint {path} could not be written ({error}); make room or choose another"
            ) from error

    def load(self, path: Path) -> None:
        """Continue where a checkpoint stopped. Raises `JobError` if it is damaged or of another recipe."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises a dozen kinds for a file that is none of its own
            raise JobError(f"the checkpoint {path} cannot be read; remove it to start anew") from error
        if state["recipe"] != _lasting(self.recipe):
            raise JobError(f"{path} is of another recipe ({state['recipe']}); repeat its options or remove it")
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.pastiches, self.styles = state["pastiches"], state["styles"]
        self.scales, self.spreads = state["scales"], state["spreads"]

    def _crops(self, count: int) -> Tensor:  # (count, 3, crop, crop)
        return torch.stack([disturbed_crop(self.pictures, self.recipe.crop, self.generator) for _ in range(count)])

    @torch.no_grad()
    def _measure(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """For each layer a divisor for each channel, (K,), and the variance of the features so divided.

        A divisor is halfway (geometrically) between the channel's deviation and the layer's: raw activations differ a
        hundredfold and let the loudest channels drown the others, while fully equalised ones spend the student on
        channels that no Gram matrix shows.
        """
        scales, spreads = {}, {}
        for layer, features in self.teacher(self._crops(SCALE_CROPS), self.learnt).items():
            deviation = features.std(dim=(0, 2, 3))
            whole = deviation.square().mean().sqrt()
            scales[layer] = (deviation.clamp_min(1e-3 * whole) * whole).sqrt()
            spreads[layer] = float((deviation / scales[layer]).square().sum())
        return scales, spreads

    @torch.no_grad()
    def _ask(self, images: Tensor) -> Answers:
        features = self.teacher(images.contiguous(memory_format=torch.channels_last), self.learnt)
        flat = {layer: flatten(f) for layer, f in features.items()}
        return {layer: (f, product(f, f)) for layer, f in flat.items()}

    def _update(self, images: Tensor, wanted: Answers) -> float:
        warm = min(1.0, (self.step + 1) / 50)
        share = warm * 0.5 * (1 + math.cos(math.pi * self.progress))
        for name, rate in (("muon", self.recipe.lr), ("adam", self.recipe.lr_rest)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = share * rate
        loss = self._loss(images, wanted)
        self.student.zero_grad()
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        keep = min(KEPT, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        return loss.item()

    def _loss(self, images: Tensor, wanted: Answers) -> Tensor:
        """Regression error over variance, and relative error of the Gram matrices, summed over the layers.

        The regression error |R f - t|^2 is multiplied out into tr(R G(f) R^T) - 2 <R, t f^T> + tr(G(t)): the
        predictions, eight times as large as the student's own features, are never written down.
        """
        loss = torch.zeros(())
        for layer, (own, readout) in self.student(images, self.learnt).items():
            (target, grams), scale = wanted[layer], self.scales[layer][:, None]
            own_grams, cross = product(own, own), product(target, own) / scale
            error = ((readout @ own_grams - 2 * cross) * readout).sum(dim=(1, 2))
            error = error + (grams.diagonal(dim1=1, dim2=2) / scale[:, 0].square()).sum(dim=1)
            loss = loss + LAYER_WEIGHTS.get(layer, 1.0) * error.mean() / self.spreads[layer]
            if layer in self.layers:
                raw = scale * readout
                loss = loss + GRAM_WEIGHT * relative_gram_error(raw @ own_grams @ raw.T, grams).mean()
        return loss

    def _grams(self, images: Tensor) -> dict[str, Tensor]:
        """What the averaged student takes for the teacher's Gram matrices of `images`."""
        answers = self.average(images, self.layers)
        raw = {layer: self.scales[layer][:, None] * readout for layer, (_, readout) in answers.items()}
        return {layer: raw[layer] @ product(own, own) @ raw[layer].T for layer, (own, _) in answers.items()}

    def _paint(self) -> None:
        """Carry the pastiches on a little, by the student's own Gram matrices; now and then start one anew."""
        fresh = torch.rand(self.recipe.batch, generator=self.generator) < 0.15
        if count := int(fresh.sum()):
            self.pastiches[fresh], self.styles[fresh] = self._crops(count), self._crops(count)
        with torch.no_grad():
            wanted = self._grams(self.styles)
        image = self.pastiches.clone().requires_grad_()
        painter = torch.optim.Adam([image], lr=0.02)
        for _ in range(self.recipe.paint):
            painter.zero_grad()
            got = self._grams(image)
            torch.stack(
                [relative_gram_error(got[layer], wanted[layer]).sum() for layer in self.layers]
            ).sum().backward()
            painter.step()
            with torch.no_grad():
                image.clamp_(0, 1)
        self.pastiches = image.detach()


def train(
    distiller: Distiller, checkpoint: Path, *, save_every: int = 10, on_round: Callable[[Distiller, float], None]
) -> None:
    """Run to the end of the recipe, from `checkpoint` if it exists; `on_round` gets the mean loss of each round."""
    if checkpoint.exists():
        distiller.load(checkpoint)
    rounds = 0
    while distiller.progress < 1:
        loss = distiller.round()
        rounds += 1
        if rounds % save_every == 0 or distiller.progress >= 1:
            distiller.save(checkpoint)
        on_round(distiller, loss)


def _lasting(recipe: Recipe) -> dict[str, object]:
    """What a checkpoint must share with the run that continues it: all but the end, so that a run can be prolonged."""
    lasting = {**dataclasses.asdict(recipe), "blocks": [list(widths) for widths in recipe.blocks]}
    return {name: value for name, value in lasting.items() if name not in ("steps", "minutes")}


def _table(figures: Mapping[str, tuple[float, float]]) -> str:
    return "  ".join(f"{layer} {error:.3f}/{of_gram:.3f}" for layer, (error, of_gram) in figures.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Ctrl-C loses the rounds since the last checkpoint; the same command continues."""
    parser = argparse.ArgumentParser(prog="python -m vidstyle.distill", description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", required=True, help="VGG-19 weights")
    parser.add_argument("--images", required=True, nargs="+", help="folders of pictures")
    parser.add_argument("--out", required=True, type=Path, help="the network to write (.safetensors)")
    parser.add_argument("--checkpoint", type=Path, help="default: OUT with the suffix .checkpoint")
    parser.add_argument("--export-every", type=int, default=0, metavar="ROUNDS", help="write OUT on the way, too")
    parser.add_argument("--validate-every", type=int, default=40, metavar="ROUNDS")
    for option in dataclasses.fields(Recipe):
        if option.name != "blocks":
            parser.add_argument(f"--{option.name}", type=type(option.default), default=option.default)
    chosen = parser.parse_args(arguments)
    recipe = Recipe(**{o.name: getattr(chosen, o.name) for o in dataclasses.fields(Recipe) if o.name != "blocks"})
    distiller = Distiller(vgg19(chosen.teacher), load_pictures(chosen.images, recipe.crop), recipe)
    rounds = 0

    def on_round(run: Distiller, loss: float) -> None:
        nonlocal rounds
        rounds += 1
        print(f"step {run.step}  {run.seconds:.0f} s  {100 * run.progress:.1f} %  loss {loss:.4f}", flush=True)
        if rounds % chosen.validate_every == 0 or run.progress >= 1:
            print(f"held out, 1 - R2 / Gram: {_table(run.validate())}", flush=True)
        if chosen.export_every and rounds % chosen.export_every == 0:
            run.export(chosen.out)

    train(distiller, chosen.checkpoint or chosen.out.with_suffix(".checkpoint"), on_round=on_round)
    distiller.solve_readouts(distiller.average)
    print(f"held out, read-outs solved: {_table(distiller.validate())}", flush=True)
    distiller.export(chosen.out)


if __name__ == "__main__":
    main()
