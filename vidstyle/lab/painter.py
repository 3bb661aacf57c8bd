"""The network that a job paints with, and beside it one that judges its paintings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from vidstyle.core import networks, optimize
from vidstyle.core.stylizer import Stylizer
from vidstyle.errors import UsageError
from vidstyle.jobs.sources.clips import to_tensor
from vidstyle.jobs.sources.keys import key_pictures
from vidstyle.jobs.sources.regions import styles_of
from vidstyle.jobs.task_inputs import load_network
from vidstyle.lab.tables import COMPACT, JUDGES, PAINTER, VGG19
from vidstyle.media.stills import pictures
from vidstyle.settings import BalanceSettings, KeySettings, MaskSettings, VideoSettings
from vidstyle.system.devices import pick_device
from vidstyle.types import Frame

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # that distances are the mean of
CONTENT_LAYER = "relu4_2"

S = TypeVar("S", VideoSettings, BalanceSettings)
OnStep = Callable[[str, int, int], None]  # told what is done, after how many steps of how many


class Painter(Generic[S]):
    """Paints as a job does, and judges in full precision. Holds only what is constant for a job.

    Args:
        styles: pictures, (3, H, W); none if each stylizer gets its own.
        settings: of the job; the weights may be the judge's alone.
        judge: the network of the distances: compact (the embedded one), vgg19, or painter, that of the job.

    Raises:
        UsageError: the judge is unknown, or the settings do not go together.
        WeightsError: a network cannot be read.
    """

    def __init__(self, styles: Sequence[Tensor], settings: S, judge: str) -> None:
        own = settings.network == VGG19 or judge != VGG19
        self.settings: S = settings if own else dataclasses.replace(settings, weights=None)
        self.judge, self.styles = judge, styles
        self.mix = settings.shares(len(styles)) if styles else (1.0,)
        self.init = None
        if settings.init not in ("content", "noise"):
            self.init = to_tensor(pictures.load_picture(settings.init))
        self.regions = styles_of(settings.regions, settings) if isinstance(settings, MaskSettings) else []
        self.keys = key_pictures(settings.keys, settings.size) if isinstance(settings, KeySettings) else []
        self.network = load_network(self.settings)
        self.device = pick_device(settings.device)
        makers: dict[str, Callable[[], networks.FeatureNetwork]] = {
            COMPACT: networks.compact,
            VGG19: lambda: networks.vgg19(settings.weights),
            PAINTER: lambda: load_network(self.settings),  # another one of the same kind, for its precision
        }
        self.critic = makers[judge]()
        optimize.prepare(self.critic, self.device, "float32")

    def stylizer(self, styles: Sequence[Tensor] = (), **changes: Any) -> Stylizer:
        """A new one, as a job would make it, with other styles or some settings changed."""
        settings = dataclasses.replace(self.settings, **changes)
        own: dict[str, Any] = {"init": self.init, "regions": self.regions, "keys": self.keys}
        return Stylizer(self.network, styles or self.styles, settings, **own)

    @functools.cached_property
    def independent(self) -> Stylizer:
        """One for frames that are painted independently."""
        return self.stylizer()

    def paint(self, frame: Frame) -> Tensor:
        """Paint a frame from scratch, (3, H, W), rounded to 8 bits as in a clip."""
        result, _ = self.independent.step(dataclasses.replace(frame, motion=None, lead=None), None)
        return to_tensor(result.image[:, :, :3]).to(self.device)


def check_judge(judge: str, known: Iterable[str] = JUDGES) -> None:
    """Raise `UsageError` if there is no such judge."""
    if judge not in known:
        raise UsageError(f"--judge is {judge!r}; it must be one of {', '.join(known)}")


def load_styles(styles: Iterable[str | Path]) -> list[Tensor]:
    """Pictures as tensors, (3, H, W). Raises `MediaError`."""
    return [to_tensor(pictures.load_picture(style)) for style in styles]


def silent(text: str, done: int, total: int) -> None:
    """Tell nobody."""
