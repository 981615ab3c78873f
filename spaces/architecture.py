"""Architecture: the answers that make one, and what follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archsearch.errors import BuildError, did_you_mean
from archsearch.spaces.canonical import canonical_id
from archsearch.spaces.resolve import PARTS, resolve
from archsearch.spaces.resolved import Chain, Dag, Once
from archsearch.spaces.text import architecture_text

if TYPE_CHECKING:
    import torch

    from archsearch.spaces.settled import Settled
    from archsearch.spaces.space import Space


def answers_id(answers: Mapping[str, Any]) -> str:
    """The id of a list of answers: 20 hexadecimal digits (80 bits of BLAKE2b).

    Hashed is the JSON of the answers by path, sorted by path, so the order in which a space declares things
    does not count. An int and a float differ (1 and 1.0), as answers do; a tuple counts as a list.
    """
    return hashlib.blake2b(ENCODE(answers).encode("ascii"), digest_size=10).hexdigest()


ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def model_of(values: Any) -> Any:
    """The part to build: the root, the entry called "model", or the only entry that is a module."""
    if isinstance(values, PARTS):
        return values
    if isinstance(values, Mapping):
        models = {key: value for key, value in values.items() if isinstance(value, PARTS)}
        if "model" in models:
            return models["model"]
        if len(models) == 1:
            return next(iter(models.values()))
        if models:
            raise BuildError(f"the space has several modules ({', '.join(models)}); call the one to build 'model'")
    raise BuildError("the space has no module to build")


def check_order(model: Any, names: list[str]) -> None:
    """Refuse a model that begins with a graph whose inputs have the names of the space's in another order."""
    while isinstance(model, Once) or (isinstance(model, Chain) and model.parts):
        model = model.part if isinstance(model, Once) else model.parts[0]
    if isinstance(model, Dag) and sorted(names) == sorted(model.inputs) and list(model.inputs) != names:
        raise BuildError(
            f"{model.place or 'root'}: the graph's inputs are {', '.join(model.inputs)}, but the space's are "
            f"{', '.join(names)}: inputs go by their order, so give both the same"
        )


class Architecture:
    """A point of a space. Made by the space; equal when the answers are."""

    __slots__ = ("_id", "_replay", "_settled", "_values", "answers", "space")

    def __init__(self, space: Space, answers: dict[str, Any]) -> None:
        self.space = space
        self.answers = answers
        self._id: str | None = None
        # With the compiler whose programs were walked: `archsearch.spaces.replay.Replay`.
        self._replay: tuple[Any, Any] | None = None
        self._values: Any = None
        self._settled: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"space": self.space, "answers": self.answers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["space"], state["answers"])  # type: ignore[misc]

    @property
    def assignment(self) -> dict[str, Any]:
        """The answers by path, in the order of the walk; JSON-able."""
        return dict(self.answers)

    @property
    def id(self) -> str:
        """Hash of the answers (see `answers_id`)."""
        if self._id is None:
            self._id = answers_id(self.answers)
        return self._id

    @property
    def canonical_id(self) -> str:
        """Hash of the network that the answers mean: equal where the rules of `canonical` prove it the same."""
        return canonical_id(self.values)

    @property
    def values(self) -> Any:
        """The resolved structure: values, and `archsearch.spaces.resolved` parts where modules stand."""
        if self._values is None:
            self._values = (resolve(self.space.compiler.root, self.answers),)
        return self._values[0]

    @property
    def settled(self) -> Settled:
        """The model with every size settled (LANGUAGE.md section 11).

        Raises:
            BuildError: the space has no model, or no input shape.
            ShapeError: a module cannot take what reaches it.
        """
        if self._settled is None:
            from archsearch.spaces.settle import settle

            model = model_of(self.values)
            if not self.space.inputs:
                raise BuildError("sizes follow from the input: give Space(input_shape=...) or Space(inputs={...})")
            check_order(model, list(self.space.inputs))
            self._settled = settle(model, list(self.space.inputs.values()))
        settled: Settled = self._settled
        return settled

    @property
    def parameters(self) -> int:
        """The number of parameters, before anything is built; shared ones count once."""
        return self.space.parameters_of(self)

    @property
    def flops(self) -> int:
        """The floating-point operations of one forward pass of one example, as torch's FLOP counter counts."""
        return self.space.flops_of(self)

    def build(self, device: torch.device | str | None = None, seed: int | None = None) -> torch.nn.Module:
        """The model as plain torch modules, named by their places.

        Args:
            device: where the weights are made; torch's default otherwise.
            seed: draws the weights from this seed without disturbing torch's global generator.
        """
        from archsearch.spaces.build import build

        return build(self.settled, device=device, seed=seed)

    def source(self) -> str:
        """The text of a Python file with a class `Model` that is this model, with torch alone.

        Parameters and buffers have the names that they have in `build()`, and the outputs are the same. A class or
        function of the user's is imported from where it stands, or copied where no other file could import it.

        Raises:
            BuildError: a class, function or value cannot be written into another file; says which, and where.
        """
        from archsearch.spaces.source import source

        return source(self.settled, self.space.inputs, self.assignment)

    def __getitem__(self, key: str) -> Any:
        """A value by its key in the space's dict, or an answer by its path."""
        values = self.values
        if isinstance(values, Mapping) and key in values:
            return values[key]
        if key in self.answers:
            return self.answers[key]
        known = [*values, *self.answers] if isinstance(values, Mapping) else list(self.answers)
        raise KeyError(
            f"{key!r} is neither a key of the space nor a decision of this architecture{did_you_mean(key, known)}"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return architecture_text(self)

    def __repr__(self) -> str:
        return f"Architecture({', '.join([f'{p}={a!r}' for p, a in self.answers.items()])})"
