"""An architecture's walk once more, so that what one changed answer makes of it is mostly known without walking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from archsearch.spaces.decisions import Decision
from archsearch.spaces.steps import ASK, TURN, Answers, Program


class Recorded(Mapping[str, Any]):
    """Answers that note which of them are read."""

    def __init__(self, answers: Answers, read: set[str]) -> None:
        self.answers = answers
        self.read = read

    def __getitem__(self, path: str) -> Any:
        self.read.add(path)
        return self.answers[path]

    def __iter__(self) -> Iterator[str]:
        self.read.update(self.answers)
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)


class Replay:
    """What a walk asks under the answers of an architecture.

    Attributes:
        decisions: by path, as they are declared, in the order of the walk.
        paths: the same paths as a list.
        steering: the paths whose answers the walk depends on. Any other may change, and nothing else with it.
    """

    __slots__ = ("_parts", "answers", "decisions", "paths", "steering")

    def __init__(self, program: Program, answers: Answers) -> None:
        self.answers = answers
        self.decisions: dict[str, Decision] = {}
        self.steering: set[str] = set()
        self._parts: tuple[dict[str, int], list[str]] | None = None
        self.follow(program)
        self.paths = list(self.decisions)

    def follow(self, program: Program) -> None:
        answers, decisions = self.answers, self.decisions
        recorded = cast(Answers, Recorded(answers, self.steering))
        entered: set[str] = set()
        stack: list[Any] = []
        it = iter(program)
        while True:
            for path, _, _, programs, step in it:
                if step.kind == ASK:
                    if path not in decisions:
                        decisions[path] = step.decision
                    if programs is None:
                        continue
                    self.steering.add(path)
                    inner = programs[answers[path]]
                elif step.kind == TURN:
                    inner = programs[step.key(recorded)]
                else:
                    if path in entered:
                        continue
                    entered.add(path)
                    inner = programs[None]
                if inner:
                    stack.append(it)
                    it = iter(inner)
                    break
            else:
                if not stack:
                    return
                it = stack.pop()

    def id_with(self, path: str, answer: Any) -> str:
        """The id of the architecture with another answer at a path that steers nothing.

        As `answers_id` hashes it, put together from the parts that stay as they are.
        """
        if self._parts is None:
            order = sorted(self.answers)
            at = {p: i for i, p in enumerate(order)}
            self._parts = (at, [part_of(p, self.answers[p]) for p in order])
        at, parts = self._parts
        i = at[path]
        before = parts[i]
        parts[i] = part_of(path, answer)
        text = "{" + ",".join(parts) + "}"
        parts[i] = before
        return hashlib.blake2b(text.encode("ascii"), digest_size=10).hexdigest()


def part_of(path: str, answer: Any) -> str:
    # What the encoder makes of an int, which has to set up far more first.
    return ENCODE(path) + ":" + (repr(answer) if type(answer) is int else ENCODE(answer))


ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
