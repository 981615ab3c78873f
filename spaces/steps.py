"""One step of a walk, and what its answers open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archsearch.spaces.decisions import Decision, IntegerRange, Options
from archsearch.spaces.sites import Site

ASK, TURN, ENTER = 0, 1, 2

Answers = dict[str, Any]
Program = tuple[Any, ...]


class Programs(dict[Any, Program]):
    """What each answer opens, made when first reached."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[Any], Program]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: Any) -> Program:
        program = self[key] = self.make(key)
        return program


class Step:
    """One step of a walk.

    ASK: `decision` is asked at `path` (not again, where `shared` and answered); `programs[answer]` follows.
    TURN: `key(answers)` says which of `programs` follows; `reads` are the paths that it depends on (None: not
    known before they are asked). `widest` is the key, where there is one, whose program holds all others.
    ENTER: a Shared; `programs[None]` follows at the first use, nothing at a second.
    """

    __slots__ = ("decision", "key", "kind", "path", "programs", "reads", "shared", "site", "widest")

    def __init__(
        self,
        kind: int,
        site: Site,
        path: str,
        decision: Decision | None = None,
        shared: bool = False,
        programs: Programs | None = None,
        key: Callable[[Answers], Any] | None = None,
        reads: tuple[str, ...] | None = (),
        widest: Any = None,
    ) -> None:
        self.kind = kind
        self.site = site
        self.path = path
        self.decision = decision
        self.shared = shared
        self.programs = programs
        self.key = key
        self.reads = reads
        self.widest = widest

    def entry(self) -> tuple[Any, ...]:
        """The step as the fast sampler reads it: options is None where drawing is not plain."""
        d = self.decision
        plain = self.kind == ASK and not self.shared
        if plain and isinstance(d, Options) and d.chance is None and d.prior is None:
            return (self.path, tuple(d.options), len(d.options), self.programs, self)
        if plain and isinstance(d, IntegerRange) and not d.log:
            return (self.path, d.options, d.size, self.programs, self)
        return (self.path, None, 0, self.programs, self)
