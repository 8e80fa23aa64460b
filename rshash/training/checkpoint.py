"""Checkpoints: the whole state of a training on disk, written atomically, from which a killed run goes on.

A folder holds ``last.pt``, the state after the last epoch that was saved, and ``best.hasher``, the hasher of the best
epoch on validation so far. A training that goes on with the last blocks of the image encoder keeps the state of that
part in ``tuned/last.pt``, and the best of its epochs replaces ``best.hasher``.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rshash.files import write_atomically

FORMAT_VERSION = 2
LAST = "last.pt"
BEST = "best.hasher"


@dataclass
class State:
    """What a run needs to go on; random numbers are seeded anew at each epoch and need no state.

    Attributes:
        settings: all that the result depends on; a checkpoint resumes only a run with the same.
        epoch: epochs done.
        weights: parameters and buffers of the objective.
        optimizers: state of each optimizer by name.
        validation: metric by direction after the last epoch done; empty without validation.
        best_epoch: epoch of the best validation, counted from 1; 0 when there is none yet.
        best_validation: metric by direction of that epoch.
        best_weights: weights of the image head and of the caption head of that epoch.
    """

    settings: dict[str, Any]
    epoch: int
    weights: dict[str, Tensor]
    optimizers: dict[str, Any]
    validation: dict[str, float]
    best_epoch: int
    best_validation: dict[str, float]
    best_weights: list[dict[str, Tensor]]


def save_state(state: State, path: Path) -> None:
    """Write a state; raises OSError if it cannot be written."""
    with write_atomically(path) as draft:
        torch.save({"format_version": FORMAT_VERSION, **{k: getattr(state, k) for k in _FIELDS}}, draft)


def load_state(path: Path, settings: Mapping[str, Any], device: str) -> State | None:
    """Read a state, or return None where there is none yet.

    Raises:
        ValueError: if the file is damaged, of another version, or of a run with other settings.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        version = content.pop("format_version")
        state = State(**content) if version == FORMAT_VERSION else None
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, ValueError):
        raise ValueError(f"the checkpoint {path} is damaged; remove it to train from the start") from None
    if state is None:
        raise ValueError(
            f"the checkpoint {path} has format version {version!r}, this rshash reads {FORMAT_VERSION}; "
            "remove it to train from the start"
        )
    different = [name for name in {**state.settings, **settings} if state.settings.get(name) != settings.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"the checkpoint {path} was made with {name} = {state.settings.get(name)!r}, this run has "
            f"{settings.get(name)!r}; resume with the same settings, or train without resume"
        )
    return state


_FIELDS = tuple(State.__dataclass_fields__)
