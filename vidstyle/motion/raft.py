"""RAFT, networks that estimate optical flow (Teed, Deng 2020, https://arxiv.org/abs/2003.12039), from torchvision."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidstyle.errors import MemoryLimitError
from vidstyle.system import libraries, weightfile
from vidstyle.system.devices import engine

STRIDE = 8  # pixels that the networks take together
SMALLEST_SIDE = 128  # pixels: below it the coarsest of their four scales is a point


class Kind(NamedTuple):
    """A network of torchvision's, and where its weights are."""

    flag: str  #: value of --flow
    maker: str  #: function of torchvision.models.optical_flow
    url: str  #: of the weights that torchvision takes by default


URL = "https://download.pytorch.org/models/"
LARGE = Kind("raft", "raft_large", URL + "raft_large_C_T_SKHT_V2-ff5fadd5.pth")  # 21 MB
SMALL = Kind("raft-small", "raft_small", URL + "raft_small_C_T_V2-01064c6d.pth")  # 4 MB


class Raft:
    """Estimates optical flow with a RAFT network. Many threads may call it; calls run one at a time.

    Args:
        kind: LARGE or SMALL.
        weights: a torchvision checkpoint or a safetensors file with the same keys; None downloads torchvision's weights
            once, with a progress bar and a checked hash.
        device: to run on, in float32.

    Raises:
        WeightsError: the file is missing, unreadable or of another network, or the download failed.
        UsageError: torchvision is not installed.
    """

    def __init__(self, kind: Kind, weights: str | Path | None, device: torch.device) -> None:
        libraries.require(f"--flow {kind.flag}", "torchvision")
        from torchvision.models import optical_flow  # not at the top: painting does without it

        if weights is None:
            instead = "give a file with --flow-weights, or do without with --flow dis"
            tensors = weightfile.download(kind.url, "RAFT", instead)
        else:
            tensors = weightfile.read(Path(weights))
        with torch.device("meta"):  # neither memory nor random numbers are taken
            network: nn.Module = getattr(optical_flow, kind.maker)(weights=None, progress=False)
        state = _state(network, tensors, kind, str(weights))
        network.load_state_dict(state, assign=True)
        self.kind, self.device = kind, device
        self.network = network.requires_grad_(False).eval().to(device)
        self.fingerprint = weightfile.fingerprint(state, kind.maker)  #: a hash of the network
        self._alone = threading.Lock()  # the network keeps what it computes in itself

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, *, fine: str = "both"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Backward and forward flow, (2, H, W) float32 in pixels, between two pictures, (H, W, 3) uint8 RGB.

        Both are always as exact as can be: fewer iterations would save little.
        """
        height, width = current.shape[:2]
        try:
            with engine(self.device, tf32=False), self._alone, torch.inference_mode():
                then, now = (self._padded(picture) for picture in (previous, current))
                # One after the other: both at once take twice the memory, and on a CPU as long.
                backward, forward = (self._flow(*pair, height, width) for pair in ((now, then), (then, now)))
        except MemoryLimitError as error:
            raise MemoryLimitError(
                f"--flow {self.kind.flag} does not fit the memory of {self.device} with {width}x{height} pixels; "
                "give a smaller --size, or --flow dis"
            ) from error
        return backward, forward

    def _padded(self, picture: np.ndarray) -> Tensor:  # (H, W, 3) -> (1, 3, H', W') in [-1, 1]
        image = torch.from_numpy(picture).to(self.device).permute(2, 0, 1)[None] / 127.5 - 1
        below, right = (max(math.ceil(side / STRIDE) * STRIDE, SMALLEST_SIDE) - side for side in image.shape[2:])
        return functional.pad(image, (0, right, 0, below), mode="replicate")

    def _flow(self, source: Tensor, target: Tensor, height: int, width: int) -> np.ndarray:
        found: Tensor = self.network(source, target)[-1]
        # All pairs of places, gigabytes for a large picture, would stay there until the next call.
        self.network.corr_block.corr_pyramid = []  # type: ignore[union-attr, assignment]
        return found[0, :, :height, :width].cpu().numpy().copy()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_alone"}  # locks do not travel

    def __setstate__(self, values: dict[str, object]) -> None:
        vars(self).update(values, _alone=threading.Lock())


def _state(network: nn.Module, tensors: dict[str, Tensor], kind: Kind, file: str) -> dict[str, Tensor]:
    """Of the `tensors` in a file what the network needs, in float32. Raises `WeightsError` if they are another's."""
    own = network.state_dict()
    # Only training asks how many batches there were, and not every file says.
    counts = {key: torch.zeros(t.shape, dtype=t.dtype) for key, t in own.items() if key.endswith("num_batches_tracked")}
    wanted = {key: tuple(tensor.shape) for key, tensor in own.items() if key not in counts}
    advice = f"give a torchvision {kind.maker} checkpoint, or another --flow"
    found = weightfile.matched(tensors, wanted, f"{file} holds no {kind.maker}", advice)
    return {key: counts[key] if key in counts else found[key] for key in own}
