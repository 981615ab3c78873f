"""Places: where a node stands, what its decision is called, and what the names mean there.

A node has a *place*, structural, with the index of every copy; its decision has a *path*, which is the
place except where it is named, shared or tied (LANGUAGE.md section 3). A site keeps both after the first
visit, so that a walk never builds a string twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.facts import FactTable


def join(prefix: str, step: str) -> str:
    """
    >>> join("", ".body"), join("body", "[2]"), join("body[2]", ".op"), join("", "[0]")
    ('body', 'body[2]', 'body[2].op', '[0]')
    """
    return prefix + step if prefix or step[:1] != "." else step[1:]


class Frame:
    """What names mean at a site: scoped names have a prefix, barred ones belong to a Scope around a Shared.

    `priors` are, by name, the nodes that state one: it holds for every use of the name.
    """

    __slots__ = ("barred", "names", "priors")

    def __init__(
        self,
        names: dict[str, str] | None = None,
        barred: frozenset[str] = frozenset(),
        priors: Mapping[str, Any] | None = None,
    ) -> None:
        self.names = names or {}
        self.barred = barred
        self.priors = priors or {}

    def path(self, name: str, place: str) -> str:
        """The path of a name: its scope's path and the name, or the name alone for the whole space."""
        if name in self.barred:
            raise SpaceError(
                f"{place or 'root'}: the name {name!r} inside a Shared is declared by a Scope around the Shared; "
                "names inside a Shared are the whole space's, or those of a Scope inside it"
            )
        return self.names.get(name, name)

    def scope(self, path: str, names: tuple[str, ...], priors: Mapping[str, Any] | None = None) -> Frame:
        """The frame inside a Scope that stands at `path`; `priors` are those stated inside."""
        inside = {name: join(path, f".{name}") for name in names}
        known = {name: node for name, node in self.priors.items() if name not in names}
        known.update({name: node for name, node in (priors or {}).items() if name in names})
        return Frame(self.names | inside, self.barred - set(names), known)

    def shared(self) -> Frame:
        """The frame inside a Shared."""
        return Frame({}, self.barred | set(self.names), self.priors)


class Site:
    """A node at its place."""

    __slots__ = ("children", "chosen", "closed", "facts", "frame", "node", "owner", "path", "place", "plan", "program")

    def __init__(self, node: Any, place: str, path: str, frame: Frame, owner: str, facts: FactTable) -> None:
        self.node = node
        self.place = place
        self.path = path
        self.frame = frame
        self.owner = owner
        self.children: dict[str, Site] = {}
        self.facts = facts
        self.program: Any = None
        # Of a Graph: `archsearch.spaces.wiring.Plan`.
        self.plan: Any = None
        # What a node with nothing open means, kept after the first time: None, or a tuple of it.
        self.closed: tuple[Any] | None = None
        # The same as the branch of a Choice, kept with it.
        self.chosen: tuple[Any] | None = None

    def child(self, step: str, node: Any, path_step: str | None = None) -> Site:
        """The site of a child, which adds `step` to the place (and to the path, unless tied)."""
        site = self.children.get(step)
        if site is None:
            path = join(self.path, step if path_step is None else path_step)
            site = self.children[step] = Site(node, join(self.place, step), path, self.frame, self.owner, self.facts)
        return site

    def scoped(self) -> Site:
        """The site of what a Scope holds."""
        scope = self.node
        return self.inside(scope.node, self.frame.scope(self.path, scope.names, self.facts.of(scope.node).priors))

    def inside(self, node: Any, frame: Frame, path: str | None = None, owner: str | None = None) -> Site:
        """The site of what a Scope or Shared holds: at the same place, with other names."""
        site = self.children.get("")
        if site is None:
            site = self.children[""] = Site(
                node,
                self.place,
                self.path if path is None else path,
                frame,
                self.owner if owner is None else owner,
                self.facts,
            )
        return site
