"""Files of network weights: read, downloaded once, checked, and identified by a fingerprint of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from vidstyle.errors import WeightsError
from vidstyle.system.notes import tell
from vidstyle.system.outofmemory import require_free

NETWORK = 75 * 10**6  # bytes beside those of a file: VGG-19, which takes the weights over


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a torch checkpoint, on the CPU. Raises `WeightsError`."""
    if not os.path.isfile(path):  # unlike Path's, False for a name that is too long
        raise WeightsError(f"there is no weights file {path}")
    require_free(1.2 * path.stat().st_size + NETWORK, f"reading {path.name}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen kinds for a file that is none of its own
        reason = re.split(r"[.\n]", str(error))[0]
        raise WeightsError(f"{path} cannot be read as network weights ({reason})") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise WeightsError(f"{path} holds no table of network weights; give a torchvision checkpoint")
    return tensors


def matched(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], wrong: str, advice: str, *, only: bool = False
) -> dict[str, Tensor]:
    """Of the tensors in a file those that a network needs, in float32.

    Args:
        wanted: shape of each.
        wrong, advice: beginning and end of the text of an error.
        only: refuse a file that holds other tensors, too.

    Raises:
        WeightsError: one is missing, or has another shape, or holds what is no finite number.
    """
    found = {}
    for name, shape in wanted.items():
        if name not in tensors:
            raise WeightsError(f"{wrong}: it has no {name!r}; {advice}")
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise WeightsError(f"{wrong}: {name} has shape {tuple(tensor.shape)}, not {shape}; {advice}")
        if not tensor.is_floating_point():
            raise WeightsError(f"{wrong}: {name} holds numbers of type {tensor.dtype}, not floating-point; {advice}")
        found[name] = tensor.float()
        if not bool(found[name].isfinite().all()):
            raise WeightsError(f"{wrong}: {name} holds numbers that are not finite; {advice}")
    if only and (others := sorted(set(tensors) - set(wanted))):
        raise WeightsError(f"{wrong}: it has {others[0][:60]!r}, too, which such a network lacks; {advice}")
    return found


def download(url: str, name: str, instead: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint that is downloaded once, with a note before that and a hash that its own name tells.

    Args:
        name: of the network, for the text of an error.
        instead: what else to do.

    Raises:
        WeightsError: the download failed, or what came is something else.
    """
    path = downloaded(url)
    try:
        if not path.exists():
            tell(f"the {name} weights are downloaded, once, from {url}")
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), promised(url), progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"the {name} weights could not be downloaded ({error}); {instead}") from error
    return read(path)


def downloaded(url: str) -> Path:
    """Where `download` puts the file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name


def promised(url: str) -> str:
    """The first digits of the file's sha256, which torchvision writes into its name."""
    return Path(url).stem.rpartition("-")[2]


def fingerprint(tensors: Mapping[str, Tensor], kind: str = "") -> str:
    """A hash of a network: what it is, the names of its tensors and their values. The same on every device."""
    digest = hashlib.sha256(kind.encode())
    for name, tensor in tensors.items():
        digest.update(name.encode() + tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
