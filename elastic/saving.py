"""Super-networks on disk: a folder with the weights (safetensors), the configuration and the axes (JSON), and
no pickle.

The folder of a transformers model is also a plain checkpoint of the whole model, as `from_pretrained` loads it. Nothing
that a folder says is imported or run: classes come from transformers, from archsearch, or from the user.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archsearch.elastic.cut import check_axes
from archsearch.elastic.declare import shapes_of, tensors_of
from archsearch.elastic.manifest import MANIFEST, Manifest, read_manifest
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.tensor_files import (
    MAX_SHARD,
    Stored,
    digest_of,
    read_json,
    shards,
    stored_tensors,
    whole_folder,
    write_index,
    write_json,
)
from archsearch.errors import ElasticError

KINDS: tuple[type[Elastic], ...] = (MatFormer, SortedNet, Elastic)
CONFIG = "config.json"
TABLE = "table.json"  # of `archsearch.elastic.table`: it holds for the weights that were measured
MAX_NAMED = 3


def save(net: Elastic, folder: str | Path, max_shard_size: int = MAX_SHARD) -> None:
    """Write a super-network into a folder, all of it or nothing.

    A folder that holds a super-network is replaced: what belongs to the old weights goes, and other files in it, such
    as a tokenizer's, stay. Any other folder that is not empty is refused.

    Args:
        net: the super-network.
        folder: where to.
        max_shard_size: bytes of a weights file before the next one is begun.

    Raises:
        ElasticError: the folder holds something else, or cannot be written.
    """
    library = library_of(net.model)
    with whole_folder(Path(folder), replace=lambda out: (out / MANIFEST).exists(), stale=(TABLE,)) as made:
        if library == "transformers":
            # By the names of the modules, which the axes go by, and not by those of older versions.
            net.model.save_pretrained(made, max_shard_size=max_shard_size, save_original_format=False)  # type: ignore[operator]
        else:
            write_weights(net.model, made, max_shard_size)
        if library == "archsearch":
            write_json(made / CONFIG, net.model.config.to_dict())  # type: ignore[operator, union-attr]
        manifest = Manifest(
            kind=next(kind.__name__ for kind in KINDS if isinstance(net, kind)),
            library=library,
            model=type(net.model).__name__,
            axes=net.axes,
            decisions=net.decisions,
            inputs=net.inputs,
            shapes={name: tuple(p.shape) for name, p in net.model.named_parameters(remove_duplicate=False)},
            weights=digest_of(made),
        )
        manifest.write(made)
        for file in made.glob("*.safetensors"):  # safetensors 0.8 writes them for their owner alone
            file.chmod((made / MANIFEST).stat().st_mode)
    net.saved = where(folder, manifest)


def load(folder: str | Path, model: nn.Module | None = None) -> Elastic:
    """The super-network that `net.save` wrote into a folder.

    Args:
        folder: with its weights and axes.
        model: for a class of the user's own: a module of the saved one's shape, whose numbers are replaced.

    Raises:
        ElasticError: the folder holds no super-network, or only a part of one; a file is truncated, corrupt, or a
            pickle; or the model has another shape. Says which, and what to do.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    stored = stored_tensors(folder)
    check_stored(folder, manifest, stored)
    if model is not None:
        fill(model, folder, stored)
    elif manifest.library == "transformers":
        model = transformers_model(folder, manifest)
    elif manifest.library == "archsearch":
        model = own_model(folder)
        fill(model, folder, stored)
    else:
        raise ElasticError(
            f"{folder} holds a {manifest.model}, which is a class of your own: give a module of its shape, "
            f"load({str(folder)!r}, model={manifest.model}(...))"
        )
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    if shapes != dict(manifest.shapes):
        raise ElasticError(f"{folder}: the model differs from the saved one in {difference(shapes, manifest.shapes)}")
    check_axes(manifest.axes, shapes_of(model))
    (kind,) = [kind for kind in KINDS if kind.__name__ == manifest.kind] or [Elastic]
    net = kind.__new__(kind)
    Elastic.__init__(net, model, manifest.axes, manifest.decisions, manifest.inputs)
    net.saved = where(folder, manifest)
    return net.train(model.training)


def where(folder: str | Path, manifest: Manifest) -> dict[str, str]:
    """What the space of a super-network says about its folder."""
    return {"folder": os.path.abspath(folder), "weights": manifest.weights}


def library_of(model: nn.Module) -> str:
    """Who has the class of a model, so that a folder can be loaded without it: see `Manifest.library`."""
    module = type(model).__module__
    if module == "archsearch.elastic.transformer":
        return "archsearch"
    if not (module.startswith("transformers.") and hasattr(model, "save_pretrained")):
        return ""
    with torch.device("meta"):
        plain = type(model)(copy.deepcopy(model.config))
    return "transformers" if shapes_of(plain) == shapes_of(model) else ""  # layers cut apart: the class cannot say it


def write_weights(model: nn.Module, folder: Path, max_shard_size: int) -> None:
    """Write a module's state, tied tensors once."""
    from safetensors.torch import save_file

    tensors = state_of(model)
    sizes = {name: tensor.numel() * tensor.element_size() for name, tensor in tensors.items()}
    files = shards(sizes, max_shard_size)
    for file, names in files.items():
        save_file({name: tensors[name].contiguous() for name in names}, folder / file, {"format": "pt"})
    write_index(folder, files, sizes)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that a module keeps in its state dict, tied ones by their first name.

    Raises:
        ElasticError: its state holds something else.
    """
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    tensors = tensors_of(model)
    for name, value in model.state_dict().items():
        if name not in tensors:
            raise ElasticError(
                f"the state of {type(model).__name__} holds {name}, a {type(value).__name__}: not a tensor"
            )
        if id(tensors[name]) not in seen:
            seen.add(id(tensors[name]))
            found[name] = tensors[name].detach()
    return found


def check_stored(folder: Path, manifest: Manifest, stored: dict[str, Stored]) -> None:
    """Whether the files hold the parameters that the manifest says.

    Raises:
        ElasticError: they do not; names the first.
    """
    tied = manifest.axes.tied
    there = set(stored) | {tied.get(name, name) for name in stored}
    for name, shape in manifest.shapes.items():
        if tied.get(name, name) not in there:
            raise ElasticError(f"{folder} is incomplete: its files hold no {name}, which {MANIFEST} has")
        if name in stored and stored[name].shape != shape:
            raise ElasticError(
                f"{stored[name].file}: {name} has shape {stored[name].shape}, and {MANIFEST} says {shape}: the files "
                f"are not of one super-network"
            )


def fill(model: nn.Module, folder: Path, stored: dict[str, Stored]) -> None:
    """Give a module the numbers of a folder, of the dtype that they have there; tied tensors stay tied.

    Raises:
        ElasticError: names or shapes differ; says where.
    """
    from safetensors import safe_open

    wanted = state_of(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    given = {name: tensor.shape for name, tensor in stored.items()}
    if shapes != given:
        raise ElasticError(
            f"{folder} does not fit this {type(model).__name__}; they differ in {difference(shapes, given)}"
        )
    own = tensors_of(model)
    for file in sorted({tensor.file for tensor in stored.values()}):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                own[name].data = opened.get_tensor(name).to(own[name].device)


def difference(mine: dict[str, tuple[int, ...]], other: Any) -> str:
    """The first tensors in which two sets of shapes differ."""
    names = [name for name in {**mine, **other} if mine.get(name) != other.get(name)]
    shown = [
        f"{name}: {mine.get(name, 'not there')}, saved {other.get(name, 'not at all')}" for name in names[:MAX_NAMED]
    ]
    more = f"; and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{'; '.join(shown)}{more}"


def transformers_class(manifest: Manifest) -> Any:
    """The transformers class of a name.

    Raises:
        ElasticError: transformers is not installed, or has no such model.
    """
    if not has_transformers():
        raise ElasticError(f"{manifest.model} is a transformers model: pip install archsearch[hf]")
    import transformers

    found = getattr(transformers, manifest.model, None)
    if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
        raise ElasticError(f"transformers {transformers.__version__} has no model {manifest.model!r}")
    return found


def has_transformers() -> bool:
    return importlib.util.find_spec("transformers") is not None


def transformers_model(folder: Path, manifest: Manifest) -> nn.Module:
    """The model of a checkpoint of transformers."""
    if not (folder / CONFIG).is_file():  # transformers would take the class's defaults
        raise ElasticError(f"{folder} is incomplete: it holds no {CONFIG}")
    made, info = transformers_class(manifest).from_pretrained(folder, local_files_only=True, output_loading_info=True)
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        raise ElasticError(f"{folder} is incomplete: transformers reports {wrong}")
    loaded: nn.Module = made
    return loaded


def own_model(folder: Path) -> nn.Module:
    """The project's own model of a folder's configuration, with fresh weights.

    Raises:
        ElasticError: the configuration cannot be read, or is of another model.
    """
    from archsearch.elastic.transformer import build

    try:
        return build(read_json(folder / CONFIG)).eval()
    except (ValueError, TypeError) as error:
        raise ElasticError(f"{folder / CONFIG}: {error}") from error
