"""Drawings of spaces and architectures: what they show, where it stands, and the files."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from drawn_spaces import SPACES, every_part, many_cells, odd_text, pattern
from random_spaces import make_space

import archsearch as A
from archsearch import nn
from archsearch.cli import main
from archsearch.errors import SpaceError
from archsearch.spaces.draw import content, picture
from archsearch.spaces.draw_architecture import architecture_diagram
from archsearch.spaces.draw_flat import links
from archsearch.spaces.draw_layers import GAP, Size, crossings, layered, nondecreasing, ordered
from archsearch.spaces.draw_layout import lay_out
from archsearch.spaces.draw_show import leaves_in
from archsearch.spaces.draw_words import HANGING, STYLES, broken, text_width
from archsearch.spaces.picture import (
    IN,
    TIMES,
    Area,
    Block,
    Box,
    Diagram,
    Flow,
    Line,
    Page,
    Route,
    Shown,
    Text,
    named_inputs,
    shown_in,
)
from archsearch.spaces.resolved import Chain, Dag, Leaf, Part
from archsearch.spaces.text import list_decisions

RANDOM = [f"random{seed}" for seed in range(16)]


def space_of(name: str) -> A.Space:
    if name in SPACES:
        return SPACES[name]()
    space = make_space(int(name.removeprefix("random")), depth=3)
    if space is None:
        pytest.skip("the language refuses this random space")
    return space


def architectures(space: A.Space, count: int = 3) -> Iterator[Any]:
    for seed in range(count):
        yield space.sample(random.Random(seed))


@cache
def pictures(name: str) -> list[Diagram]:
    """Of the space, and of an architecture in it."""
    space = space_of(name)
    return [picture(space), *[picture(space, arch) for arch in architectures(space, 1)]]


def texts_of(diagram: Diagram) -> str:
    return "\n".join([line.text for node in shown_in(diagram) for line in node.lines])


# What is shown


@pytest.mark.parametrize("name", [*SPACES, *RANDOM])
def test_every_decision_is_in_the_picture_with_its_path(name: str) -> None:
    space = space_of(name)
    diagram = picture(space)
    decided = {made.path for node in shown_in(diagram) for made in node.decided}
    known, complete = list_decisions(space.compiler)
    patterns = [pattern(path) for path in decided]
    assert complete
    if "or more" not in diagram.title[0].text:
        assert [one.path for one in known if not any([p.fullmatch(one.path) for p in patterns])] == []
    assert all([any([p.fullmatch(one.path) for one in known]) for p in patterns])
    for node in shown_in(diagram):
        for made in node.decided:
            assert any([made.path in line.text for line in node.lines])


def test_grammars_are_drawn_as_far_as_a_reader_follows() -> None:
    def rule() -> Any:
        return A.Choice({"stop": nn.Linear(A.Choice([1, 2])), "more": A.Sequential(A.Lazy(rule), A.Lazy(rule))})

    diagram = picture(A.Space(A.Lazy(rule), input_shape=(2,)))
    assert "or more" in diagram.title[0].text
    assert "as above, and so on" in texts_of(diagram)


def leaves(values: Any) -> list[Leaf]:
    if isinstance(values, dict):
        return [leaf for value in values.values() for leaf in leaves(value)]
    return list(leaves_in(values)) if isinstance(values, Part) else []


def modules_shown(diagram: Diagram) -> int:
    """How many modules a folded picture stands for."""
    definitions = {block.id.removeprefix("definition:"): block for block in diagram.definitions}

    def count(node: Shown) -> int:
        folded = node.facts.get("folded")
        if folded is not None:
            return count(folded)
        if isinstance(node, Box):
            letter = node.facts.get("definition")
            return count_in(definitions[letter]) if letter else int("module" in node.facts)
        return count_in(node)

    def count_in(block: Block) -> int:
        times = block.facts.get("times", 1) if block.kind in ("repeat", "definition") else 1
        return int(times) * sum([count(node) for node in block.flow.nodes])

    return sum([count(node) for node in (*diagram.flow.nodes, *diagram.beside)])


@pytest.mark.parametrize("name", [*SPACES, *RANDOM])
def test_every_module_of_an_architecture_is_in_its_picture(name: str) -> None:
    space = space_of(name)
    for arch in architectures(space):
        whole = architecture_diagram(arch)
        found = leaves(arch.values)
        modules = Counter([node.facts["place"] for node in shown_in(whole) if "module" in node.facts])
        assert modules.keys() >= {leaf.place for leaf in found}
        assert modules_shown(whole) == modules_shown(picture(space, arch)) == sum(modules.values())


@pytest.mark.parametrize("name", [*SPACES, *RANDOM])
def test_ids_are_unique(name: str) -> None:
    for diagram in pictures(name):
        ids = [node.id for node in shown_in(diagram)]
        assert len(ids) == len(set(ids))


def vertices_in(part: Any) -> Iterator[str]:
    if isinstance(part, Dag):
        for joint in part.vertices:
            yield joint.name
            for inside in (joint.op, joint.merge, *[link.part for link in joint.links]):
                yield from vertices_in(inside)
    elif isinstance(part, Chain):
        for inside in part.parts:
            yield from vertices_in(inside)


@pytest.mark.parametrize("name", ["cells", "sources", "two_inputs", "wide_graph", "deep_graph", "many_cells"])
def test_every_vertex_is_in_the_picture(name: str) -> None:
    space = space_of(name)
    for arch in architectures(space):
        words = set(re.findall(r"\w+", texts_of(picture(space, arch))))
        assert set(vertices_in(arch.values)) <= words
    assert {name for part in [space.root] if isinstance(part, A.Graph) for name in part.vertices} <= set(
        re.findall(r"\w+", texts_of(picture(space)))
    )


def test_shapes_and_parameters_stand_where_sizes_settle() -> None:
    model = A.Sequential(nn.Linear(A.Choice([16])), nn.ReLU(), nn.Linear(10))
    space = A.Space(model, input_shape=(64,))
    arch = space.sample(random.Random(0))
    drawn = [[line.text for line in node.lines] for node in picture(space, arch).flow.nodes]
    assert drawn == [
        ["input", "64"],
        ["Linear", "out_features=16", "16"],
        ["ReLU"],
        ["Linear", "out_features=10", "10"],
        ["output", "10"],
    ]
    assert "1,210 parameters" in picture(space, arch).title[1].text
    unknown = A.Space(model)
    assert "64 " not in texts_of(picture(unknown, unknown.sample(random.Random(0))))


def test_sizes_that_do_not_settle_are_said_in_the_heading() -> None:
    space = A.Space(A.Sequential(nn.Conv2d(8, 3), nn.Linear(10)), input_shape=(3,))
    diagram = picture(space, space.sample(random.Random(0)))
    assert "sizes do not settle: [0]: " in diagram.title[1].text
    assert "Conv2d" in texts_of(diagram)


def test_what_repeats_is_drawn_once() -> None:
    space = A.Space(A.Sequential(A.Repeat(A.Sequential(nn.Linear(8), nn.ReLU()), 5), nn.Linear(3)), input_shape=(8,))
    diagram = picture(space, space.sample(random.Random(0)))
    text = texts_of(diagram)
    assert f"{TIMES} 5" in text
    assert "[0][0] … [0][4]" in text
    assert text.count("ReLU") == 1


def test_a_part_at_several_places_is_drawn_apart_and_referred_to() -> None:
    space = many_cells()
    drawn = picture(space)
    assert [block.lines[0].text for block in drawn.definitions] == ["normal", "reduction"]
    references = [node for node in shown_in(drawn) if node.kind == "reference"]
    assert len(references) == 20
    arch = space.sample(random.Random(0))
    found = picture(space, arch)
    letters = {node.facts["definition"] for node in shown_in(found) if node.kind == "reference"}
    assert letters == {block.id.removeprefix("definition:") for block in found.definitions}


def test_a_value_that_follows_is_a_formula() -> None:
    kernel = A.Choice([1, 3], name="kernel")
    space = A.Space(nn.Conv2d(2 * A.input.channels, kernel, padding=kernel // 2), input_shape=(3, 8, 8))
    lines = [(line.text, line.style) for node in picture(space).flow.nodes for line in node.lines]
    assert (f"out_channels = 2 {TIMES} input.channels", "text") in lines
    assert ("kernel_size: 1 | 3", "decision") in lines
    assert ("kernel", "path") in lines
    assert ("padding = kernel // 2", "use") in lines


def test_long_lists_are_abbreviated() -> None:
    space = A.Space({"n": A.Choice(list(range(1000))), "few": A.Choice(["a", "b", "c"])})
    text = texts_of(picture(space))
    assert "0 | 1 | 2 | 3 | 4 | … | 999 (1000 options)" in text
    assert "few: a | b | c" in text


# Where it stands


def boxes_overlap(a: Area, b: Area) -> bool:
    return (
        a.x < b.x + b.width - 0.5
        and b.x < a.x + a.width - 0.5
        and a.y < b.y + b.height - 0.5
        and b.y < a.y + a.height - 0.5
    )


def sampled(route: Route) -> Iterator[tuple[float, float]]:
    for (x, y), (a, b) in pairwise(route.points):
        for k in range(13):
            t = k / 12
            if route.bends((x, y), (a, b)):
                ease = 3 * t * t * (1 - t) + t**3
                down = 3 * (1 - t) * t * (y + b) / 2 + (1 - t) ** 3 * y + t**3 * b
                yield x + (a - x) * ease, down
            else:
                yield x + (a - x) * t, y + (b - y) * t


def bounds(text: Text) -> tuple[float, float, float, float]:
    size = STYLES[text.line.style].size
    return text.x, text.y - 0.7 * size, text.x + text.width, text.y + 0.15 * size


def check_page(page: Page) -> None:
    """Nothing covers anything else, and everything is on the page."""
    groups: dict[int, list[Area]] = {}
    for area in page.areas:
        groups.setdefault(area.inside, []).append(area)
        assert area.x >= 0
        assert area.y >= 0
        assert area.x + area.width <= page.width
        assert area.y + area.height <= page.height
        if area.inside >= 0:
            around = page.areas[area.inside]
            assert around.x <= area.x
            assert around.y <= area.y
            assert area.x + area.width <= around.x + around.width
            assert area.y + area.height <= around.y + around.height
    for siblings in groups.values():
        for a, b in combinations(siblings, 2):
            assert not boxes_overlap(a, b), (a.node.id, b.node.id)
    leaf_areas = [area for area in page.areas if isinstance(area.node, Box) and area.node.kind != "note"]
    words = [bounds(text) for text in page.texts]
    for route in page.routes:
        for x, y in sampled(route):
            assert 0 <= x <= page.width
            assert 0 <= y <= page.height
            for area in leaf_areas:
                inside = area.x + 1 < x < area.x + area.width - 1 and area.y + 1 < y < area.y + area.height - 1
                assert not inside, (route.arrow, area.node.id)
            for left, top, right, bottom in words:
                assert not (left < x < right and top < y < bottom), (route.arrow, left, top)
    for one, other in combinations(words, 2):
        beside = one[0] >= other[2] - 0.5 or other[0] >= one[2] - 0.5
        assert beside or one[1] >= other[3] - 0.5 or other[1] >= one[3] - 0.5


@pytest.mark.parametrize("name", [*SPACES, *RANDOM])
def test_nothing_covers_anything_else(name: str) -> None:
    for diagram in pictures(name):
        check_page(lay_out(diagram))


@pytest.mark.parametrize("name", [*SPACES, *RANDOM])
def test_words_are_inside_their_boxes(name: str) -> None:
    for diagram in pictures(name):
        page = lay_out(diagram)
        lines = [text for text in page.texts if text.y > 24 + sum([40.0 for _ in diagram.title])]
        for text in lines:
            left, top, right, bottom = bounds(text)
            assert any(
                [a.x <= left and a.y <= top and right <= a.x + a.width and bottom <= a.y + a.height for a in page.areas]
            ), text.line


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("wide", 1_700, 2_000), ("deep", 2_500, 2_500), ("deep_graph", 2_500, 2_500), ("many_cells", 4_500, 4_500)],
)
def test_pages_are_no_strips(name: str, width: float, height: float) -> None:
    for diagram in pictures(name):
        page = lay_out(diagram)
        assert page.width < width
        assert page.height < height


def test_layers_go_down_and_have_few_crossings() -> None:
    rng = random.Random(0)
    for _ in range(30):
        count = rng.randrange(2, 20)
        edges = [(a, b) for a, b in combinations(range(count), 2) if rng.random() < 0.2]
        sizes = [Size(rng.uniform(20, 200), rng.uniform(10, 60), 10, 10) for _ in range(count)]
        layout = layered(sizes, edges, [False] * len(edges), 600.0)
        for (a, b), route in zip(edges, layout.routes, strict=True):
            assert layout.layers[a] < layout.layers[b]
            assert layout.corners[a][1] + sizes[a].height <= layout.corners[b][1] - GAP + 0.01
            assert [y for _, y in route] == sorted([y for _, y in route])
        for row in set(layout.layers):
            widths = [sizes[i].width for i in range(count) if layout.layers[i] == row]
            assert len(widths) == 1 or sum(widths) <= 600


def test_a_tree_is_drawn_without_crossings() -> None:
    edges = [(0, 1), (0, 2), (1, 3), (2, 4), (1, 5), (2, 6), (3, 7), (6, 8), (5, 9), (4, 10)]
    sizes = [Size(50, 20, 25, 25)] * 11
    layout = layered(sizes, edges, [False] * len(edges), 1_000.0)
    middle = [x + 25 for x, _ in layout.corners]
    for (a, b), (c, d) in combinations(edges, 2):
        if layout.layers[a] == layout.layers[c] and a != c and b != d:
            assert (middle[a] - middle[c]) * (middle[b] - middle[d]) > 0


def test_nondecreasing_is_the_nearest() -> None:
    rng = random.Random(1)
    for _ in range(50):
        wanted = [rng.uniform(-5, 5) for _ in range(rng.randrange(1, 8))]
        weights = [rng.uniform(0.1, 3) for _ in wanted]
        found = nondecreasing(wanted, weights)
        assert found == sorted(found)

        def cost(xs: list[float], wanted: list[float] = wanted, weights: list[float] = weights) -> float:
            return sum([w * (x - y) ** 2 for x, y, w in zip(xs, wanted, weights, strict=True)])

        for _ in range(20):
            other = sorted([x + rng.gauss(0, 0.3) for x in found])
            assert cost(found) <= cost(other) + 1e-9


def test_ordering_never_adds_crossings() -> None:
    from archsearch.spaces.draw_layers import Spot

    rng = random.Random(2)
    for _ in range(30):
        rows = [list(range(6 * r, 6 * r + 6)) for r in range(3)]
        spots = [Spot(Size(10, 10, 5, 5), i, i // 6) for i in range(18)]
        for i in range(12):
            for j in range(6 * (i // 6 + 1), 6 * (i // 6 + 2)):
                if rng.random() < 0.3:
                    spots[i].after.append(j)
                    spots[j].before.append(i)
        found = ordered(spots, 3)
        assert [sorted(row) for row in found] == rows
        assert crossings(spots, found) <= crossings(spots, rows)


def test_each_of_several_inputs_enters_where_it_is_read() -> None:
    """A block of several inputs takes each where its own arrow goes on inside."""
    several = 0
    for diagram in pictures("two_inputs"):
        page = lay_out(diagram)
        blocks = {area.node.id: n for n, area in enumerate(page.areas) if isinstance(area.node, Block)}
        for id, number in blocks.items():
            block = page.areas[number].node
            assert isinstance(block, Block)
            inputs = named_inputs(block.flow)
            entering = [r for r in page.routes if r.arrow.target == id and r.inside == page.areas[number].inside]
            if len(inputs) < 2 or len(entering) != len(inputs):
                continue
            several += 1
            inside = [r for r in page.routes if r.inside == number and r.arrow.source == IN]
            assert [r.arrow.target for r in inside] == inputs
            for outer, inner in zip(entering, inside, strict=True):
                assert abs(outer.points[-1][0] - inner.points[0][0]) < 0.01
    assert several == 2


# Lines


def test_long_lines_are_broken_and_lose_nothing() -> None:
    rng = random.Random(3)
    for _ in range(200):
        text = "".join(rng.choices("abcdefghij.[]_0123456789 ,|", k=rng.randrange(1, 200))).strip()
        style = rng.choice(list(STYLES))
        pieces = broken(Line(text, style), 120.0)
        assert all([text_width(piece.text, style) <= 120.0 for piece in pieces])
        joined = "".join([piece.text.removeprefix(HANGING) for piece in pieces])
        assert joined.replace(" ", "") == text.replace(" ", "")


# Files


@pytest.mark.parametrize("name", [*SPACES, *RANDOM[:8]])
def test_svg_is_xml_with_all_text(name: str) -> None:
    for diagram in pictures(name):
        root = ElementTree.fromstring(content(diagram, ".svg"))
        space = "{http://www.w3.org/2000/svg}"
        page = lay_out(diagram)
        assert [e.text for e in root.iter(f"{space}text")] == [t.line.text for t in page.texts]
        assert len(list(root.iter(f"{space}rect"))) == len(page.areas) + 1
        style = root.find(f"{space}style")
        assert style is not None
        classes = {e.get("class") for e in root.iter() if e.get("class")}
        assert style.text is not None
        assert all([f".{one}{{" in style.text for one in classes])
        assert "prefers-color-scheme:dark" in style.text


@pytest.mark.parametrize("name", [*SPACES, *RANDOM[:8]])
def test_dot_and_mermaid_name_what_they_join(name: str) -> None:
    for diagram in pictures(name):
        joined = len(links(diagram))
        boxes = sum([isinstance(node, Box) for node in shown_in(diagram)])
        dot = content(diagram, ".dot").decode()
        plain = re.sub(r'"(\\.|[^"\\])*"', '""', dot)
        assert '"' not in plain.replace('""', "")
        assert plain.count("{") == plain.count("}")
        assert plain.count("[") == plain.count("]")
        nodes = set(re.findall(r"^\s*(n\d+) \[", plain, re.MULTILINE))
        ends = re.findall(r"(n\d+) -> (n\d+)", plain)
        assert len(nodes) == boxes
        assert len(ends) == joined
        assert {end for pair in ends for end in pair} <= nodes
        mermaid = content(diagram, ".mmd").decode()
        head, *rest = [line.strip() for line in mermaid.splitlines() if not line.startswith("%%")]
        assert head == "flowchart TB"
        statement = (
            r'n\d+(\(\["[^"]*"\]\)|\["[^"]*"\])|subgraph n\d+\["[^"]*"\]|end|n\d+ (-->|-\.->) n\d+'
            r"|classDef \w+ [#\w:,. -]+|class [n\d,]+ \w+"
        )
        assert all([re.fullmatch(statement, line) for line in rest])
        assert sum([line.startswith("subgraph") for line in rest]) == rest.count("end")


def test_odd_text_is_text(tmp_path: Path) -> None:
    space = odd_text()
    for suffix in ("svg", "dot", "mermaid"):
        space.draw(tmp_path / f"odd.{suffix}")
    texts = [e.text or "" for e in ElementTree.parse(tmp_path / "odd.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>&amp;</b>" in "".join(texts)
    dot = (tmp_path / "odd.dot").read_text(encoding="utf-8")
    assert 'say \\"hi\\"' in dot
    assert "back\\\\slash" in dot
    assert "<b>" not in (tmp_path / "odd.mermaid").read_text(encoding="utf-8")


def test_the_same_every_time() -> None:
    program = (
        "import sys, random; sys.path.insert(0, 'tests')\n"
        "import archsearch as A\n"
        "from drawn_spaces import every_part, many_cells\n"
        "from archsearch.spaces.draw import content, picture\n"
        "import hashlib\n"
        "for space in (every_part(), many_cells(6)):\n"
        "    unsized = A.Space(space.root)\n"
        "    for diagram in (picture(space), picture(unsized, unsized.sample(random.Random(0)))):\n"
        "        for suffix in ('.svg', '.dot', '.mmd'):\n"
        "            print(hashlib.sha256(content(diagram, suffix)).hexdigest())\n"
    )
    root = Path(__file__).parents[1]
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().split()) == 12


def test_drawing_a_space_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from drawn_spaces import every_part\n"
        "from archsearch.spaces.draw import content, picture\n"
        "content(picture(every_part()), '.svg')\n"
        "print({'torch', 'networkx', 'matplotlib', 'numpy'} & set(sys.modules))\n"
    )
    root = Path(__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    space = every_part()
    with pytest.raises(
        SpaceError, match=r"\.svg, \.png, \.dot or \.mermaid \(\.mmd\), but got '\.sgv'; did you mean '\.svg'"
    ):
        space.draw(tmp_path / "x.sgv")
    with pytest.raises(SpaceError, match="but got 'no suffix'"):
        space.draw(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    space = SPACES["one_module"]()
    with pytest.raises(SpaceError, match=r"cannot write .*x\.svg: No such file or directory"):
        space.draw(tmp_path / "missing" / "x.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(SpaceError, match=r"cannot write .*folder\.svg"):
        space.draw(tmp_path / "folder.svg")
    with pytest.raises(SpaceError, match="cannot write"):
        space.draw(tmp_path / "nul\x00.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.svg"]


def test_a_drawing_replaces_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "x.SVG"
    target.write_text("before")
    SPACES["one_module"]().draw(target)
    assert ElementTree.parse(target).getroot().tag.endswith("svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.SVG"]


def test_png_without_matplotlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SpaceError, match=r"needs matplotlib \(pip install 'archsearch\[png\]'\)"):
        every_part().draw(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_png_with_matplotlib(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="a .png needs matplotlib")
    space = every_part()
    space.draw(tmp_path / "x.png", space.sample(random.Random(0)))
    data = (tmp_path / "x.png").read_bytes()
    page = lay_out(picture(space, space.sample(random.Random(0))))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert abs(int.from_bytes(data[16:20], "big") - 2 * page.width) <= 2


def test_an_empty_flow_has_a_page() -> None:
    page = lay_out(Diagram((Line("nothing", "title"),), Flow()))
    assert page.width > 0
    assert [text.line.text for text in page.texts] == ["nothing"]


# The command line


def test_archsearch_space_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.py"
    file.write_text(
        "import archsearch as A\nfrom archsearch import nn\n"
        "space = A.Space(A.Sequential(nn.Linear(A.Choice([4, 8])), nn.ReLU()), input_shape=(3,))\n",
        encoding="utf-8",
    )
    answers = tmp_path / "answers.json"
    answers.write_text('{"assignment": {"[0].out_features": 8}}', encoding="utf-8")
    assert main(["space", str(file), "draw", "--out", str(tmp_path / "space.svg")]) == 0
    assert "out_features: 4 | 8" in (tmp_path / "space.svg").read_text(encoding="utf-8")
    arch = ["--assignment", str(answers), "--out", str(tmp_path / "arch.svg")]
    assert main(["space", str(file), "draw", *arch]) == 0
    assert "out_features=8" in (tmp_path / "arch.svg").read_text(encoding="utf-8")
    assert capsys.readouterr() == ("", "")
    for words, said in (
        (["draw"], "`draw` needs --out FILE.svg"),
        (["count", "--out", "x.svg"], "--out goes with `draw`"),
        (["draw", "--out", "x.gif"], "a drawing ends in .svg"),
        (["draw", "--out", str(tmp_path / "no" / "x.svg")], "cannot write"),
    ):
        assert main(["space", str(file), *words]) != 0
        assert said in capsys.readouterr().err


def test_options_of_one_label_and_two_meanings_are_told_apart() -> None:
    def of(stride: int) -> A.Choice:
        kernels = {f"conv{k}": nn.Conv2d(8, k, stride=stride, padding=k // 2) for k in (1, 3, 5)}
        return A.Choice({**kernels, "pool": nn.AvgPool2d(3, stride, 1)})

    vertices = {
        "a": A.Vertex(inputs={"x": of(1)}),
        "b": A.Vertex(inputs={"x": of(1), "a": of(2)}),
    }
    diagram = picture(A.Space(A.Graph(vertices, inputs="x", outputs="b"), input_shape=(8, 8, 8)))
    said = {
        node.decided[0].path: node.lines[-1].text for node in shown_in(diagram) if node.kind == "edge" and node.decided
    }
    assert said == {"a.x": "options 1", "b.x": "options 1", "b.a": "options 2"}
    assert [box.lines[0].text.split(":")[0] for box in diagram.beside] == ["options 1", "options 2"]
    assert "stride=2" in "".join([line.text for line in diagram.beside[1].lines])
