"""The training loop of a network that learns to predict VGG-19's features.

Training goes in rounds: the teacher labels a pool of pictures, and the student learns from those and earlier ones. It
begins as an apprentice (see `student`), then works on its own and learns, besides crops, from pastiches that it is
optimising itself: the optimiser finds every picture that a network misjudges, so those are what it must learn.
"""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidstyle.core import optimize
from vidstyle.core.networks import FeatureNetwork, save_compact
from vidstyle.errors import JobError, UsageError
from vidstyle.lab.distill.crops import disturbed_crop, middle_square
from vidstyle.lab.distill.muon import Muon
from vidstyle.lab.distill.pastiches import PastichePool, calibrate
from vidstyle.lab.distill.recipe import Recipe, written
from vidstyle.lab.distill.student import Answers, Student, TeacherScale, width_at
from vidstyle.settings import VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.system.files import failure, made_whole, write_whole

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")  #: the saved network answers these
CONTENT = "relu4_2"  #: the layer that the pastiches keep near their content
HELPERS = ("relu1_2", "relu2_2", "relu3_2", "relu3_3", "relu3_4", "relu4_3", "relu4_4")  #: learnt as auxiliary targets
HELPER_WEIGHT = 0.2  #: of an auxiliary layer's regression after the apprenticeship
STYLE_WEIGHT = 1.0  #: of the styles' relative error
KEPT = 0.998  #: share of the averaged weights that an update keeps
HELD_OUT = 40  #: pictures kept for validation
SETTLING = 24  #: batches of crops that read-outs are solved on before learning begins
MEASURED = 64  #: crops that the teacher's units are measured on
COOLING = ((1.0, 0.2), (0.4, 0.2), (0.35, 0.0))  #: share of the learning rate as each phase begins and ends
CALIBRATION_SIDE, CALIBRATION_EVALUATIONS = 192, 40  #: pixels, and evaluations at each scale, for the content weight
RENEWED = 0.12  #: share of the pastiches that are started anew in a round
COUNTED = ("step", "averaged", "phase", "seconds")  #: numbers that a checkpoint holds


class Distiller:
    """A training run: everything that changes is in `state_dict`, everything else follows from the arguments.

    Args:
        teacher: the network to imitate; not trained.
        pictures: (H, W, 3) uint8 RGB, in a fixed order.
        layers, helpers: of the teacher and the student, to predict; only `layers` are exported.
        content: the layer, one of them, that is compared by feature when a pastiche is painted, the others by style.
    """

    def __init__(
        self,
        teacher: FeatureNetwork,
        pictures: Sequence[np.ndarray],
        recipe: Recipe,
        *,
        layers: Sequence[str] = LAYERS,
        content: str = CONTENT,
        helpers: Sequence[str] = HELPERS,
    ) -> None:
        self.recipe, self.content = recipe, content
        self.layers, self.learnt = tuple(layers), (*layers, *helpers)
        self.device = pick_device(recipe.device)
        self.teacher = teacher.requires_grad_(False).eval()
        optimize.prepare(self.teacher, self.device, recipe.precision)
        every = max(2, len(pictures) // HELD_OUT)
        self.held_out = pictures[::every]
        self.pictures = [image for number, image in enumerate(pictures) if number % every]
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.teacher_scales = self._measure()
        self.student = Student(recipe.blocks, self.teacher_scales, self.generator).to(self.device)
        self.average = Student(recipe.blocks, self.teacher_scales, self.generator).to(self.device).requires_grad_(False)
        self.step, self.averaged, self.seconds, self.phase = 0, 0, 0.0, 0
        self.memory: list[tuple[Tensor, Answers]] = []
        self.pastiche_pool = self._begin(recipe.pastiches)
        self._settle()

    def begin_with(self, network: FeatureNetwork) -> None:
        """Start from a network that an earlier run exported. Raises `UsageError` if it has another shape."""
        if network.blocks != self.recipe.blocks or not network.skip:
            raise UsageError(f"the network to begin with has other channels; give --blocks {written(network.blocks)}")
        self.student.network.load_state_dict(network.state_dict())
        self.student.led, self.average.led, self.phase = set(), set(), 2
        self._settle()

    @property
    def progress(self) -> float:
        """Share of the run that is over, in [0, 1]; depends on the machine's speed only if `minutes` ends the run."""
        return min(1.0, max(self.step / self.recipe.steps, self.seconds / 60 / self.recipe.minutes))

    def round(self) -> float:
        """Label a pool of pictures, learn from it; returns the mean loss."""
        began = time.monotonic()
        recipe = self.recipe
        if self.phase != (phase := self._due()):
            self._advance(phase)
        images = self.crops(recipe.batch * recipe.pool)
        if self.student.joined and recipe.pastiches:
            self._paint()
            images[: recipe.pastiches] = self.pastiche_pool.pastiches
        images = images[torch.randperm(len(images), generator=self.generator).to(self.device)]
        self._remember(images.split(recipe.batch))
        losses: list[float] = []
        while len(losses) < recipe.repeats * recipe.pool:
            order = torch.randperm(len(self.memory), generator=self.generator).tolist()
            losses += [self._update(*self.memory[n]) for n in order[: recipe.repeats * recipe.pool - len(losses)]]
        self.seconds += time.monotonic() - began
        return sum(losses) / len(losses)

    @torch.no_grad()
    def ask(self, images: Tensor) -> Answers:
        """What the teacher says of (N, 3, H, W)."""
        features = self.teacher(images.contiguous(memory_format=torch.channels_last), self.learnt)
        return {layer: self.teacher_scales[layer].read(f) for layer, f in features.items()}

    def crops(self, count: int) -> Tensor:  # (count, 3, crop, crop)
        """Fresh pictures to learn from."""
        made = [disturbed_crop(self.pictures, self.recipe.crop, self.generator) for _ in range(count)]
        return (torch.stack(made) if made else torch.zeros(0, 3, self.recipe.crop, self.recipe.crop)).to(self.device)

    @torch.no_grad()
    def validate(self, side: int = 192) -> dict[str, tuple[float, float]]:
        """How well the averaged weights predict held-out pictures, layer by layer: `Student.losses`, averaged."""
        return self._examine(torch.stack([middle_square(image, side) for image in self.held_out]).to(self.device))

    @torch.no_grad()
    def examine_pastiches(self) -> dict[str, tuple[float, float]]:
        """The same on the pastiches in the making: what the optimiser has found that the student misjudges."""
        return self._examine(self.pastiche_pool.pastiches)

    def solve_readouts(self, batches: int = 40) -> None:
        """Replace the averaged student's read-outs by the least-squares ones over fresh crops and the pastiches."""
        images = [self.crops(self.recipe.batch) for _ in range(batches)]
        if self.average.joined:
            images += list(self.pastiche_pool.pastiches.split(self.recipe.batch))
        self.average.solve_readouts((batch, self.ask(batch)) for batch in images)

    def calibrate(self) -> tuple[float, float]:
        """The `content_weight` and `content_slope` of the averaged network, found on pairs of held-out pictures."""
        pairs = self.recipe.calibration
        if not pairs:
            return 1.0, 0.0
        squares = [middle_square(image, CALIBRATION_SIDE) for image in self.held_out]
        squares = [squares[number * (len(squares) - 1) // (2 * pairs - 1)] for number in range(2 * pairs)]
        settings = self._painting_settings(CALIBRATION_EVALUATIONS)
        return calibrate(self.average.export(self.layers), self.teacher, squares[pairs:], squares[:pairs], settings)

    def export(self, path: str | Path, weight: float = 1.0, slope: float = 0.0) -> None:
        """Write the averaged network, with its content weight and slope, as `networks.compact` reads it."""
        network = self.average.export(self.layers)
        network.content_weight, network.content_slope = weight, slope
        with made_whole(Path(path)) as part:
            save_compact(network, part)

    def state_dict(self) -> dict[str, object]:
        """All that the next round depends on."""
        return {
            "recipe": _lasting(self.recipe),
            **{name: getattr(self, name) for name in COUNTED},
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "generator": self.generator.get_state(),
            "pastiche_pool": vars(self.pastiche_pool),
            "memory": [images for images, _ in self.memory],
            "teacher_scales": {layer: vars(scale) for layer, scale in self.teacher_scales.items()},
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one stays until the new one is whole."""
        encoded = io.BytesIO()
        torch.save(self.state_dict(), encoded)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failure(path, error) from error
        write_whole(path, encoded.getvalue())

    def load(self, path: Path) -> None:
        """Continue where a checkpoint stopped. Raises `JobError` if it is damaged or of another recipe."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch.load raises a dozen kinds for a file that is none of its own
            raise JobError(f"the checkpoint {path} cannot be read; remove it to start anew") from error
        if not isinstance(state, dict) or state.keys() != self.state_dict().keys():
            raise JobError(f"the checkpoint {path} is of another version of vidstyle; remove it to start anew")
        if state["recipe"] != _lasting(self.recipe):
            raise JobError(f"{path} is of another recipe ({state['recipe']}); repeat its options or remove it")
        for name in COUNTED:
            setattr(self, name, state[name])
        self.student.led, self.average.led = self._led(self.phase), self._led(self.phase)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
        self.generator.set_state(state["generator"].cpu())
        self.pastiche_pool = PastichePool(**state["pastiche_pool"])
        for layer, scale in self.teacher_scales.items():
            vars(scale).update(state["teacher_scales"][layer])
        self.memory = []
        self._remember(state["memory"])

    @torch.no_grad()
    def _examine(self, images: Tensor) -> dict[str, tuple[float, float]]:
        found: dict[str, list[Tensor]] = {layer: [] for layer in self.layers}
        for batch in images.split(self.recipe.batch):
            answers = self.ask(batch)
            own = self.average(batch, self.learnt, answers)
            for layer, figures in self.average.losses(own, answers).items():
                if layer in found:
                    found[layer].append(torch.stack(figures) * len(batch))
        means = {layer: torch.stack(figures).sum(dim=0) / len(images) for layer, figures in found.items()}
        return {layer: (float(error), float(of_style)) for layer, (error, of_style) in means.items()}

    @torch.no_grad()
    def _measure(self) -> dict[str, TeacherScale]:
        images = self.crops(MEASURED).contiguous(memory_format=torch.channels_last)
        found = self.teacher(images, self.learnt)
        widths = {layer: width_at(self.recipe.blocks, layer) for layer in found}
        return {x: TeacherScale(f, widths[x], styled=x in self.layers) for x, f in found.items()}

    def _settle(self) -> None:
        """Begin to learn from the weights as they are: read-outs solved, the average and the optimisers afresh."""
        batches = (self.crops(self.recipe.batch) for _ in range(SETTLING))
        self.student.solve_readouts((batch, self.ask(batch)) for batch in batches)
        self.average.load_state_dict(self.student.state_dict())
        self.averaged = 0
        weights = [convolution.weight for convolution in self.student.convolutions]
        rest = [p for p in self.student.parameters() if all(p is not weight for weight in weights)]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "muon": Muon(weights, self.recipe.lr),
            "adam": torch.optim.Adam(rest, self.recipe.lr_rest, betas=(0.9, 0.98)),
        }

    def _due(self) -> int:
        """0: each convolution learns for itself; 1: those between two of `layers` together; 2: all together.

        A run that is prolonged, or began with a network, does not go back.
        """
        return max(self.phase, sum(self.progress >= end for end in self._ends))

    @property
    def _ends(self) -> tuple[float, float]:
        """The progress at which the first and the second phase end."""
        return self.recipe.apprenticeship, self.recipe.apprenticeship + self.recipe.stages

    def _led(self, phase: int) -> set[str]:
        return {0: set(self.learnt), 1: set(self.layers) - {self.content}, 2: set()}[phase]

    def _advance(self, phase: int) -> None:
        self.solve_readouts(16)
        self.student.load_state_dict(self.average.state_dict())
        self.student.join(self.student.led - self._led(phase))
        self.average.led = set(self.student.led)
        self.phase = phase
        self._settle()

    def _remember(self, batches: Iterable[Tensor]) -> None:
        labelled = [(batch, self.ask(batch)) for batch in batches]
        self.memory = [*self.memory, *labelled][-self.recipe.pool * self.recipe.memory :]

    def _update(self, images: Tensor, answers: Answers) -> float:
        share = min(1.0, (self.averaged + 1) / 100) * self._cooling()
        for name, rate in (("muon", self.recipe.lr), ("adam", self.recipe.lr_rest)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = share * rate
        loss = self._loss(images, answers)
        self.student.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        self.averaged += 1
        keep = min(KEPT, self.averaged / (10 + self.averaged))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        return loss.item()

    def _cooling(self) -> float:
        """Share of the highest learning rate: half a cosine in each phase."""
        begin, end = (0.0, *self._ends, 1.0)[self.phase : self.phase + 2]
        part = min(1.0, max(0.0, (self.progress - begin) / max(end - begin, 1e-9)))
        high, low = COOLING[self.phase]
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * part))

    def _loss(self, images: Tensor, answers: Answers) -> Tensor:
        """Regression errors of all layers; once the student works on its own, relative errors of styles, too."""
        half = optimize.pick_precision(self.recipe.precision, self.device) == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            own = self.student(images, self.learnt, answers)
        total = torch.zeros((), device=self.device)
        for layer, (error, of_style) in self.student.losses(own, answers).items():
            if self.phase == 0:
                total = total + error
            elif layer in self.layers:
                total = total + error + STYLE_WEIGHT * of_style
            else:
                total = total + HELPER_WEIGHT * error
        return total

    def _begin(self, count: int) -> PastichePool:
        contents, styles = self.crops(count), self.crops(count)
        alphas = torch.rand(count, generator=self.generator).square().to(self.device)
        return PastichePool.initial(contents, styles, alphas)

    def _paint(self) -> None:
        """Carry the pastiches on by the averaged student's own judgement; now and then begin one anew."""
        fresh = (torch.rand(self.recipe.pastiches, generator=self.generator) < RENEWED).to(self.device)
        pool = self.pastiche_pool.renewed(fresh, self._begin(int(fresh.sum())))
        self.pastiche_pool = pool.carried_on(
            self.average.export(self.layers), self._painting_settings(self.recipe.paint)
        )

    def _painting_settings(self, evaluations: int) -> VideoSettings:
        return VideoSettings(
            iterations=evaluations,
            first_iterations=evaluations,
            tolerance=0,
            warm_tolerance=0,
            device=self.recipe.device,
            precision=self.recipe.precision,
            content_layers=(self.content,),
            style_layers=tuple(layer for layer in self.layers if layer != self.content),
        )


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
    return {name: value for name, value in lasting.items() if name not in ("steps", "minutes", "device", "calibration")}
