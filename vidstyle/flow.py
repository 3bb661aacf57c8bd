"""Optical flow between two pictures, what of it can be trusted, and pictures carried along it.

Flow is backward flow everywhere: for each pixel of the current picture where it was in the previous one, minus here.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.types import Flow, Motion

SMALLEST_SIDE = 32  # below it OpenCV's DIS refuses, or reads outside its memory when the other side is long
# The prefilter of a cubic B-spline is a decaying power of this pole; 16 terms leave 1e-9 of it.
SPLINE_POLE = 3**0.5 - 2
SPLINE_REACH = 16

Estimator = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def estimate(previous: np.ndarray, current: np.ndarray, method: Flow) -> Motion:
    """How `previous` became `current`, both (H, W, 3) uint8 RGB. Two runs give the same bits, with any number of threads."""
    if previous.shape != current.shape:
        raise ValueError(f"pictures of different shapes: got {previous.shape = }, {current.shape = }")
    flow, visible = ESTIMATORS[method](previous, current)
    return Motion(flow=torch.from_numpy(flow), visible=torch.from_numpy(visible))


def _dis(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense inverse search (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590), both ways."""
    height, width = current.shape[:2]
    below, right = max(SMALLEST_SIDE - height, 0), max(SMALLEST_SIDE - width, 0)
    then, now = (
        cv2.copyMakeBorder(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 0, below, 0, right, cv2.BORDER_REPLICATE)
        for picture in (previous, current)
    )
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Down to full resolution, where the preset stops at half: on Middlebury a mean error of .26 instead of .40 pixels,
    # for three to four times the time (.2 s each way at 640x480 on one core), still well below that of painting.
    search.setFinestScale(0)
    backward, forward = (
        np.ascontiguousarray(flow[:height, :width].transpose(2, 0, 1))
        for flow in (search.calc(now, then, None), search.calc(then, now, None))
    )
    return backward, visibility(backward, forward)


def _none(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nothing moves and everything stays in view."""
    height, width = current.shape[:2]
    return np.zeros((2, height, width), np.float32), np.ones((1, height, width), np.float32)


ESTIMATORS: dict[Flow, Estimator] = {"dis": _dis, "none": _none}


def visibility(backward: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """How far the backward flow can be trusted, from 0 (hidden in the previous picture) to 1.

    Ruder, Dosovitskiy, Brox 2016, https://arxiv.org/abs/1604.08610, equations 5 and 6 and the smoothing of their
    released code: forward and backward flow must cancel out, and motion boundaries are unreliable.

    Args:
        backward: (2, H, W) float32, from the current picture to the previous one.
        forward: (2, H, W) float32, from the previous picture to the current one.

    Returns:
        (1, H, W) float32.
    """
    _, height, width = backward.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + backward[0], rows + backward[1]
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    back = cv2.remap(forward.transpose(1, 2, 0), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).transpose(
        2, 0, 1
    )
    squares = np.square(backward).sum(0)
    hidden = np.square(backward + back).sum(0) >= 0.01 * (squares + np.square(back).sum(0)) + 0.5
    boundary = sum(np.square(np.gradient(component)).sum(0) for component in backward) > 0.01 * squares + 0.002
    mask = np.where(hidden | outside, -255.0, np.where(boundary, 0.0, 255.0)).astype(np.float32)
    # Starting from -255 the blur reaches only outward: nothing that is hidden becomes visible through its neighbours.
    mask = cv2.GaussianBlur(mask, (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE)
    mask[hidden | outside] = 0
    return np.clip(mask / 255, 0, 1, dtype=np.float32)[None]


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Carry `image` along backward `flow`: the result at p is the image at p + flow(p), beyond the border its nearest pixel.

    Interpolates with cubic B-splines (Unser 1999, "Splines: a perfect fit"), because every frame of a shot is warped
    anew and what interpolation blurs is lost for good. Overshoots at sharp edges like any sharp interpolation does;
    not clamped. Deterministic, on any device.

    Args:
        image: (C, H, W) float32.
        flow: (2, H, W) float32, x then y, in pixels; on the same device.
    """
    _, height, width = image.shape
    coefficients = _spline_coefficients(_spline_coefficients(image).mT).mT.flatten(1)
    columns = torch.arange(width, device=image.device, dtype=torch.float32)
    rows = torch.arange(height, device=image.device, dtype=torch.float32)[:, None]
    left, across = _spline_taps((columns + flow[0]).clamp(0, width - 1))
    top, down = _spline_taps((rows + flow[1]).clamp(0, height - 1))
    result = torch.zeros_like(image)
    for i, weight_y in enumerate(down):
        row = _mirror(top + i, height) * width
        for j, weight_x in enumerate(across):
            index = (row + _mirror(left + j, width)).flatten()
            result += weight_y * weight_x * coefficients[:, index].view_as(image)
    return result


def _spline_coefficients(x: Tensor) -> Tensor:
    """Coefficients whose cubic B-spline passes through `x` along its last dimension, mirrored at the ends."""
    size = x.shape[-1]
    reach = torch.arange(-SPLINE_REACH, size + SPLINE_REACH, device=x.device)
    padded = x[..., _mirror(reach, size)]
    gain = -6 * SPLINE_POLE / (1 - SPLINE_POLE**2)
    result = torch.zeros_like(x)
    for k in range(-SPLINE_REACH, SPLINE_REACH + 1):
        result += gain * SPLINE_POLE ** abs(k) * padded[..., SPLINE_REACH + k : SPLINE_REACH + k + size]
    return result


def _spline_taps(position: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The first of four neighbouring coefficients that make the spline at `position`, and the weight of each."""
    whole = position.floor()
    t = position - whole
    s = 1 - t
    weights = (s**3, 4 - 3 * t**2 * (1 + s), 4 - 3 * s**2 * (1 + t), t**3)
    return whole.long() - 1, tuple(weight / 6 for weight in weights)


def _mirror(index: Tensor, size: int) -> Tensor:
    """Indices beyond 0 … size - 1 folded back, the first and last element not repeated."""
    if size == 1:
        return torch.zeros_like(index)
    return size - 1 - (index % (2 * size - 2) - (size - 1)).abs()
