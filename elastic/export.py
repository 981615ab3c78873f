"""Cutting a sub-network out of a super-network's folder, into a folder that needs no archsearch to be used."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from archsearch.elastic import transformer
from archsearch.elastic.cut import Cut
from archsearch.elastic.hf_folder import Target, target
from archsearch.elastic.manifest import FORMAT, MANIFEST
from archsearch.elastic.network import SubNetwork
from archsearch.elastic.saved import Saved, opened
from archsearch.elastic.saving import CONFIG
from archsearch.elastic.skeleton import skeleton
from archsearch.elastic.streaming import DTYPES, TORCH, cut_folder
from archsearch.elastic.tensor_files import MAX_SHARD, stored_tensors, whole_folder, write_json
from archsearch.errors import ElasticError

Format: TypeAlias = Literal["safetensors", "hf"]
FORMATS: tuple[Format, ...] = ("safetensors", "hf")

# What of a checkpoint is neither weights nor configuration, and is as true of its sub-networks.
COMPANIONS = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.tiktoken",
    "spiece.model",
    "chat_template*",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE*",
)

LOADER = """# A sub-network of {parent}

Needs torch and safetensors; `model.py` has the classes.

```python
import json, model, safetensors.torch, torch
net = model.build(json.load(open("config.json"))){cast}
safetensors.torch.load_model(net.eval(), "model.safetensors")
```
"""


@dataclass(frozen=True)
class Extracted:
    """What was written.

    Attributes:
        folder: where to.
        kept: by axis how many of the first units, or which.
        granularity: where one says it all.
        parameters: of the sub-network.
        flops: of one forward pass of one example; None where they are not known.
        load: a line of Python that loads it, where there is one.
        difference: between the outputs of the folder's model and of the super-network, at most; None if not verified.
    """

    folder: Path
    kept: Mapping[str, int | list[int]]
    granularity: Fraction | None
    parameters: int
    flops: int | None
    load: str | None
    difference: float | None


def extract(
    folder: str | Path,
    out: str | Path,
    sub: SubNetwork,
    *,
    format: Format = "safetensors",
    dtype: str | None = None,
    verify: bool = False,
    model: nn.Module | None = None,
    max_shard_size: int = MAX_SHARD,
) -> Extracted:
    """Cut a sub-network out of a super-network's folder, reading the kept bytes alone.

    Args:
        folder: that `net.save` wrote.
        out: the folder to write; it must not be there, or be empty.
        sub: the sub-network: an architecture of the super-network's space, a granularity, the kept units by axis or
            group of axes, or None for the whole.
        format: "safetensors": the weights and `archsearch.json`, and for the project's own models the configuration and
            the code of their classes. "hf": a checkpoint that transformers loads by itself.
        dtype: "f32", "f16", "bf16" or "f64" converts the floating-point numbers.
        verify: run the written model and the super-network on random batches, and compare. This loads both.
        model: with `verify`, where the model's class is your own: a module of the super-network's shape.
        max_shard_size: bytes of a weights file before the next one is begun.

    Raises:
        ElasticError: the folder holds no super-network or is damaged, there is no such sub-network, `out` holds
            something, or outputs differ. Nothing is left of `out` then.
    """
    if format not in FORMATS:
        raise ElasticError(f"format: expected one of {', '.join(FORMATS)}, but got {format!r}")
    if dtype is not None and dtype not in DTYPES:
        raise ElasticError(f"dtype: expected one of {', '.join(DTYPES)}, but got {dtype!r}")
    saved = opened(folder)
    cut = saved.cut(sub)
    to = target(saved, cut) if format == "hf" else None
    costs = saved.costs(cut)
    with whole_folder(Path(out)) as made:
        # One file for the loader that is written beside it.
        limit = sys.maxsize if saved.manifest.library == "archsearch" else max_shard_size
        cut_folder(saved.folder, cut, made, dtype, limit)
        if to is not None:
            to.write(made, None if dtype is None else TORCH[DTYPES[dtype]])
        elif saved.manifest.library == "archsearch":
            write_own(saved, cut, made, dtype)
        if saved.manifest.library:
            copy_companions(saved.folder, made)
        report: dict[str, Any] = {
            "format": FORMAT,
            "archsearch": metadata.version("archsearch"),
            "holds": "sub-network",
            "model": to.model if to is not None else saved.manifest.model,
            "parent": {key: getattr(saved.manifest, key) for key in ("kind", "model", "weights", "digest")},
            "granularity": None if (share := granularity_of(saved, cut)) is None else str(share),
            **costs,
            "kept": kept_of(cut),
            "dtype": dtype,
        }
        difference = None
        if verify:
            from archsearch.elastic.verify import compare

            report["verified"] = compare(saved, cut, made, to, dtype, model)
            difference = report["verified"]["max_abs_difference"]
        write_json(made / MANIFEST, report)
    return Extracted(
        Path(out), kept_of(cut), share, costs["parameters"], costs["flops"], line(Path(out), to), difference
    )


def write_own(saved: Saved, cut: Cut, made: Path, dtype: str | None) -> None:
    """What the project's own models need to be loaded: sizes, classes, and three lines that do it."""
    config: Any = skeleton(saved.model, cut).config
    write_json(made / CONFIG, config.to_dict())
    shutil.copyfile(transformer.__file__, made / "model.py")
    number = TORCH[next(iter(stored_tensors(made).values())).dtype if dtype is None else DTYPES[dtype]]
    cast = "" if number == torch.float32 else f".to({number})"
    (made / "README.md").write_text(LOADER.format(parent=saved.folder.name, cast=cast), encoding="utf-8")


def copy_companions(folder: Path, made: Path) -> None:
    """Copy a tokenizer's files and their like."""
    for path in folder.iterdir():
        if path.is_file() and any([fnmatch(path.name, pattern) for pattern in COMPANIONS]):
            shutil.copy2(path, made / path.name)


def kept_of(cut: Cut) -> dict[str, int | list[int]]:
    """By axis that loses units how many of the first it keeps, or which."""
    return {
        name: len(units) if units == tuple(range(len(units))) else list(units)
        for name, units in cut.kept.items()
        if len(units) < cut.axes.by_name[name].units
    }


def granularity_of(saved: Saved, cut: Cut) -> Fraction | None:
    """The granularity that all decisions have in a sub-network; None where they differ."""
    for share in sorted({share for decision in saved.manifest.decisions for share in decision.granularities}):
        try:
            if saved.cut(share).key == cut.key:
                return share
        except ElasticError:
            continue  # of another group alone
    return None


def line(out: Path, to: Target | None) -> str | None:
    """The line of Python that loads a folder."""
    if to is None:
        return None
    trust = "" if to.source is None else ", trust_remote_code=True"
    return f"transformers.{to.auto}.from_pretrained({str(out)!r}{trust})"
