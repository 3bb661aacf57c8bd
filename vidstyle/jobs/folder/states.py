"""The state after a frame as a safetensors file: tensors as they are, all else as JSON, exact to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidstyle.core import colormatch
from vidstyle.jobs.folder.records import parsed
from vidstyle.types import State


def on_cpu(state: State) -> State:
    """The same with what `encoded` reads in the memory of the CPU."""
    maps = None if state.color_maps is None else state.color_maps.cpu()
    return dataclasses.replace(state, pastiche=state.pastiche.cpu(), color_maps=maps)


def encoded(state: State) -> bytes:
    """A state but for the pastiches of earlier frames, which are in the states after those."""
    values = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    earlier = {"history": len(state.history), "first": state.first is not None}
    tensors = {name: _own(value) for name, value in values.items() if isinstance(value, Tensor) and name not in earlier}
    rest = {name: value for name, value in values.items() if name not in tensors} | earlier
    return safetensors.torch.save(tensors, metadata={"state": json.dumps(rest)})


def read_state(path: Path) -> tuple[State, int, bool]:
    """The state without earlier pastiches, of how many frames its history consists, and whether it knows the first.

    Raises:
        ValueError: the file holds no state.
        OSError: it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            rest = parsed((file.metadata() or {}).get("state", "").encode())
        history, first = rest.pop("history"), rest.pop("first")
        state = State(**rest, **tensors)
    except (SafetensorError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds no state ({error})") from error
    numbers = (
        type(history) is int
        and type(first) is bool
        and type(state.index) is int
        and type(state.inverse_curvature) in (int, float)
    )
    maps = state.color_maps is None or (isinstance(state.color_maps, Tensor) and _maps(state.color_maps))
    maps = maps and all(type(number) in (int, float) for number in state.color_maps_of)
    colors = state.colors is None or (isinstance(state.colors, Tensor) and _moments_of_colors(state.colors))
    if not (numbers and colors and maps) or history < 0 or state.first is not None or _no_picture(state.pastiche):
        raise ValueError(f"{path} holds no state of a picture")
    return state, history, first


def _own(tensor: Tensor) -> Tensor:
    """In memory of its own, without what lies around it."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _moments_of_colors(found: Tensor) -> bool:
    return found.dtype == torch.float32 and found.shape[-2:] == (3, 4) and found.dim() in (2, 3)


def _maps(found: Tensor) -> bool:
    return found.dtype == torch.float32 and found.dim() == 5 and found.shape[1:] == colormatch.SHAPE


def _no_picture(found: object) -> bool:
    return not isinstance(found, Tensor) or found.dtype != torch.float32 or found.dim() != 3 or len(found) != 3
