"""The feature networks: VGG-19 and the compact network distilled from it, one class for both.

Layers carry the names of the paper: `conv3_1` is the first convolution of the third block before its ReLU,
`relu3_1` after it. VGG: Simonyan & Zisserman, https://arxiv.org/abs/1409.1556.
"""

from __future__ import annotations

import difflib
import functools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from vidstyle.core.architecture import Architecture, Blocks, Pool
from vidstyle.core.layers import halved, normalized, replicate_border
from vidstyle.errors import UsageError, WeightsError
from vidstyle.system import weightfile

Padding = Literal["replicate", "zeros"]
Join = Callable[[Sequence[Tensor], Sequence[int]], Tensor]

VGG19_BLOCKS: Blocks = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FILE_FORMAT = "vidstyle-network-1"
COMPACT_FILE = "compact.safetensors"
NAMES = ("compact", "vgg19")  # that --network knows
LEAST_SHARE = 0.01  # of content or style, below which the content weight changes no more
BANDS = 8  # that a picture is cut into where memory is short
BLOCKS_IN_BANDS = 3  # the lowest ones, where most of the memory goes


class Tap(NamedTuple):
    """A function of the features at a layer, computed on the way up."""

    layer: str
    function: Callable[..., Tensor]  #: of features (N, C, H, W) and, if there are any, the weights of their positions
    join: Join | None = None  #: makes the value of a whole picture from those of its bands and their heights
    weights: Tensor | None = None  #: of all positions of the layer, (H, W), or several of each, (H, W, A)

    def value(self, features: Tensor, rows: slice) -> Tensor:
        """The function of these features, which are those of some rows of the layer."""
        if self.weights is None:
            return self.function(features)
        return self.function(features, self.weights[rows].reshape(features.shape[2] * features.shape[3], -1))


class FeatureNetwork(nn.Module):
    """A VGG-shaped stack: blocks of 3x3 convolutions and ReLUs, halved in size from block to block.

    Args:
        blocks: output channels of each convolution, block by block.
        pool: how a block is halved; VGG takes the maximum.
        skip: whether a block also sees what the first convolution of the block below made, beside its last.
        padding: what the first convolution sees beyond the border. "replicate" avoids the frame that zeros paint
            around the picture; the deeper ones always pad with zeros, as trained.
        normalize: subtract the ImageNet mean and divide by its deviation first, as VGG was trained.
        readouts: for each layer a matrix R of shape (K, channels) that maps this network's features to those it was
            distilled from. R never touches pixels: the Gram matrix of R f is R G(f) R^T.
        content_weight, content_slope: what makes alpha mean with this network what it means with the one that it was
            distilled from, see `content_weight_at`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        blocks: Blocks,
        *,
        pool: Pool = "max",
        skip: bool = False,
        padding: Padding = "replicate",
        normalize: bool = True,
        readouts: Mapping[str, Tensor] | None = None,
        content_weight: float = 1.0,
        content_slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks, self.pool, self.skip = tuple(map(tuple, blocks)), pool, skip
        self.padding, self.normalize = padding, normalize
        self.readouts: dict[str, Tensor] = dict(readouts or {})
        self.content_weight, self.content_slope = content_weight, content_slope
        self.convolutions = nn.ModuleDict()
        for name, (taken, made) in Architecture(self.blocks, pool, skip).channels().items():
            self.convolutions[name] = nn.Conv2d(taken, made, 3, padding=1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(
        self, image: Tensor, layers: Iterable[str], hand_on: Callable[[str, Tensor], Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Features of `image` at `layers`; nothing above the last of them is computed.

        Args:
            image: (N, 3, H, W) sRGB in [0, 1].
            layers: names like relu4_2 or conv2_2.
            hand_on: called with the name and the features of each ReLU layer; what it returns, the next layer sees.

        Returns:
            For each layer, the lowest first, its features, (N, channels, H / 2^(block-1), W / 2^(block-1)), in the
            network's precision.
        """
        layers = sorted(set(layers), key=lambda layer: (layer[4:], layer))
        taps = [Tap(layer, _identity) for layer in layers]
        return dict(zip(layers, self.tapped(image, taps, hand_on=hand_on), strict=True))

    def tapped(
        self,
        image: Tensor,
        taps: Sequence[Tap],
        *,
        hand_on: Callable[[str, Tensor], Tensor] | None = None,
        low_memory: bool = False,
    ) -> list[Tensor]:
        """The value of each tap.

        Args:
            image, hand_on: as `forward` takes them.
            low_memory: keep no activations of the lower blocks, where most of the memory goes, for the gradient, and
                compute them once more, in bands: the same within rounding, in a third more time. Every tap needs its
                `join`.
        """
        self.require(tap.layer for tap in taps)
        last = max(tap.layer[4:] for tap in taps)
        found: dict[int, Tensor] = {}
        x = normalized(image, self.mean, self.std) if self.normalize else image
        for block in range(1, int(last[0]) + 1):
            run = functools.partial(self._block, block, last, taps, hand_on)
            if low_memory and block <= BLOCKS_IN_BANDS:
                x, seen = _in_bands(run, x, taps, reach=len(self.blocks[block - 1]))
            else:
                x, seen = run(x)
            found |= seen
        return [found[number] for number in range(len(taps))]

    def _block(
        self,
        block: int,
        last: str,
        taps: Sequence[Tap],
        hand_on: Callable[[str, Tensor], Tensor] | None,
        x: Tensor,
        rows: slice = slice(None),
        place: slice = slice(None),
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """A block on its input: the input of the next one, and the values of the taps, by number, in `rows`.

        Args:
            place: these rows, counted in the whole picture, of which `x` may be a band.
        """
        found: dict[int, Tensor] = {}

        def tapped_at(layer: str, features: Tensor) -> bool:
            here = [(number, tap) for number, tap in enumerate(taps) if tap.layer == layer]
            found.update((number, tap.value(features[:, :, rows], place)) for number, tap in here)
            return bool(here)

        first: Tensor | None = None
        for number in range(1, len(self.blocks[block - 1]) + 1):
            position = f"{block}_{number}"
            convolution = self.convolutions[f"conv{position}"]
            assert isinstance(convolution, nn.Conv2d)
            x = x.to(convolution.weight.dtype)
            if position == "1_1" and self.padding == "replicate":
                x = functional.conv2d(replicate_border(x), convolution.weight, convolution.bias)
            else:
                x = convolution(x)
            kept = tapped_at(f"conv{position}", x)
            x = functional.relu(x, inplace=not kept)
            tapped_at(f"relu{position}", x)
            if position == last:
                return x, found
            if hand_on is not None:
                x = hand_on(f"relu{position}", x)
            if self.skip and number == 1:
                first = x
        if first is None or first is x:
            return self._halve(x), found
        return torch.cat([self._halve(x), self._halve(first)], dim=1), found

    def _halve(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H / 2, W / 2)
        return functional.max_pool2d(x, 2) if self.pool == "max" else halved(x)

    def require(self, layers: Iterable[str]) -> None:
        """Raise `UsageError` for a layer that this network does not have or, if distilled, never learnt."""
        known = list(self.readouts) or [kind + name[4:] for name in self.convolutions for kind in ("conv", "relu")]
        for layer in layers:
            if layer not in known:
                raise UsageError(f"this network has no layer {layer!r}; it has {', '.join(known)}")

    def content_weight_at(self, alpha: float) -> float:
        """The factor of the normalised content loss: content_weight (alpha / (1 - alpha))^content_slope.

        What a network misjudges of the content weighs the more, the more of the content is kept.
        """
        odds = max(alpha, LEAST_SHARE) / max(1 - alpha, LEAST_SHARE)
        return self.content_weight * float(odds**self.content_slope)

    def smallest_side(self, layers: Iterable[str]) -> int:
        """Pixels that the short side of a picture needs for every layer to see at least one position."""
        return max(1 << (int(layer[4]) - 1) for layer in layers)


def size_at(layer: str, image: Tensor) -> tuple[int, int]:
    """Height and width of the features of (…, H, W) at a layer like relu4_2."""
    height, width = image.shape[-2:]
    return height >> halvings(layer), width >> halvings(layer)


def halvings(layer: str) -> int:
    """How often a picture is halved below a layer like relu4_2."""
    return int(layer[4]) - 1


def _identity(features: Tensor) -> Tensor:
    return features


def _in_bands(
    block: Callable[..., tuple[Tensor, dict[int, Tensor]]], x: Tensor, taps: Sequence[Tap], reach: int
) -> tuple[Tensor, dict[int, Tensor]]:
    """What `FeatureNetwork._block` makes of `x`, with nothing kept for the gradient.

    Args:
        reach: rows above and below that a row of the result depends on. Each band is computed with that many more,
            whose own results, wrong because they lack their neighbours, are cut off.
    """
    height, halo = x.shape[2], reach + reach % 2  # even, so that the band's rows keep their partners when halved
    rows_each = 2 * math.ceil(height / (2 * BANDS))
    halves, heights = [], []
    parts: dict[int, list[Tensor]] = {}
    for top in range(0, height, rows_each):
        bottom = min(top + rows_each, height)
        above, below = min(halo, top), min(halo, height - bottom)
        rows = slice(above, above + bottom - top)
        piece, place = x[:, :, top - above : bottom + below], slice(top, bottom)
        half, seen = checkpoint(block, piece, rows, place, use_reentrant=False, preserve_rng_state=False)
        halves.append(half[:, :, above // 2 : above // 2 + (bottom - top) // 2])
        heights.append(bottom - top)
        for number, part in seen.items():
            parts.setdefault(number, []).append(part)
    joins = {number: taps[number].join for number in parts}
    return torch.cat(halves, dim=2), {n: join(parts[n], heights) for n, join in joins.items() if join is not None}


def vgg19(
    weights: str | Path | None = None, *, padding: Padding = "replicate", normalize: bool = True
) -> FeatureNetwork:
    """VGG-19 without its classifier.

    Args:
        weights: a torchvision checkpoint or a safetensors file with the `features.*` keys; None downloads torchvision's
            weights once, with a note and a checked hash.

    Raises:
        WeightsError: the file is missing, unreadable or of another network, or the download failed.
    """
    network = FeatureNetwork(VGG19_BLOCKS, padding=padding, normalize=normalize)
    if weights is None:
        instead = "give a file with --weights, or take the embedded network with --network compact"
        tensors = weightfile.download(VGG19_URL, "VGG-19", instead)
    else:
        tensors = weightfile.read(Path(weights))
    places, index = {}, 0
    for name in network.convolutions:
        if name.endswith("_1") and name != "conv1_1":
            index += 1  # torchvision counts the pooling layer
        for part in ("weight", "bias"):
            places[f"convolutions.{name}.{part}"] = f"features.{index}.{part}"
        index += 2
    wanted = {places[name]: tuple(tensor.shape) for name, tensor in network.named_parameters()}
    found = weightfile.matched(tensors, wanted, f"{weights} holds no VGG-19", "give a torchvision vgg19 checkpoint")
    network.load_state_dict({name: found[place] for name, place in places.items()})
    return network.requires_grad_(False).eval()


def compact(path: str | Path | None = None) -> FeatureNetwork:
    """The embedded compact network, or one that `vidstyle.lab.distill` wrote to `path`.

    Raises:
        UsageError: `path` is a word that names neither a network nor a file.
        WeightsError: the file is missing, damaged or no such network.
    """
    source = Path(str(files("vidstyle") / "assets" / COMPACT_FILE)) if path is None else Path(path)
    if path is not None and not os.path.exists(source) and not source.suffix and source.name == str(path):
        near = difflib.get_close_matches(str(path).lower(), NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"--network is {str(path)!r}, neither {' nor '.join(NAMES)} nor a file that is there{hint}")
    tensors = weightfile.read(source)
    not_ours = f"{source} is no network of vidstyle.lab.distill"
    try:
        with safe_open(source, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FILE_FORMAT:
            raise ValueError(f"its format is {str(metadata.get('format'))[:40]!r}, not {FILE_FORMAT!r}")
        shape = Architecture.parsed(metadata.get("network", ""))
        readouts = {key.removeprefix("readouts."): t for key, t in tensors.items() if key.startswith("readouts.")}
        shape.check_readouts(readouts)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{not_ours}: {error}; give another file, or --network compact") from error
    wanted = shape.shapes() | {f"readouts.{layer}": tuple(matrix.shape) for layer, matrix in readouts.items()}
    found = weightfile.matched(tensors, wanted, not_ours, "give another file, or --network compact", only=True)
    readouts = {layer: found.pop(f"readouts.{layer}") for layer in readouts}
    network = FeatureNetwork(
        shape.blocks,
        pool=shape.pool,
        skip=shape.skip,
        readouts=readouts,
        content_weight=shape.content_weight,
        content_slope=shape.content_slope,
    )
    network.load_state_dict(found)
    return network.requires_grad_(False).eval()


def save_compact(network: FeatureNetwork, path: str | Path) -> None:
    """Write a network with its read-outs in half precision, as `compact` reads it."""
    tensors = {**network.state_dict(), **{f"readouts.{layer}": matrix for layer, matrix in network.readouts.items()}}
    calibration = network.content_weight, network.content_slope
    shape = Architecture(network.blocks, network.pool, network.skip, *calibration).json()
    halves = {key: tensor.detach().half().cpu().contiguous() for key, tensor in tensors.items()}
    # Not save_file, which lets nobody else read what it writes.
    Path(path).write_bytes(save(halves, metadata={"format": FILE_FORMAT, "network": shape}))


def fingerprint(network: FeatureNetwork) -> str:
    """A hash of everything that a network computes with; the same on every device."""
    shape = (network.blocks, network.pool, network.skip, network.padding, network.normalize)
    calibration = (network.content_weight, network.content_slope)
    return weightfile.fingerprint({**network.state_dict(), **network.readouts}, repr((*shape, *calibration)))


def reduce_readout(readout: Tensor) -> Tensor:  # (K, C) -> (C, C)
    """The small matrix U with U^T U = R^T R, so that |R G R^T| = |U G U^T| and |R f| = |U f| (QR decomposition)."""
    square: Tensor = torch.linalg.qr(readout, mode="r").R
    return square
