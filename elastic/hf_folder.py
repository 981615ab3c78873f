"""A sub-network of a transformers model as a checkpoint that transformers loads by itself.

Where the configuration says all sizes, the family's own class loads it. Where it cannot (layers with sizes of their
own; fewer heads where `head_dim` follows from the width), the folder brings a small class, a subclass of the family's,
and a list of the sizes in which it differs; that needs `trust_remote_code=True`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.elastic.cut import Cut
from archsearch.elastic.saved import Saved
from archsearch.elastic.skeleton import skeleton
from archsearch.errors import ElasticError

# A task's class before those for any task.
LAST = ("AutoModelForPreTraining", "AutoModelWithLMHead", "AutoModel", "AutoModelForTextEncoding")
MODULE = "modeling_cut"

SOURCE = '''"""{model} with sizes of its own in some modules, as archsearch cut it out of a larger one.

`config.cut` names every module whose sizes are not what the rest of the configuration says: a list is the shape of a
parameter, anything else the value of an attribute. This file needs transformers and torch only.
"""

import torch
from transformers import {model}


class Cut{model}({model}):
    def __init__(self, config, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        for name, sizes in config.cut.items():
            module = self.get_submodule(name)
            for key, value in sizes.items():
                old = getattr(module, key)
                if isinstance(old, torch.nn.Parameter):
                    setattr(module, key, torch.nn.Parameter(old.new_empty(value)))
                elif isinstance(old, torch.Tensor):
                    setattr(module, key, old.new_empty(value))
                else:
                    setattr(module, key, tuple(value) if isinstance(old, tuple) else value)
        self.tie_weights()
'''


@dataclass(frozen=True)
class Target:
    """How a checkpoint is loaded.

    Attributes:
        config: with all that the sub-network's class needs to know.
        model: the name of the class.
        auto: the name of transformers' class that finds it, such as `AutoModelForCausalLM`.
        source: the text of a file with the class; None where it is the family's own.
    """

    config: Any
    model: str
    auto: str
    source: str | None

    def write(self, folder: Path, dtype: torch.dtype | None) -> None:
        """Write the configuration and the file with the class."""
        if dtype is not None:
            self.config.dtype = dtype
        self.config.save_pretrained(folder)
        if self.source is not None:
            (folder / f"{MODULE}.py").write_text(self.source, encoding="utf-8")


def target(saved: Saved, cut: Cut) -> Target:
    """How transformers is to load a sub-network.

    Raises:
        ElasticError: the super-network is no model of transformers.
    """
    if saved.manifest.library != "transformers":
        raise ElasticError(
            f"format 'hf' needs a model of transformers, but {saved.folder} holds a {saved.manifest.model}; use "
            "'safetensors'"
        )
    made = skeleton(saved.model, cut)
    name = saved.manifest.model
    config: Any = copy.deepcopy(made.config)
    with torch.device("meta"):
        plain = type(saved.model)(copy.deepcopy(config)).eval()
    sizes = differences(made, plain)
    auto = auto_class(type(saved.model), type(config))
    config.architectures = [name]
    if not sizes:
        return Target(config, name, auto, None)
    config.architectures = [f"Cut{name}"]
    config.auto_map = {auto: f"{MODULE}.Cut{name}"}
    config.cut = sizes
    return Target(config, f"Cut{name}", auto, SOURCE.format(model=name))


def differences(made: nn.Module, plain: nn.Module) -> dict[str, dict[str, Any]]:
    """The sizes in which a model differs from what its class makes of its configuration, by module."""
    others = dict(plain.named_modules(remove_duplicate=False))
    found: dict[str, dict[str, Any]] = {}
    for name, module in made.named_modules(remove_duplicate=False):
        other = others.pop(name, None)
        if other is None or type(other) is not type(module):
            raise ElasticError(f"{type(made).__name__} has a module {name!r} that its configuration does not say")
        mine, theirs = sizes_of(module), sizes_of(other)
        if mine != theirs:
            found[name] = {key: value for key, value in mine.items() if theirs.get(key) != value}
    return found


def sizes_of(module: nn.Module) -> dict[str, Any]:
    """The numbers that a module keeps itself, and the shapes of its own tensors as lists."""
    own = {**module._parameters, **module._buffers}
    shapes: dict[str, Any] = {key: list(tensor.shape) for key, tensor in own.items() if tensor is not None}
    numbers = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in vars(module).items()
        if key != "training" and not key.startswith("_") and is_size(value)
    }
    return numbers | shapes


def is_size(value: Any) -> bool:
    """Whether a value is a number or several."""
    return isinstance(value, int | float) or (
        isinstance(value, tuple) and all([isinstance(item, int | float) for item in value])
    )


def auto_class(model: type, config: type) -> str:
    """The class of transformers that finds models of a class by their configuration."""
    from transformers.models.auto import modeling_auto

    found = []
    for name, auto in vars(modeling_auto).items():
        if name.startswith("AutoModel") and getattr(auto, "_model_mapping", None) is not None:
            known = auto._model_mapping.get(config, ())
            if model in (known if isinstance(known, tuple | list) else (known,)):
                found.append(name)
    if not found:
        raise ElasticError(f"no class AutoModel... of transformers finds a {model.__name__}; use format 'safetensors'")
    return min(found, key=lambda name: (LAST.index(name) + 1 if name in LAST else 0, name))
