"""Whether a written sub-network answers as the super-network does, on random batches."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_model
from torch import nn
from torch.func import functional_call

from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import tensors_of
from archsearch.elastic.hf_folder import MODULE, Target
from archsearch.elastic.saved import Saved
from archsearch.elastic.saving import CONFIG, load
from archsearch.elastic.streaming import DTYPES, TORCH
from archsearch.elastic.tensor_files import WEIGHTS, stored_tensors
from archsearch.elastic.transformer import build
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor

BATCHES, BATCH, SEED = 2, 2, 0
# Differences that other kernels may make, as a share of the largest output: of float32 as torch.testing has it.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1.6e-2, torch.float16: 1e-3}


def compare(
    saved: Saved, cut: Cut, written: Path, to: Target | None, dtype: str | None, model: nn.Module | None
) -> dict[str, Any]:
    """How far the outputs of a written sub-network are from the super-network's; bit for bit equal, as a rule.

    Args:
        saved: the super-network.
        cut: the sub-network.
        written: its folder.
        to: how transformers loads it, if it does.
        dtype: that it was converted to; the super-network is, too.
        model: a module of the super-network's shape, where its class is the user's own.

    Raises:
        ElasticError: they differ by more than the tolerance, or cannot be compared.
    """
    if not saved.manifest.inputs:
        raise ElasticError("verify: what the super-network takes is not known; give inputs= where it is made")
    net = load(saved.folder, model).eval()
    if dtype is not None:
        convert(net.model, TORCH[DTYPES[dtype]], saved.manifest.library)
    small = loaded(written, net.skeleton(cut), net.tensors(cut), to)
    generator = torch.Generator().manual_seed(SEED)
    worst, largest, number = 0.0, 0.0, torch.float32
    for _ in range(BATCHES):
        batch = drawn(saved.manifest.inputs, generator, dtype)
        with torch.no_grad():
            expected = first_tensor(net(*batch.values(), cut) if len(batch) == 1 else net(batch, cut))
            found = first_tensor(small(*batch.values()) if len(batch) == 1 else small(**batch))
        if found.shape != expected.shape:
            raise ElasticError(f"verify: outputs have shape {tuple(found.shape)}, expected {tuple(expected.shape)}")
        number = expected.dtype
        apart = float((found.double() - expected.double()).abs().max())
        worst = max(worst, math.inf if math.isnan(apart) else apart)
        largest = max(largest, float(expected.double().abs().max()))
    report: dict[str, Any] = {"equal": worst == 0, "max_abs_difference": worst, "max_abs_output": largest}
    report |= {"examples": BATCHES * BATCH, "seed": SEED, "device": "cpu", "torch": str(torch.__version__)}
    if not worst <= TOLERANCE.get(number, 0.0) * largest:
        raise ElasticError(
            f"verify: outputs differ by up to {worst:g} from the super-network's, which are up to {largest:g}"
        )
    return report


def convert(model: nn.Module, dtype: torch.dtype, library: str) -> None:
    """Convert a model as whoever loads the written file has it: of transformers' models what is in the file alone, as
    the angles of rotary positions stay in float32 there."""
    if library != "transformers":
        model.to(dtype)
        return
    own = tensors_of(model)
    for name in model.state_dict():
        if own[name].is_floating_point():
            own[name].data = own[name].data.to(dtype)


def loaded(written: Path, skeleton: nn.Module, computed: Mapping[str, torch.Tensor], to: Target | None) -> Any:
    """The written model: as whoever gets the folder loads it, or where it is bare weights, in the module of the cut
    (with what of its tensors is `computed`, and in no file)."""
    if to is not None:
        return transformers_class(written, to).from_pretrained(written, local_files_only=True).eval()
    tensors = dict(read_all(written))
    if (written / "model.py").exists():
        made = build(json.loads((written / CONFIG).read_text(encoding="utf-8"))).to(next(iter(tensors.values())).dtype)
        load_model(made, written / WEIGHTS)
        return made.eval()
    kept = set(skeleton.state_dict())
    given = {**{name: tensor for name, tensor in computed.items() if name not in kept}, **tensors}
    return lambda *args, **kwargs: functional_call(skeleton, given, args, kwargs)


def transformers_class(written: Path, to: Target) -> Any:
    """The class of a checkpoint: transformers' own, or that of the file which was just written beside it."""
    if to.source is None:
        import transformers

        return getattr(transformers, to.model)
    spec = importlib.util.spec_from_file_location(f"{MODULE}_written", written / f"{MODULE}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = bytecode
    return getattr(module, to.model)


def read_all(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in sorted({tensor.file for tensor in stored_tensors(folder).values()}):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                yield name, opened.get_tensor(name)


def drawn(inputs: Mapping[str, Tensor], generator: torch.Generator, dtype: str | None) -> dict[str, torch.Tensor]:
    """A random batch."""
    batch = {}
    for name, of in inputs.items():
        shape, number = (BATCH, *of.shape), getattr(torch, of.dtype)
        if number.is_floating_point:
            batch[name] = torch.randn(shape, generator=generator).to(number if dtype is None else TORCH[DTYPES[dtype]])
        else:
            batch[name] = torch.randint(of.below or 2, shape, generator=generator).to(number)
    return batch


def first_tensor(output: Any) -> torch.Tensor:
    """The tensor that a model gives, or the first of several."""
    while not isinstance(output, torch.Tensor):
        output = output[0] if not isinstance(output, dict) else next(iter(output.values()))
    return output
