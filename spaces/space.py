"""Space: a program of decisions. Architecture: the list of answers."""

from __future__ import annotations

import math
import os
import random as random_module
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

from archsearch.errors import AssignmentError, SpaceError
from archsearch.spaces import moves
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.assignment import checked_answers, read_assignment
from archsearch.spaces.check import check_space, constraint_paths
from archsearch.spaces.count import Count
from archsearch.spaces.decisions import Decision, typed
from archsearch.spaces.describe import describe
from archsearch.spaces.encode import Columns, encode
from archsearch.spaces.facts import FactTable
from archsearch.spaces.feasible import Feasibility
from archsearch.spaces.node import Node, has_node
from archsearch.spaces.program import MAX_SITES, Compiler
from archsearch.spaces.replay import Replay
from archsearch.spaces.require import Constraint, as_requirements
from archsearch.spaces.resolve import resolve
from archsearch.spaces.sampling import draw_again, sample_constrained, sample_freely, walk_constrained
from archsearch.spaces.schema import json_schema
from archsearch.spaces.steps import Answers, Program
from archsearch.spaces.tensor import Tensor
from archsearch.spaces.text import space_text
from archsearch.spaces.uniform import Uniform, UniformDraws
from archsearch.spaces.walk import Decide, enumerate_answers, sample_plain, walk
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    import networkx
    import numpy as np


class Space:
    """A space of architectures.

    Args:
        root: a node, or a (nested) dict or list of nodes: `Space({"model": model, "lr": Real(1e-4, 1e-1, log=True)})`.
        input_shape: the shape of one float32 input, without the batch.
        inputs: several inputs by name: `{"ids": Tensor(128, dtype="int64", below=50257)}`.
        require: constraints over decisions, part of `size()`, `enumerate()` and `sample()`: functions whose
            parameters are names of decisions or keys of the space's dict, or `Require(fn, "a", "b")`.
        where: constraints over whole architectures, `lambda arch: arch.parameters < 2e6`; they filter
            samples and enumeration and are no part of `size()`.
        max_decisions: decisions and expansions in one architecture; a grammar beyond it raises EndlessSpace.
    """

    def __init__(
        self,
        root: Any,
        *,
        input_shape: Iterable[int] | None = None,
        inputs: Mapping[str, Tensor] | None = None,
        require: Any = (),
        where: Any = (),
        max_decisions: int = 10_000,
    ) -> None:
        if not has_node(root) and not isinstance(root, Mapping | list):
            raise SpaceError(f"Space takes a node, or a dict or list of nodes, but got {root!r}")
        if input_shape is not None and inputs is not None:
            raise SpaceError("Space takes input_shape= or inputs=, not both")
        if type(max_decisions) is not int or max_decisions < 1:
            raise SpaceError(f"Space(max_decisions=...) must be a positive integer, but got {max_decisions!r}")
        self.root = root
        self.inputs = {"input": Tensor(*input_shape)} if input_shape is not None else dict(inputs or {})
        self.require = as_requirements(require)
        self.where: tuple[Callable[[Architecture], Any], ...] = (where,) if callable(where) else tuple(where)
        self.max_decisions = max_decisions
        self.facts = FactTable()
        names = check_space(root, self.require)
        self._required_names = names
        self._is_guided = bool(names) or self.facts.of(root).fallible
        self._compiler: Compiler | None = None
        self._guide: Feasibility | None = None
        self._columns: Columns | None = None
        self._size: int | float | None = None
        self._uniform_draws: UniformDraws | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {
            "root": self.root,
            "inputs": self.inputs,
            "require": self.require,
            "where": self.where,
            "max_decisions": self.max_decisions,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Space.__init__(
            self,
            state["root"],
            inputs=state["inputs"],
            require=state["require"],
            where=state["where"],
            max_decisions=state["max_decisions"],
        )

    @property
    def compiler(self) -> Compiler:
        """The programs of the space; made anew when a grammar has filled the memory with places."""
        compiler = self._compiler
        if compiler is None or compiler.num_programs > MAX_SITES:
            compiler = self._compiler = Compiler(self.root, self.facts)
            for require in self.require:
                compiler.add_constraint(Constraint(require, constraint_paths(self.root, require)))
            self._guide = None
            if self._is_guided:
                self._guide = Feasibility(compiler, self._required_names, self.facts)
        return compiler

    def walk(self, decide: Decide) -> Answers:
        """The answers, in the order of the walk, that `decide(decision, path)` gives.

        Where constraints leave no completion for an answer, the decision is narrowed before it is asked.

        Raises:
            Infeasible: constraints refuse everything.
        """
        compiler = self.compiler
        if self._guide is not None:
            return walk_constrained(self, self._guide, decide)
        return walk(compiler.program(compiler.root), decide, self.max_decisions)

    def refused(self, answers: Answers) -> list[Constraint]:
        """The constraints that do not allow these answers."""
        if not self.compiler.constraints:
            return []
        seen: dict[int, Constraint] = {}
        for path in answers:
            for constraint in self.compiler.constraints.get(path, ()):
                seen[id(constraint)] = constraint
        return [constraint for constraint in seen.values() if not constraint.allows(answers)]

    def parameters_of(self, arch: Architecture) -> int:
        """The parameters of an architecture of this space."""
        return arch.settled.parameters

    def flops_of(self, arch: Architecture) -> int:
        """The floating-point operations of an architecture of this space."""
        return arch.settled.flops

    def resolve(self, decide: Decide) -> Any:
        """The resolved structure under the answers of `decide(decision, path)`."""
        return resolve(self.compiler.root, self.walk(decide))

    @overload
    def sample(self, rng: random_module.Random, *, uniform: Uniform = "decisions") -> Architecture: ...

    @overload
    def sample(self, rng: random_module.Random, n: int, *, uniform: Uniform = "decisions") -> list[Architecture]: ...

    def sample(
        self, rng: random_module.Random, n: int | None = None, *, uniform: Uniform = "decisions"
    ) -> Architecture | list[Architecture]:
        """Draw an architecture, or a list of `n`.

        Drawing n at once gives what n draws, one after the other, would give.

        Args:
            uniform: over the options of each decision as it comes up, or by its prior where it has one ("decisions"),
                or over all architectures ("architectures", by the exact count of `size()`, whatever the priors; a
                Real counts as one answer).

        Raises:
            Infeasible: constraints refuse everything that was drawn.
            EndlessSpace: a grammar did not end.
            SizeTooHard, SpaceError: for "architectures", where they cannot be counted, or have no end.
        """
        if n is not None and (type(n) is not int or n < 0):
            raise SpaceError(f"sample(rng, n): expected how many architectures to draw, but got {n!r}")
        if uniform != "decisions" or self.where or self._is_guided:
            if n is None:
                return sample_constrained(self, rng, uniform)
            return [sample_constrained(self, rng, uniform) for _ in range(n)]
        if n is not None:
            return sample_freely(self, rng, n)
        try:  # the common case without a call more than it needs
            return Architecture(self, sample_plain(self.plain_program(), rng.random, self.max_decisions))
        except Refused:
            return Architecture(self, draw_again(self, rng))

    def plain_program(self) -> Program:
        """The program of a space without constraints; a grammar that has filled the memory starts anew after it."""
        compiler = self._compiler if self._compiler is not None else self.compiler
        if compiler.num_programs > MAX_SITES:
            self._compiler = None
        return compiler.root.program or compiler.program(compiler.root)

    def uniform_draws(self) -> UniformDraws:
        """Draws that are uniform over the architectures; counting them is done once.

        Raises:
            SizeTooHard, SpaceError, Infeasible: as `UniformDraws`.
        """
        if self._uniform_draws is None:
            self._uniform_draws = UniformDraws(self)
        return self._uniform_draws

    def allowed(self, arch: Architecture) -> bool:
        """Whether `where` allows an architecture."""
        return all([allows(arch) for allows in self.where])

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture, in the order of the options.

        Raises:
            SpaceError: the space has a Real.
        """
        compiler = self.compiler
        for answers in enumerate_answers(compiler, self.max_decisions, self._guide):
            arch = Architecture(self, answers)
            if self._guide is not None and self._guide.gave_up and self.refused(answers):
                continue
            if self.allowed(arch):
                yield arch

    def size(self) -> int | float:
        """The exact number of architectures that the decisions and `require` allow; math.inf with a Real.

        Raises:
            SizeTooHard: the count needs more than a million states; the message names what causes it.
        """
        if self._size is None:
            self._size = Count(self.root, self.require).total()
        return self._size

    def distinct(self) -> int:
        """How many architectures are different networks, by canonical form; enumerates the space."""
        return len({arch.canonical_id for arch in self.enumerate()})

    def estimate_size(self, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
        """An unbiased estimate of the size and its standard error, from random walks (Knuth 1975)."""
        rng = random_module.Random(seed)
        weights = []
        for _ in range(draws):
            weight = 1.0

            def decide(decision: Decision, path: str) -> Any:
                nonlocal weight
                answer = decision.draw(rng.random)
                weight *= decision.rarity(answer)
                return answer

            try:
                refused = bool(self.refused(self.free_walk(decide)))
            except Refused:
                refused = True
            weights.append(0.0 if refused else weight)
        mean = math.fsum(weights) / draws
        return mean, math.sqrt(math.fsum([(w - mean) ** 2 for w in weights]) / max(1, draws - 1) / draws)

    def architecture(self, assignment: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Architecture:
        """The architecture of these answers, checked: `assignment` maps paths to answers, perhaps from JSON.

        Raises:
            AssignmentError: an answer is missing, not allowed, or of a decision that is not asked.
        """
        arch = Architecture(self, self.replay(read_assignment(assignment)))
        self.check_where(arch)
        return arch

    def check_where(self, arch: Architecture) -> None:
        """Refuse an architecture that `where` does not allow.

        Raises:
            AssignmentError: says which filter.
        """
        for i, allows in enumerate(self.where):
            if not allows(arch):
                raise AssignmentError(f"where[{i}] ({getattr(allows, '__name__', allows)}) does not allow {arch!r}")

    def replay(self, given: Answers) -> Answers:
        """The answers in the order of the walk, checked as `architecture` does, but for `where`."""
        return checked_answers(self, given)

    def free_walk(self, decide: Decide) -> Answers:
        """Like `walk`, but constraints neither narrow nor check: the caller does, with `refused`."""
        compiler = self.compiler
        return walk(compiler.program(compiler.root), decide, self.max_decisions)

    def live(self, arch: Architecture) -> dict[str, Decision]:
        """The decisions of an architecture by path, as they are declared, in the order of the walk."""
        return self.replay_of(arch).decisions

    def replay_of(self, arch: Architecture) -> Replay:
        """The walk of an architecture once more; kept with it."""
        compiler = self.compiler
        if arch._replay is None or arch._replay[0] is not compiler:
            arch._replay = (compiler, Replay(compiler.program(compiler.root), arch.answers))
        replay: Replay = arch._replay[1]
        return replay

    def mutate(self, arch: Architecture, rng: random_module.Random) -> Architecture:
        """An architecture that differs in one live decision; what still applies keeps its answer, by path.

        Raises:
            SingleArchitecture: nothing else can be reached.
        """
        return moves.mutate(self, arch, rng)

    def mutations(self, arch: Architecture, n: int, rng: random_module.Random) -> list[Architecture]:
        """As many mutations of one architecture: what so many calls of `mutate` give, in less time.

        Where refusals are bounded (`archsearch.spaces.refusals`) and spent, those that were found.

        Raises:
            SingleArchitecture: nothing else can be reached.
        """
        return moves.mutations(self, arch, n, rng)

    def crossover(self, a: Architecture, b: Architecture, rng: random_module.Random) -> Architecture:
        """An architecture that takes every decision from one of two, by path.

        Raises:
            Infeasible: constraints refuse 100 of them.
        """
        return moves.crossover(self, a, b, rng)

    def neighbors(
        self, arch: Architecture, limit: int = 64, rng: random_module.Random | None = None
    ) -> Iterator[Architecture]:
        """Every architecture that differs in one live decision; `limit` bounds the completions of what appears."""
        return moves.neighbors(self, arch, limit, rng or random_module.Random(0))

    def encode(self, archs: Iterable[Architecture], width: int = 1024) -> np.ndarray[Any, Any]:
        """Rows of numbers for a surrogate, shape (len(archs), columns); `width` is for endless grammars only."""
        compiler = self.compiler
        if self._columns is None or self._columns.compiler is not compiler:
            self._columns = Columns(compiler)
        return encode(self._columns, archs, width)

    def log_prior(self, arch: Architecture) -> float:
        """What the priors of the decisions say of an architecture: the logarithm of how much likelier they make its
        answers than uniform draws would; 0 where no decision has a prior.

        A searcher weighs its acquisition with it (Hvarfner et al. 2022, "πBO: Augmenting Acquisition Functions with
        User Beliefs for Bayesian Optimization", arXiv:2204.11051). Constraints that narrow a decision do not count.

        Raises:
            AssignmentError: the architecture is not of this space.
        """
        facts = self.facts.of(self.root)
        if not facts.weighted and not facts.unknown:
            return 0.0
        compiler, answers = self.compiler, arch.answers
        if not compiler.paths.keys() >= answers.keys():  # not compiled as far as this architecture goes
            self.replay(answers)
        priors = compiler.priors
        try:
            return math.fsum([priors[path].log_priors[typed(answers[path])] for path in answers if path in priors])
        except KeyError:
            self.replay(answers)  # says which answer is not one
            raise

    def json_schema(self) -> dict[str, Any]:
        """A JSON schema of assignments."""
        return json_schema(self)

    def describe(self) -> dict[str, Any]:
        """The space as JSON-able data: what the record keeps (LANGUAGE.md section 10)."""
        return describe(self)

    def to_networkx(self, arch: Architecture | None = None) -> networkx.DiGraph[str]:
        """The space, or an architecture in it, as a graph of places (see `archsearch.spaces.networkx_graphs`)."""
        from archsearch.spaces.networkx_graphs import to_networkx

        return to_networkx(self, arch)

    def draw(self, path: str | os.PathLike[str], arch: Architecture | None = None) -> None:
        """Draw the space, or an architecture in it, into a file.

        Args:
            path: .svg, .png (needs matplotlib), .dot (Graphviz), .mermaid or .mmd.

        Raises:
            SpaceError: another suffix, or the file cannot be written.
        """
        from archsearch.spaces.draw import draw

        draw(self, path, arch)

    def __str__(self) -> str:
        return space_text(self)

    def __repr__(self) -> str:
        return f"Space({self.root!r})" if isinstance(self.root, Node) else f"Space({{{', '.join(self.root)}}})"


__all__ = ["Architecture", "Space"]
