"""Where training stands, in one file that is there whole or not at all."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ElasticError

NAME = "training.pt"


def write(folder: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Put a state in place of the last one: a file beside it is written first and then renamed.

    Args:
        folder: where; it is made.
        state: mappings, sequences, numbers, strings and tensors.
    """
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{NAME}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The state that `write` left, on the CPU; None where there is none. No code of the file is run.

    Raises:
        ElasticError: the file is damaged, or something else.
    """
    path = Path(folder) / NAME
    if path.parent.exists() and not path.parent.is_dir():
        raise ElasticError(f"checkpoint: expected a folder, but {folder} is a file")
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict) and "step" in state:
            return state
        problem = "it holds something else"
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    raise ElasticError(f"{path} is not a checkpoint of archsearch's training, or is damaged ({problem}); remove it")


def random_state() -> dict[str, Any]:
    """The state of torch's generators: dropout follows from it."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Set torch's generators as they were, those of the GPUs where as many are there."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.is_available() and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
