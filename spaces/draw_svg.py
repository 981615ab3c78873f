"""A page as SVG: text that stays text, no dependency, colours for light and for dark surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from archsearch.spaces.draw_words import FAMILY, STYLES, clean
from archsearch.spaces.picture import Area, Block, Page, Route, Text


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of node looks: what fills it, its frame, whether that is dashed, and how round it is."""

    fill: str
    stroke: str
    dark_fill: str
    dark_stroke: str
    dashed: bool = False
    radius: float = 5.0


MODULE = Look("#eaf1fc", "#4472b8", "#1d2b42", "#6f9ce0")
DECIDED = Look("#fff8ea", "#b8710a", "#33280f", "#e0a030")
PLAIN = Look("#f6f7f9", "#98a1ac", "#21262d", "#6b7580")
QUIET = Look("none", "#b4bcc6", "none", "#4a525c", radius=8)

LOOKS = {
    "module": MODULE,
    "vertex": MODULE,
    "choice": DECIDED,
    "optional": Look("#fff8ea", "#b8710a", "#33280f", "#e0a030", dashed=True),
    "permute": DECIDED,
    "subset": DECIDED,
    "lazy": DECIDED,
    "value": PLAIN,
    "input": Look("#e8ebef", "#6b7580", "#2b323b", "#98a1ac", radius=16),
    "output": Look("#e8ebef", "#6b7580", "#2b323b", "#98a1ac", radius=16),
    "merge": Look("#e4f3e8", "#3d8b58", "#17301f", "#5cb87b", radius=16),
    "edge": Look("#ffffff", "#c9d0d8", "#161b22", "#3f4750", radius=3),
    "reference": Look("#f3ebfb", "#7d4fb0", "#2a1f3a", "#b48be0", dashed=True),
    "definition": Look("none", "#7d4fb0", "none", "#b48be0", radius=8),
    "shared": Look("none", "#7d4fb0", "none", "#b48be0", radius=8),
    "note": Look("none", "none", "none", "none"),
    "option": PLAIN,
    "repeat": Look("none", "#6b7580", "none", "#98a1ac", radius=8),
    "graph": QUIET,
    "part": QUIET,
    "derived": QUIET,
    "branches": QUIET,
    "residual": Look("none", "#c9d0d8", "none", "#3f4750", radius=8),
}
WORDS = {
    "title": ("#1f2328", "#e6edf3"),
    "text": ("#1f2328", "#e6edf3"),
    "note": ("#5b6570", "#9da7b3"),
    "place": ("#5b6570", "#9da7b3"),
    "shape": ("#2f6f4a", "#7cc99a"),
    "decision": ("#8a4b00", "#ffc266"),
    "path": ("#8a4b00", "#e0b070"),
    "use": ("#8a4b00", "#e0b070"),
}
PAGE = ("#ffffff", "#0d1117")
LINES = ("#5b6570", "#9da7b3")
DECIDED_LINES = ("#b8710a", "#e0a030")


def svg(page: Page) -> str:
    """The page as the text of an SVG file."""
    width, height = number(page.width), number(page.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{escape(FAMILY)}">',
        f"<style>{styles()}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0.8L8 4L0 7.2z"/></marker></defs>',
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
    ]
    parts.extend([area(one) for one in page.areas if isinstance(one.node, Block)])
    parts.extend([route(one) for one in page.routes])
    parts.extend([area(one) for one in page.areas if not isinstance(one.node, Block)])
    parts.extend([text(one) for one in page.texts])
    return "\n".join([*parts, "</svg>", ""])


def styles() -> str:
    light, dark = [], []
    for kind, look in LOOKS.items():
        dash = ";stroke-dasharray:5 3" if look.dashed else ""
        light.append(f".{kind}{{fill:{look.fill};stroke:{look.stroke}{dash}}}")
        dark.append(f".{kind}{{fill:{look.dark_fill};stroke:{look.dark_stroke}}}")
    for style, (colour, dark_colour) in WORDS.items():
        look_of = STYLES[style]
        weight = ";font-weight:bold" if look_of.bold else ""
        light.append(f".t-{style}{{fill:{colour};font-size:{number(look_of.size)}px{weight}}}")
        dark.append(f".t-{style}{{fill:{dark_colour}}}")
    for name, (colour, dark_colour) in (("line", LINES), ("decided", DECIDED_LINES)):
        dash = ";stroke-dasharray:4 3" if name == "decided" else ""
        light.append(f".{name}{{fill:none;stroke:{colour};stroke-width:1.2{dash}}}")
        dark.append(f".{name}{{stroke:{dark_colour}}}")
    light.append(f".page{{fill:{PAGE[0]}}}.head{{fill:{LINES[0]}}}")
    dark.append(f".page{{fill:{PAGE[1]}}}.head{{fill:{LINES[1]}}}")
    return f"{''.join(light)}@media(prefers-color-scheme:dark){{{''.join(dark)}}}"


def area(one: Area) -> str:
    look = LOOKS[one.node.kind]
    radius = number(min(look.radius, one.height / 2))
    box = (
        f'<rect class="{one.node.kind}" x="{number(one.x)}" y="{number(one.y)}" '
        f'width="{number(one.width)}" height="{number(one.height)}" rx="{radius}"'
    )
    return f"{box}><title>{escape(clean(tooltip(one)))}</title></rect>"


def tooltip(one: Area) -> str:
    """What a viewer shows where the mouse rests: the place, and the parameters."""
    facts = one.node.facts
    place = str(facts.get("place") or one.node.id)
    parameters = f"{facts['parameters']:,} parameters" if facts.get("parameters") else ""
    decided = [made.path for made in one.node.decided if made.path != place]
    return ", ".join([part for part in (place, *decided, parameters) if part])


def text(one: Text) -> str:
    return f'<text class="t-{one.line.style}" x="{number(one.x)}" y="{number(one.y)}">{escape(one.line.text)}</text>'


def route(one: Route) -> str:
    kind = "decided" if one.arrow.decided else "line"
    head = ' marker-end="url(#head)"' if one.pointed else ""
    return f"<path class={quoteattr(kind)} d={quoteattr(path_data(one))}{head}/>"


def path_data(one: Route) -> str:
    x, y = one.points[0]
    data = [f"M{number(x)} {number(y)}"]
    for before, after in pairwise(one.points):
        end = f"{number(after[0])} {number(after[1])}"
        if one.bends(before, after):
            middle = number((before[1] + after[1]) / 2)
            data.append(f"C{number(before[0])} {middle} {number(after[0])} {middle} {end}")
        else:
            data.append(f"L{end}")
    return "".join(data)


def number(value: float) -> str:
    """
    >>> number(12.0), number(3.14159), number(-0.001)
    ('12', '3.1', '0')
    """
    value = round(value, 1)
    return str(int(value)) if value == int(value) else str(value)
