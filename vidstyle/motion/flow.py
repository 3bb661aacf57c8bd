"""Optical flow between two pictures, with a forward-backward consistency check for occlusions.

Flow is backward flow everywhere: for each pixel of the current picture where it was in the previous one, minus here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch

from vidstyle.motion.raft import LARGE, SMALL, Raft
from vidstyle.settings import Flow
from vidstyle.system.opencv import cv2
from vidstyle.types import Motion

SMALLEST_SIDE = 32  # below it OpenCV's DIS refuses, or reads outside its memory when the other side is long

STEADY = 0.05  # of the contrast: change of brightness and contrast together that is taken for none
CELLS = 16  # along each side, of which light changes a quarter at least
LIT = 4  # neighbourhoods, along the long side, within which light is evened out
CONTRAST = 32.0  # grey levels, standard deviation, of what is evened out
STILLNESS = 12.0  # pixels, sigma of the neighbourhood that decides together whether it moves
COARSER = 4  # times smaller a side are the pictures in which so wide a neighbourhood is averaged
GRAIN = 1.5  # pixels, sigma of the blur that takes out noise before that
UNMOVED, MOVED = 1.25, 1.7  # times what remains unexplained with the flow: what remains without it
DESCENT, SMOOTHNESS = 16, 60.0  # of DIS, its iterations around a patch and the weight of smooth flow
REFINED, ROUGH = (5, 5), (6, 0)  # pixels between patches, and iterations that refine the flow
DOUBT = 0.02  # voice in that of a pixel whose flow cannot be trusted; where none can, they decide
PLAIN = 0.002  # of the mean detail: less is too little to tell by itself whether it moves
UNLIKE = 25.0  # grey levels, root mean square around a pixel: more is another picture

#: Which flows of a pair are as exact as can be. The others are found in a third of the time: such a backward flow is up
#: to a fifth of a pixel less exact, and with such a forward flow a little more of what is visible counts as hidden.
Fine = Literal["both", "backward", "neither"]


class Search(Protocol):
    """Estimates forward and backward flow between two pictures."""

    fingerprint: str  #: a hash of what it has learnt; empty if that is nothing

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, *, fine: Fine = "both"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Backward and forward flow, (2, H, W) float32 each, between two pictures, (H, W, 3) uint8 RGB."""
        ...


class Estimator:
    """Estimates how one picture became another; holds only what is constant. Any number of threads may call it."""

    def __init__(self, search: Search) -> None:
        self.search, self.fingerprint = search, search.fingerprint

    def __call__(self, previous: np.ndarray, current: np.ndarray, *, fine: Fine = "both") -> Motion:
        """How `previous` became `current`, both (H, W, 3) uint8 RGB of at least 2 pixels a side.

        The same bits at every run.

        Args:
            fine: "both" for what is measured or carried over many frames; a painting needs only the "backward" flow of
                neighbours so, and "neither" of frames further apart.
        """
        if previous.shape != current.shape:
            raise ValueError(f"pictures of different shapes: got {previous.shape = }, {current.shape = }")
        backward, forward = self.search(previous, current, fine=fine)
        then, now = _greys(previous, current)
        seen = visibility(backward, forward, unlike(backward, then, now))
        seen_before = visibility(forward, backward, unlike(forward, now, then))
        backward, forward = settled(backward, then, now, seen), settled(forward, now, then, seen_before)
        visible = visibility(backward, forward, unlike(backward, then, now))
        return Motion(flow=torch.from_numpy(backward), visible=torch.from_numpy(visible))


def estimator(name: Flow, weights: str | Path | None = None, device: torch.device | None = None) -> Estimator:
    """The estimator of that name.

    Args:
        weights: a file for one that has learnt; None downloads them once.
        device: to run that one on; the CPU if None.

    Raises:
        WeightsError: the weights are missing or another network's.
        UsageError: a library is missing.
    """
    return Estimator(ESTIMATORS[name](weights, device or torch.device("cpu")))


def no_motion(height: int, width: int) -> Motion:
    """Zero flow, everything visible."""
    return Motion(flow=torch.zeros(2, height, width), visible=torch.ones(1, height, width))


class Dis:
    """Dense inverse search (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590).

    The same bits with any number of threads.
    """

    fingerprint = ""

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, *, fine: Fine = "both"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Backward and forward flow, (2, H, W) float32 each, between two pictures, (H, W, 3) uint8 RGB."""
        height, width = current.shape[:2]
        below, right = max(SMALLEST_SIDE - height, 0), max(SMALLEST_SIDE - width, 0)
        then, now = (
            cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
            for picture in _greys(previous, current)
        )
        back = self._search(*(ROUGH if fine == "neither" else REFINED))
        forth = self._search(*(REFINED if fine == "both" else ROUGH))
        backward, forward = (
            np.ascontiguousarray(search.calc(one, other, None)[:height, :width].transpose(2, 0, 1))  # type: ignore[call-overload]
            for search, one, other in ((back, now, then), (forth, then, now))
        )
        return backward, forward

    @staticmethod
    def _search(stride: int, refinement: int) -> cv2.DISOpticalFlow:
        """A search down to full resolution, where the preset stops at half.

        On Middlebury and on clips with known motion it is as exact as one with the medium preset and twice the
        iterations, in less than half the time.
        """
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        search.setFinestScale(0)
        search.setPatchStride(stride)
        search.setGradientDescentIterations(DESCENT)
        # Smoother than the preset: a quarter less error where a camera moves, and a twentieth on Middlebury, whose
        # things move against each other.
        search.setVariationalRefinementAlpha(SMOOTHNESS)
        search.setVariationalRefinementIterations(refinement)
        return search


ESTIMATORS: dict[Flow, Callable[[str | Path | None, torch.device], Search]] = {
    "dis": lambda weights, device: Dis(),
    "raft": partial(Raft, LARGE),
    "raft-small": partial(Raft, SMALL),
}


def _greys(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures, (H, W, 3) uint8, as (H, W) uint8 in the same light."""
    then, now = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (previous, current))
    return evened(then, now)


def evened(then: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures, (H, W) uint8, with a difference in lighting removed; unchanged where there is none.

    A fade, a flash or a change of exposure is no motion, but makes DIS see some, or none where there is. Of such
    pictures only what each pixel is beside its surroundings is kept, which light does not change. Always to do that
    would cost accuracy: in a sky it amplifies noise.
    """
    (mean, deviation), (other_mean, other_deviation) = ((picture.mean(), picture.std()) for picture in (then, now))
    little = STEADY * min(deviation, other_deviation)
    if abs(mean - other_mean) + abs(deviation - other_deviation) <= little:
        return then, now
    coarse = (cv2.resize(picture, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for picture in (then, now))
    if np.quantile(cv2.absdiff(*coarse), 0.75) <= little:  # not the light: something came or went
        return then, now
    around = (max(then.shape) // LIT + 1,) * 2
    details = [picture - cv2.blur(picture.astype(np.float32), around) for picture in (then, now)]
    powers = [cv2.blur(np.square(detail), around) for detail in details]
    one, other = (
        np.clip(128 + CONTRAST * detail / np.sqrt(power + power.mean() / 4 + 0.25), 0, 255).astype(np.uint8)
        for detail, power in zip(details, powers, strict=True)
    )
    return one, other


def settled(
    flow: np.ndarray, source: np.ndarray, target: np.ndarray, visible: np.ndarray, stillness: float = STILLNESS
) -> np.ndarray:
    """The flow with noise suppressed: zero where zero flow explains the pictures nearly as well.

    Noise alone makes DIS see .1 to .3 pixels of motion, another one in each frame, and a painting that follows it
    boils and blurs. Around each pixel the squared difference of the two pictures is compared with what the flow leaves
    of it, both of blurred pictures, since interpolation alone removes noise.

    Args:
        flow: (2, H, W) float32, from `target` to `source`.
        source, target: (H, W) uint8.
        visible: (1, H, W) float32, how far it can be trusted. What was hidden says nothing of the motion around it.
        stillness: pixels, sigma of the neighbourhood that decides together.
    """
    height, width = target.shape
    columns, rows = _positions(height, width)
    there, here = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), GRAIN) for picture in (source, target))
    followed = cv2.remap(there, columns + flow[0], rows + flow[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    weight = np.maximum(visible[0], DOUBT)
    # A plain place, like a clear sky, says nothing itself, whatever noise seems to do there: it goes along with what
    # lies around.
    slope = np.square(cv2.Sobel(here, cv2.CV_32F, 1, 0)) + np.square(cv2.Sobel(here, cv2.CV_32F, 0, 1))
    small = -(-width // COARSER), -(-height // COARSER)
    unmoved, moved, detail = (
        cv2.GaussianBlur(
            cv2.resize(weight * what, small, interpolation=cv2.INTER_AREA),
            (0, 0),
            stillness / COARSER,
            borderType=cv2.BORDER_REPLICATE,
        )
        for what in (np.square(here - there), np.square(here - followed), slope)
    )
    share = ((unmoved / (moved + np.float32(1e-3)) - UNMOVED) / (MOVED - UNMOVED)).clip(0, 1)
    plain = PLAIN * detail.mean() + np.float32(1e-3)
    wide = (max(small),) * 2
    total = cv2.blur(detail, wide) + np.float32(1e-3)
    parts = (cv2.resize(part, small, interpolation=cv2.INTER_AREA) for part in flow)
    around = [cv2.blur(detail * share * part, wide) / total for part in parts]
    # The result is the mean of the flow and of that around it, by what the place says and does not say.
    own, *others = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        for part in (detail * share / (detail + plain), *(plain * part / (detail + plain) for part in around))
    )
    result: np.ndarray = np.stack([own * part + other for part, other in zip(flow, others, strict=True)])
    return result


@functools.lru_cache(maxsize=4)
def _positions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The column and the row of each pixel, (H, W) float32; to be read only."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return columns, rows


def unlike(flow: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where the warped picture differs too much, (H, W) bool: what appears or disappears is no motion.

    Flows that find nothing are smooth, often zero, and agree with each other. For the arguments see `settled`.
    """
    columns, rows = _positions(*target.shape)
    there = cv2.remap(source, columns + flow[0], rows + flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = target.astype(np.float32) - there
    around = cv2.GaussianBlur(np.square(difference), (0, 0), GRAIN, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(around > UNLIKE**2)


def visibility(backward: np.ndarray, forward: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """The confidence of the backward flow, from 0 (occluded in the previous picture) to 1.

    Ruder, Dosovitskiy, Brox 2016, https://arxiv.org/abs/1604.08610, equations 5 and 6 and the smoothing of their
    released code: forward and backward flow must cancel out, and motion boundaries are unreliable.

    Args:
        backward: (2, H, W) float32, from the current picture to the previous one.
        forward: (2, H, W) float32, from the previous picture to the current one.
        hidden: (H, W) bool, what is known to be hidden anyway.

    Returns:
        (1, H, W) float32.
    """
    _, height, width = backward.shape
    columns, rows = _positions(height, width)
    x, y = columns + backward[0], rows + backward[1]
    astray = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    if hidden is not None:
        astray |= hidden
    back = [cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in forward]
    squares = np.square(backward[0]) + np.square(backward[1])
    squares_back = np.square(back[0]) + np.square(back[1])
    left = np.square(backward[0] + back[0]) + np.square(backward[1] + back[1])
    astray |= left >= 0.01 * (squares + squares_back) + 0.5
    steps = [one for component in backward for one in np.gradient(component)]
    boundary = sum((np.square(one) for one in steps[1:]), np.square(steps[0])) > 0.01 * squares + 0.002
    mask = np.where(astray, np.float32(-255), np.where(boundary, np.float32(0), np.float32(255)))
    # Starting from -255 the blur reaches only outward: nothing that is hidden becomes visible through its neighbours.
    blurred = cv2.GaussianBlur(mask, (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE)
    visible = np.clip(blurred, 0, 255) / np.float32(255)
    visible[astray] = 0
    return visible[None]
