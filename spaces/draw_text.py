"""A diagram for programs that lay out graphs themselves: DOT (Graphviz) and Mermaid."""

from __future__ import annotations

from archsearch.spaces.draw_flat import links
from archsearch.spaces.draw_svg import LOOKS
from archsearch.spaces.draw_words import clean
from archsearch.spaces.picture import Block, Box, Diagram, Flow, Line, Shown

MARK = "\N{BLACK DIAMOND} "
"""Before the first line of a decision."""


DASHED = ' [style=dashed color="#b8710a"]'


def words(line: Line) -> str:
    return (MARK if line.style == "decision" else "") + clean(line.text)


def dot(diagram: Diagram) -> str:
    """The diagram in the language of Graphviz, blocks as clusters."""
    numbers = Numbers()
    lines = [
        "digraph {",
        f"  graph [label={quoted(diagram.title)} labelloc=t labeljust=l fontname=Helvetica nodesep=0.3 ranksep=0.35]",
        '  node [shape=box style="rounded,filled" fontname=Helvetica fontsize=10 margin="0.12,0.06"]',
        '  edge [color="#5b6570" arrowsize=0.7]',
    ]
    for node in nodes_of(diagram):
        lines.extend(dot_node(node, numbers, 1))
    for (a, b), decided in links(diagram).items():
        lines.append(f"  {numbers[a]} -> {numbers[b]}{DASHED if decided else ''}")
    return "\n".join([*lines, "}", ""])


def nodes_of(diagram: Diagram) -> tuple[Shown, ...]:
    return (*diagram.flow.nodes, *diagram.beside, *diagram.definitions)


def dot_node(node: Shown, numbers: Numbers, depth: int) -> list[str]:
    pad = "  " * depth
    look = LOOKS[node.kind]
    if isinstance(node, Box):
        fill = "#ffffff" if look.fill == "none" else look.fill
        stroke = "#ffffff" if look.stroke == "none" else look.stroke
        how = f'fillcolor="{fill}" color="{stroke}"' + (' style="rounded,filled,dashed"' if look.dashed else "")
        return [f"{pad}{numbers[node.id]} [label={quoted(node.lines)} {how}]"]
    head = [
        f"{pad}subgraph cluster_{numbers[node.id]} {{",
        f'{pad}  label={quoted(node.lines)} labeljust=l color="{look.stroke}" style=rounded fontname=Helvetica '
        "fontsize=10",
    ]
    return [*head, *[line for inside in node.flow.nodes for line in dot_node(inside, numbers, depth + 1)], f"{pad}}}"]


def quoted(lines: tuple[Line, ...]) -> str:
    r"""
    >>> quoted((Line('a "b"'), Line("c")))
    '"a \\"b\\"\\lc\\l"'
    """
    escaped = [words(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "".join([f"{text}\\l" for text in escaped]) + '"'


def mermaid(diagram: Diagram) -> str:
    """The diagram in the language of Mermaid, blocks as subgraphs."""
    numbers = Numbers()
    lines = ["flowchart TB"]
    if diagram.title:
        title = " ".join([words(line) for line in diagram.title])
        lines.insert(0, f"%% {title}")
    for node in nodes_of(diagram):
        lines.extend(mermaid_node(node, numbers, 1))
    for (a, b), decided in links(diagram).items():
        lines.append(f"  {numbers[a]} {'-.->' if decided else '-->'} {numbers[b]}")
    kinds: dict[str, list[str]] = {}
    for id, kind in kinds_in(Flow(nodes_of(diagram))):
        kinds.setdefault(kind, []).append(numbers[id])
    for kind, ids in kinds.items():
        look = LOOKS[kind]
        dash = ",stroke-dasharray:5 3" if look.dashed else ""
        stroke = "transparent" if look.stroke == "none" else look.stroke
        fill = "transparent" if look.fill == "none" else look.fill
        lines.append(f"  classDef {kind}_ fill:{fill},stroke:{stroke},color:#1f2328{dash}")
        lines.append(f"  class {','.join(ids)} {kind}_")
    return "\n".join([*lines, ""])


def kinds_in(flow: Flow) -> list[tuple[str, str]]:
    found = []
    for node in flow.nodes:
        found.append((node.id, node.kind))
        found.extend(kinds_in(node.flow) if isinstance(node, Block) else [])
    return found


def mermaid_node(node: Shown, numbers: Numbers, depth: int) -> list[str]:
    pad = "  " * depth
    text = entities("\n".join([words(line) for line in node.lines])) or " "
    if isinstance(node, Box):
        left, right = ("([", "])") if node.kind in ("input", "output", "merge") else ("[", "]")
        return [f'{pad}{numbers[node.id]}{left}"{text}"{right}']
    inside = [line for one in node.flow.nodes for line in mermaid_node(one, numbers, depth + 1)]
    return [f'{pad}subgraph {numbers[node.id]}["{text}"]', *inside, f"{pad}end"]


def entities(text: str) -> str:
    """What Mermaid would read as its own or as HTML, as entities.

    >>> entities('a "b" <c>')
    'a #quot;b#quot; #lt;c#gt;'
    """
    named = {'"': "quot", "<": "lt", ">": "gt", "&": "amp"}
    found = []
    for character in text:
        if character in named:
            found.append(f"#{named[character]};")
        elif character in "#`*_\\[]{}()|":
            found.append(f"#{ord(character)};")
        else:
            found.append("<br/>" if character == "\n" else character)
    return "".join(found)


class Numbers(dict[str, str]):
    """n0, n1, ... for the ids of nodes."""

    def __missing__(self, id: str) -> str:
        self[id] = f"n{len(self)}"
        return self[id]
