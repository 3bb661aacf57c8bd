"""The state after a frame as a safetensors file: tensors as they are, all else as JSON, exact to the bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidstyle.jobs.folder.records import parsed
from vidstyle.types import State


def on_cpu(state: State) -> State:
    """The same with what `encoded` reads in the memory of the CPU."""
    first = None if state.first is None else state.first.cpu()
    return dataclasses.replace(state, pastiche=state.pastiche.cpu(), first=first)


def encoded(state: State) -> bytes:
    """A state but for its history, of which only the length is kept."""
    values = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    tensors = {name: _own(value) for name, value in values.items() if isinstance(value, Tensor)}
    rest = {name: value for name, value in values.items() if name not in tensors} | {"history": len(state.history)}
    return safetensors.torch.save(tensors, metadata={"state": json.dumps(rest)})


def read_state(path: Path) -> tuple[State, int]:
    """The state without its history, and of how many frames that consists.

    Raises:
        ValueError: the file holds no state.
        OSError: it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            rest = parsed((file.metadata() or {}).get("state", "").encode())
        history = rest.pop("history")
        state = State(**rest, **tensors)
    except (SafetensorError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds no state ({error})") from error
    pictures = (state.pastiche, *(() if state.first is None else (state.first,)))
    numbers = type(history) is int and type(state.index) is int and type(state.inverse_curvature) in (int, float)
    colors = state.colors is None or (isinstance(state.colors, Tensor) and _moments_of_colors(state.colors))
    if not numbers or history < 0 or not colors or any(_no_picture(one, state.pastiche) for one in pictures):
        raise ValueError(f"{path} holds no state of a picture")
    return state, history


def _own(tensor: Tensor) -> Tensor:
    """In memory of its own: in the first frame of a loop two are one, and safetensors refuses that."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _moments_of_colors(found: Tensor) -> bool:
    return found.dtype == torch.float32 and found.shape == (3, 4)


def _no_picture(found: object, like: Tensor) -> bool:
    return (
        not isinstance(found, Tensor)
        or found.dtype != torch.float32
        or found.dim() != 3
        or len(found) != 3
        or found.shape != like.shape
    )
