"""`archsearch.json`: all that a folder with a super-network says about it beside its weights and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from archsearch.elastic.axes import Axes
from archsearch.elastic.space import Decision
from archsearch.elastic.tensor_files import PICKLES, UNPICKLED, read_json, write_json
from archsearch.errors import ElasticError, SpaceError
from archsearch.spaces.tensor import Tensor

MANIFEST = "archsearch.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What makes weights a super-network.

    Attributes:
        kind: `MatFormer`, `SortedNet`, or `Elastic` for one of declared axes and decisions.
        library: who has the model's class: `transformers`, `archsearch`, or "" where the user has.
        model: the name of the class.
        axes, decisions, inputs: of the super-network.
        shapes: of its parameters by name, tied ones under each of their names.
        weights: a hash of the files' bytes.
    """

    kind: str
    library: str
    model: str
    axes: Axes
    decisions: tuple[Decision, ...]
    inputs: Mapping[str, Tensor]
    shapes: Mapping[str, tuple[int, ...]]
    weights: str

    @property
    def digest(self) -> str:
        """What makes two super-networks alike in all but their weights, as a hash."""
        return self.axes.digest(self.shapes)

    def write(self, folder: Path) -> None:
        data = {
            "format": FORMAT,
            "archsearch": metadata.version("archsearch"),
            "holds": "super-network",
            "kind": self.kind,
            "library": self.library,
            "model": self.model,
            "digest": self.digest,
            "weights": self.weights,
            "decisions": [decision.to_json() for decision in self.decisions],
            "inputs": {
                name: {"shape": list(tensor.shape), "dtype": tensor.dtype, "below": tensor.below}
                for name, tensor in self.inputs.items()
            },
            **self.axes.to_json(),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }
        write_json(folder / MANIFEST, data, indent=None)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        ElasticError: the folder holds no super-network, or of another version; says what it holds and what to do.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        if folder.suffix in PICKLES and folder.exists():
            raise ElasticError(f"{folder} may be a pickle, which runs what it holds when it is read; {UNPICKLED}")
        raise ElasticError(
            f"{folder} is a file; expected a folder that net.save wrote" if folder.exists() else f"there is no {folder}"
        )
    if not path.exists():
        raise ElasticError(
            f"{folder} is a checkpoint without axes (no {MANIFEST}); make a super-network of it first: load its model, "
            f"net = archsearch.elastic.MatFormer(model), net.save(...)"
        )
    data = read_json(path)
    if data.get("holds") != "super-network":
        raise ElasticError(f"{folder} holds {data.get('holds', 'something else')}, not a super-network")
    if data.get("format") != FORMAT:
        raise ElasticError(f"{path} has format {data.get('format')!r}, and this archsearch reads {FORMAT}; update it")
    axes = Axes.from_json(data)
    try:
        found = Manifest(
            kind=str(data["kind"]),
            library=str(data["library"]),
            model=str(data["model"]),
            axes=axes,
            decisions=tuple(Decision.from_json(item) for item in data["decisions"]),
            inputs={
                str(name): Tensor(*given["shape"], dtype=given["dtype"], below=given["below"])
                for name, given in data["inputs"].items()
            },
            shapes={str(name): tuple(map(int, shape)) for name, shape in data["shapes"].items()},
            weights=str(data["weights"]),
        )
        digest = data["digest"]
    except (KeyError, TypeError, ValueError, AttributeError, SpaceError) as error:
        raise ElasticError(f"{path} is corrupt: {type(error).__name__}: {error}") from error
    if digest != found.digest:
        raise ElasticError(f"{path} is corrupt: its axes and shapes do not have the digest that stands in it")
    for decision in found.decisions:
        if decision.group not in axes.groups():
            raise ElasticError(f"{path} is corrupt: it decides about {decision.group!r}, which it has no axes of")
    return found
