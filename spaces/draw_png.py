"""A page as PNG, drawn with matplotlib, which is no dependency of archsearch."""

from __future__ import annotations

import importlib
import io
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.draw_svg import DECIDED_LINES, LINES, LOOKS, PAGE, WORDS
from archsearch.spaces.draw_words import STYLES
from archsearch.spaces.picture import Area, Block, Page, Route

SCALE, MOST_PIXELS = 2.0, 12_000
"""Pixels of the picture for one of the page, and the most that a side may have."""

POINTS = 72 / 96
"""Points of a pixel of the page."""


def png(page: Page) -> bytes:
    """The page as the content of a PNG file.

    Raises:
        SpaceError: matplotlib is not installed.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
        canvases = importlib.import_module("matplotlib.backends.backend_agg")
    except ImportError as error:
        needs = "a .png needs matplotlib (pip install 'archsearch[png]'); .svg, .dot and .mermaid need nothing"
        raise SpaceError(f"{needs} ({error})") from error
    figure = figures.Figure(figsize=(page.width / 96, page.height / 96), facecolor=PAGE[0])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, page.width)
    axes.set_ylim(page.height, 0)
    for one in page.areas:
        if isinstance(one.node, Block):
            draw_area(axes, one)
    for route in page.routes:
        draw_route(axes, route)
    for one in page.areas:
        if not isinstance(one.node, Block):
            draw_area(axes, one)
    for text in page.texts:
        look = STYLES[text.line.style]
        axes.text(
            text.x,
            text.y,
            text.line.text,
            fontsize=look.size * POINTS,
            fontweight="bold" if look.bold else "normal",
            color=WORDS[text.line.style][0],
            fontfamily="DejaVu Sans",
            parse_math=False,
        )
    scale = min(SCALE, MOST_PIXELS / max(page.width, page.height))
    out = io.BytesIO()
    canvases.FigureCanvasAgg(figure)
    figure.savefig(out, dpi=96 * scale, format="png", facecolor=PAGE[0])
    return out.getvalue()


def draw_area(axes: Any, area: Area) -> None:
    patches = importlib.import_module("matplotlib.patches")
    look = LOOKS[area.node.kind]
    radius = min(look.radius, area.height / 2, area.width / 2)
    axes.add_patch(
        patches.FancyBboxPatch(
            (area.x, area.y),
            area.width,
            area.height,
            boxstyle=f"round,pad=0,rounding_size={radius}",
            facecolor=look.fill,
            edgecolor=look.stroke,
            linestyle=(0, (5, 3)) if look.dashed else "solid",
            linewidth=POINTS,
        )
    )


def draw_route(axes: Any, route: Route) -> None:
    patches = importlib.import_module("matplotlib.patches")
    paths = importlib.import_module("matplotlib.path")
    points = [route.points[0]]
    codes = [paths.Path.MOVETO]
    for (x, y), (a, b) in zip(route.points, route.points[1:], strict=False):
        if route.bends((x, y), (a, b)):
            points.extend([(x, (y + b) / 2), (a, (y + b) / 2), (a, b)])
            codes.extend([paths.Path.CURVE4] * 3)
        else:
            points.append((a, b))
            codes.append(paths.Path.LINETO)
    decided = route.arrow.decided
    colour = (DECIDED_LINES if decided else LINES)[0]
    dash: Any = (0, (4, 3)) if decided else "solid"
    path = paths.Path(points, codes)
    axes.add_patch(patches.PathPatch(path, facecolor="none", edgecolor=colour, linestyle=dash, linewidth=1.2 * POINTS))
    if route.pointed:
        axes.add_patch(patches.Polygon(head(route), closed=True, facecolor=LINES[0], edgecolor="none"))


def head(route: Route) -> list[tuple[float, float]]:
    """The corners of an arrow's head."""
    (x, y), (a, b) = route.points[-2:]
    along = (0.0, 1.0) if route.bends((x, y), (a, b)) or abs(x - a) < abs(y - b) else (1.0 if a > x else -1.0, 0.0)
    if along[1] and b < y:
        along = (0.0, -1.0)
    (u, v), (p, q) = along, (-along[1], along[0])
    return [(a, b), (a - 7 * u + 3 * p, b - 7 * v + 3 * q), (a - 7 * u - 3 * p, b - 7 * v - 3 * q)]
